"""The metrics of subscriptions and notifications."""

from __future__ import annotations

import enum
from typing import Final

from relay.core.push.subscription import PushFault
from relay.ops.instruments import Counter, Gauge
from relay.ops.metric import WORKER, Metric, MetricKind

_WORKER: Final = (WORKER,)


class SubscriptionCondition(enum.StrEnum):
    """The condition of a grant's subscription."""

    HEALTHY = "healthy"
    LOSSY = "lossy"
    SILENT = "silent"
    REFUSED = "refused"
    PENDING = "pending"
    """Wanted, but not requested yet."""


SUBSCRIPTIONS: Final = Gauge(
    Metric(
        name="relay.worker.subscriptions",
        kind=MetricKind.UP_DOWN,
        unit="{subscription}",
        meaning="Subscriptions at Graph, by condition: `lossy` does not announce some changes, `silent` announces none, `refused` and "
        "`pending` do not exist although users are to be in them",
        question="Do change notifications work?",
        roles=_WORKER,
        labels={"condition": tuple(each.value for each in SubscriptionCondition)},
    )
)
STEPS: Final = Counter(
    Metric(
        name="relay.worker.subscription.steps",
        kind=MetricKind.COUNTER,
        unit="{step}",
        meaning="Steps in the life of subscriptions, refusals of Graph's among them",
        question="Which steps succeed, and why does Graph refuse others?",
        roles=_WORKER,
        labels={
            "outcome": (
                *("created", "adopted", "renewed", "deleted", "stray_deleted", "gone", "silent"),
                *(fault.name.lower() for fault in PushFault if fault is not PushFault.SILENT),
            )
        },
    )
)
NOTIFICATIONS: Final = Counter(
    Metric(
        name="relay.worker.notifications.taken",
        kind=MetricKind.COUNTER,
        unit="{user}",
        meaning="Announced users, by result: `accepted` directly, `unchanged`, or `read` because it was not certainly newer",
        question="Are notifications useful?",
        roles=_WORKER,
        labels={"outcome": ("accepted", "unchanged", "read")},
    )
)
NOT_OPENED: Final = Counter(
    Metric(
        name="relay.worker.notifications.not_opened",
        kind=MetricKind.COUNTER,
        unit="{notification}",
        meaning="Notifications that cannot be trusted or read, by reason",
        question="Does a worker lack a certificate, or are notifications forged?",
        roles=_WORKER,
        labels={"reason": ("certificate", "content", "key", "malformed", "padding", "signature", "thumbprint")},
    )
)
CHANGES: Final = Counter(
    Metric(
        name="relay.worker.changes",
        kind=MetricKind.COUNTER,
        unit="{change}",
        meaning="Changes of users in subscriptions, by whether Graph announced them",
        question="How many changes does Graph not announce?",
        roles=_WORKER,
        labels={"announced": ("true", "false")},
    )
)
