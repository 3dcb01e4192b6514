"""The neighbours: tenants that are large, that fail at Graph, or whose suite always changes its list."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from bench.load.world import Organisation

_GRAPH: Final = "/v1.0/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """One kind of neighbour.

    Attributes:
        name: in tables and on the command line.
        is_large: whether it is the large tenant, measured from the moment its suite opens its stream; the others are measured once
            their users are shown.
        fault: the fault for all its requests to Graph, in the format of the local cloud's control surface; empty: none.
        switches: switches of the whole cloud while it is present.
        changes_a_second: how often its suite swaps one user of its list for another.
        reconnect_s: seconds between two reconnects of its suite; 0: it stays connected.
    """

    name: str
    is_large: bool = False
    fault: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)
    changes_a_second: float = 0.0
    reconnect_s: float = 0.0


NEIGHBOURS: Final = (
    Neighbour(name="throttled", fault={"status": 429, "headers": {"Retry-After": "2"}}),
    Neighbour(name="failing", fault={"status": 503}),
    Neighbour(name="hanging", fault={"latency_ms": 600_000}),
    Neighbour(name="counted-650", switches={"count_bulk_as": "ids"}),
    Neighbour(name="changing-list", changes_a_second=100.0),
    Neighbour(name="large", is_large=True, reconnect_s=5.0),
)


@contextmanager
def in_trouble(control: httpx.Client, neighbour: Neighbour, each: Organisation) -> Iterator[None]:
    """Put the neighbour's fault and switches in force for an organisation while the context lasts."""
    before = {name: control.get("switches").raise_for_status().json()[name] for name in neighbour.switches}
    if neighbour.switches:
        control.put("switches", json=dict(neighbour.switches)).raise_for_status()
    fault = {"path": _GRAPH, "tenant": each.tenant_id, **neighbour.fault}
    number = control.post("faults", json=fault).raise_for_status().json()["id"] if neighbour.fault else None
    try:
        yield
    finally:
        if number is not None:
            control.delete(f"faults/{number}").raise_for_status()
        if before:
            control.put("switches", json=before).raise_for_status()
