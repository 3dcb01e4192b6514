"""The metrics of a worker: partitions, tenants, age of presence, reads. Metrics of notifications: `push.metrics`."""

from __future__ import annotations

from typing import Final

from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import TenantState
from relay.core.presence import Status
from relay.ops.instruments import Counter, Gauge, Histogram
from relay.ops.metric import TENANT_ID, WORKER, Labels, Metric, MetricKind

_WORKER: Final = (WORKER,)
_READ_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LAG_S: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60)
_STATUSES: Final = tuple(status.name.lower() for status in Status)


def _number(name: str, unit: str, meaning: str, question: str, labels: Labels | None = None) -> Gauge:
    """Return a gauge whose values may be added up over workers."""
    return Gauge(
        Metric(
            name=name, kind=MetricKind.UP_DOWN, unit=unit, meaning=meaning, question=question, roles=_WORKER,
            labels=labels or {},
        )
    )  # fmt: skip


def _greatest(name: str, unit: str, meaning: str, question: str, labels: Labels | None = None) -> Gauge:
    """Return a gauge of which only the greatest value counts."""
    return Gauge(
        Metric(
            name=name, kind=MetricKind.GAUGE, unit=unit, meaning=meaning, question=question, roles=_WORKER,
            labels=labels or {},
        ),
        max,
    )  # fmt: skip


def _counter(name: str, unit: str, meaning: str, question: str, labels: Labels | None = None) -> Counter:
    return Counter(
        Metric(
            name=name, kind=MetricKind.COUNTER, unit=unit, meaning=meaning, question=question, roles=_WORKER,
            labels=labels or {},
        )
    )  # fmt: skip


def _histogram(name: str, meaning: str, question: str, bounds: tuple[float, ...]) -> Histogram:
    return Histogram(
        Metric(
            name=name, kind=MetricKind.HISTOGRAM, unit="s", meaning=meaning, question=question, roles=_WORKER,
            bounds=bounds,
        )
    )  # fmt: skip


# Leases and shares

_FAIR: Final = "Is the work spread fairly over the workers?"
PARTITIONS: Final = _number("relay.worker.partitions", "{partition}", "Partitions owned", _FAIR)
COST: Final = _number(
    "relay.worker.cost", "{user}", "Cost of the partitions owned, in watched users who are polled", _FAIR
)
SHARE: Final = _greatest(
    "relay.worker.share",
    "1",
    "Cost of its partitions in proportion to the mean of all live workers; 1 is exactly fair",
    _FAIR,
)
WORKERS: Final = _greatest(
    "relay.worker.workers", "{worker}", "Workers that live, as this one knows", "Are all workers there?"
)
MOVES: Final = _counter(
    "relay.worker.moves", "{partition}", "Partitions taken and handed over", "Do workers come and go?",
    {"partitions": ("taken", "handed_over")},
)  # fmt: skip
LEASES_LOST: Final = _counter(
    "relay.worker.leases.lost", "{lease}", "Leases that ended because they were not renewed in time, or were another's",
    "Is Redis or a worker too slow to keep leases?",
)  # fmt: skip
LEASE_AGE: Final = _greatest(
    "relay.worker.leases.age", "s", "Time since the worker last renewed its leases; about a third of a lease is normal",
    "Is a worker about to lose its leases?",
)  # fmt: skip
HISTORIES_LOST: Final = _counter(
    "relay.worker.histories_lost", "{partition}", "Partitions whose history in Redis was lost, so that all was read again",
    "Did Redis lose writes?",
)  # fmt: skip
INBOX_LAG: Final = _histogram(
    "relay.worker.inbox.lag", "Time from putting a hint into the inbox to reading it at a worker, once a read. By the clocks of Redis and worker",
    "Is a worker behind with suites' requests and notifications?", _LAG_S,
)  # fmt: skip

# Tenants, users, freshness

