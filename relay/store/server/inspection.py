"""The inspection of a topology for `presence-relay check`: faults that do not stop the relay. (Pure.)"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from relay.store.server.slots import SLOTS, owners_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from relay.store.server.election import SentinelView
    from relay.store.server.slots import Place, SlotView

LATE_S: Final = 10
"""A replica without an acknowledgement for this long is behind. Synchronized replicas acknowledge every second."""
BEHIND_BYTES: Final = 16 << 20
"""A replica that lacks this much is behind. A busy primary writes as much in a second."""


def sentinel_faults(service: str, views: Sequence[SentinelView]) -> list[str]:
    """Return the faults of the sentinels of a service."""
    faults = [f"sentinel {view.sentinel}: {view.fault}" for view in views if view.fault]
    answers = [view for view in views if view.answer is not None]
    named = Counter(f"{view.answer.host}:{view.answer.port}" for view in answers if view.answer is not None)
    if len(named) > 1:
        said = "; ".join(f"{place} ({count})" for place, count in named.most_common())
        faults.append(
            f"the sentinels disagree which server is the primary of {service!r}: {said}; unless a failover is under way, "
            "compare their configurations"
        )
    for view in answers:
        known = view.others + 1
        if known < len(views):
            faults.append(
                f"sentinel {view.sentinel}: knows {view.others} other sentinels, the URL names {len(views) - 1}; those that it does "
                "not know watch something else, or never reached the primary"
            )
        if view.is_down:
            faults.append(f"sentinel {view.sentinel}: does not reach the primary")
        if view.replicas == 0:
            faults.append(f"sentinel {view.sentinel}: knows no replica, so nothing can take the primary's place")
    needed = max((max(view.quorum, (view.others + 1) // 2 + 1) for view in answers), default=1)
    if len(answers) < needed:
        faults.append(
            f"no quorum: {len(answers)} of {len(views)} sentinels answer for {service!r}, and a failover needs {needed}"
        )
    return faults


def cluster_faults(views: Mapping[Place, SlotView | str]) -> list[str]:
    """Return the faults of a cluster, from the view of each node or its error text."""
    faults = [f"node {host}:{port}: {said}" for (host, port), said in views.items() if isinstance(said, str)]
    seen = {place: view for place, view in views.items() if not isinstance(view, str)}
    for (host, port), view in seen.items():
        uncovered = owners_of(view).count(None)
        if uncovered:
            faults.append(
                f"node {host}:{port}: sees {uncovered} of {SLOTS} slots with no node that has them; "
                "see `CLUSTER NODES` for nodes that failed"
            )
    if len(set(seen.values())) > 1:
        faults.append(
            "the nodes disagree which of them have which slots; unless slots are being moved, see `CLUSTER NODES` of each"
        )
    return faults


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """A replica as its primary sees it."""

    place: str
    is_online: bool
    lag_s: int
    behind_bytes: int


def replicas_of(replication: Mapping[str, Any]) -> list[ReplicaState]:
    """Return the replicas from the section `replication` of a primary's INFO, as redis-py parses it."""
    end = int(replication.get("master_repl_offset", 0))
    found = []
    for name, said in replication.items():
        if name.removeprefix("slave").isdigit() and isinstance(said, dict):
            place = f"{said.get('ip')}:{said.get('port')}"
            behind = max(0, end - int(said.get("offset", 0)))
            found.append(ReplicaState(place, said.get("state") == "online", int(said.get("lag", 0)), behind))
    return found


def replica_faults(where: str, replicas: Sequence[ReplicaState], needed: int) -> list[str]:
    """Return the faults of the replicas of a primary.

    Args:
        where: the operator's name for the primary.
        replicas: the replicas as the primary reports them.
        needed: number of replicas that must have a durable write.
    """
    faults = []
    for one in replicas:
        if not one.is_online:
            faults.append(f"{where}: replica {one.place} is not in step yet")
        elif one.lag_s > LATE_S:
            faults.append(f"{where}: replica {one.place} acknowledged nothing for {one.lag_s} s")
        elif one.behind_bytes > BEHIND_BYTES:
            faults.append(f"{where}: replica {one.place} is {one.behind_bytes >> 20} MiB behind")
    ready = sum(one.is_online for one in replicas)
    if ready < needed:
        faults.append(
            f"{where}: {ready} replicas in step, RELAY_VAULT_REPLICAS demands {needed}: no grant and no key can be saved"
        )
    return faults
