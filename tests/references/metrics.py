"""The page of metrics: the descriptions of the instruments that the roles make."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Final

import onboarding
import relay
from relay.ops.instruments import EXPORTED
from relay.ops.metric import EVERY, Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "Freshness": (
        "relay.edge.answer.age",
        "relay.edge.changes.lag",
        "relay.worker.contact.age",
        "relay.worker.inbox.lag",
        "relay.worker.read.duration",
    ),
    "Suites and streams": ("relay.edge.", "rpc.server.", "relay.suite_keys."),
    "Tenants and reads": (
        "relay.worker.answers.",
        "relay.worker.budget.",
        "relay.worker.poll.",
        "relay.worker.reads",
        "relay.worker.tenants",
        "relay.worker.users",
    ),
    "Graph, Entra and consent": ("relay.graph.", "http.client.", "relay.entra.", "relay.worker.grants"),
    "Change notifications": (
        "relay.webhook.",
        "relay.worker.notifications.",
        "relay.worker.subscription",
        "relay.worker.changes",
    ),
    "Partitions and leases": ("relay.worker.",),
    "Redis": ("db.", "relay.store."),
    "Pages, webhook and alerts": ("http.server.", "relay.http.", "relay.onboarding.", "relay.alerts"),
    "Every process": ("process.", "relay.process.", "relay.event_loop.", "relay.credential.", "relay.telemetry."),
    "One tenant": ("relay.tenant.",),
}
"""Section -> beginnings of the names of its metrics; the first section that fits has a metric."""

_HEAD: Final = """# Metrics

Every role exports its metrics on the ops port (9090), at `/metrics`, in Prometheus' format. With `RELAY_TELEMETRY_OTLP_ENDPOINT` they also go to a collector by
OTLP over gRPC, under the names with dots. Names and units follow OpenTelemetry's semantic conventions where these have the subject; the others begin
with `relay.`. The resource (`target_info` in Prometheus) names the process: `service.name` is `presence-relay`, `relay.roles` has its roles. This page is
generated: `make docs`.

No label has a user. A tenant is a label only in metrics that begin with `relay.tenant.`, and only the tenants of `RELAY_TELEMETRY_TENANTS` (100 at most) have
them. An up-down counter may be summed over all processes; of a gauge, take the greatest (or least). Counters whose labels are all known begin with 0, so the first
event is an increase.

A scrape within half a second of another gets the same text. Numbers of a worker's tenants are at most five seconds old.

`/livez` answers while the process lives. `/readyz` answers 200 while all of its parts work: [readiness](../operate/credentials.md#readiness).
"""
_OF_PROCESSES: Final = """## Several processes on one machine

`serve edge --processes` answers for all its processes. Each sample has the label `process`.

| in Prometheus | kind | meaning |
| --- | --- | --- |
| `relay_process_up` | gauge | 1 while the process answers |
| `relay_process_starts_total` | counter | Starts of the process |

"""


@cache
def described() -> Mapping[str, Metric]:
    """Return name -> metric, of all instruments that any module of the relay makes."""
    for package in (relay, onboarding):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(("metrics", "expiry", "refused_requests")):
                importlib.import_module(module.name)
    return {one.metric.name: one.metric for one in sorted(EXPORTED, key=lambda one: one.metric.name)}


def section_of(name: str) -> str | None:
    """Return the section of a metric; None when it has none."""
    return next((section for section, beginnings in SECTIONS.items() if name.startswith(beginnings)), None)


def metrics_page() -> str:
    """Return the page of metrics."""
    lines = [_HEAD]
    for section in SECTIONS:
        lines += [
            f"## {section}",
            "",
            "| metric | meaning | labels | exported by | question |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [_row(metric) for name, metric in described().items() if section_of(name) == section]
        lines.append("")
    return "\n".join([*lines, _OF_PROCESSES]).rstrip() + "\n"


def _row(metric: Metric) -> str:
    unit = f", {metric.unit.strip('{}')}" if metric.unit != "1" else ""
    name = f"`{metric.prometheus_name}`<br>`{metric.name}`<br>{metric.kind}{unit}"
    labels = "<br>".join(f"`{label}`: {_values(values)}" for label, values in metric.prometheus_labels.items())
    roles = "every role" if metric.roles == EVERY else ", ".join(metric.roles)
    return f"| {name} | {metric.meaning} | {labels} | {roles} | {metric.question} |"


def _values(values: Iterable[str] | str) -> str:
    return values if isinstance(values, str) else ", ".join(f"`{value}`" for value in values)