TENANTS: Final = _number(
    "relay.worker.tenants", "{tenant}", "Tenants at work, by state", "How many tenants are active, suspended, without consent?",
    {"state": tuple(state.value for state in TenantState if state is not TenantState.REMOVED)},
)  # fmt: skip
REPORTED: Final = _number(
    "relay.worker.tenants.reported", "{tenant}", "Tenants at work, by the trouble that is reported to the edges; `none` when all is well",
    "Whose presence cannot be read, and why?", {"status": _STATUSES},
)  # fmt: skip
USERS: Final = _number(
    "relay.worker.users", "{user}", "Users who are read: `pushed` less often, because Graph announces their changes, `polled` at the full rate",
    "How many users are watched, and for how many do notifications work?", {"users": ("pushed", "polled")},
)  # fmt: skip
CONTACT_AGE: Final = _greatest(
    "relay.worker.contact.age", "s", "Time since Microsoft confirmed everything that suites see, of the active tenant with the oldest",
    "How old may presence be, also while nothing changes?",
)  # fmt: skip
INTERVAL: Final = _greatest(
    "relay.worker.poll.interval",
    "s",
    "Longest interval in force between two reads of a polled user",
    "Does Graph's limit slow reads down?",
)
SLOWED: Final = _number(
    "relay.worker.tenants.slowed", "{tenant}", "Tenants that are read more slowly than set, because of Graph's limit or throttling",
    "Does Graph's limit slow reads down?",
)  # fmt: skip
BLOCKED: Final = _number(
    "relay.worker.tenants.blocked",
    "{tenant}",
    "Tenants for which Graph asked to wait, at this moment",
    "Is the relay throttled?",
)
BUDGET_LEFT: Final = Gauge(
    Metric(
        name="relay.worker.budget.left",
        kind=MetricKind.GAUGE,
        unit="1",
        meaning="Share of Graph's request budget that is left, 0 to 1, of the tenant with the least",
        question="How near is a tenant to Graph's limit?",
        roles=_WORKER,
    ),
    min,
)
GRANTS: Final = _number(
    "relay.worker.grants", "{grant}", "Grants, by state", "How many consents work?",
    {"state": tuple(state.value for state in GrantState)},
)  # fmt: skip
GRANT_AGE: Final = _greatest(
    "relay.worker.grants.unrefreshed", "s", "Time since the last refresh of the living grant that was refreshed least recently",
    "Will a consent expire because it is not refreshed?",
)  # fmt: skip
TENANT_USERS: Final = _number(
    "relay.tenant.users",
    "{user}",
    "Users of one tenant who are read",
    "How many users does this tenant watch?",
    TENANT_ID,
)
TENANT_INTERVAL: Final = _greatest(
    "relay.tenant.poll.interval", "s", "Interval in force between two reads of a polled user of one tenant", "Is this tenant read slowly?",
    TENANT_ID,
)  # fmt: skip
TENANT_BUDGET_LEFT: Final = _greatest(
    "relay.tenant.budget.left", "1", "Share of Graph's request budget that one tenant has left, 0 to 1",
    "How near is this tenant to Graph's limit?", TENANT_ID,
)  # fmt: skip

# Reads

READS: Final = _counter(
    "relay.worker.reads", "{read}", "Bulk reads of Graph, by result: `answered`, or the status that users get",
    "Do reads succeed, and if not, why?",
    {"outcome": ("answered", *_STATUSES)},
)  # fmt: skip
READ_DURATION: Final = _histogram(
    "relay.worker.read.duration",
    "Time from asking Graph to having its answer accepted",
    "Are reads slow, at Graph or at Redis?",
    _READ_S,
)
CHANGED: Final = _counter(
    "relay.worker.answers.changed",
    "{answer}",
    "Answers that a read or a notification changed",
    "How much does presence change?",
)
STALE: Final = _counter(
    "relay.worker.answers.stale", "{answer}", "Presences that went stale", "Did suites lose presence that they had?"
)
