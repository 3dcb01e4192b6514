"""The spans of a worker."""

from __future__ import annotations

from typing import Final

from opentelemetry.trace import SpanKind

from relay.ops.metric import WORKER
from relay.ops.span import TENANT, SpanType

_WORKER: Final = (WORKER,)
_TENANT: Final = {TENANT: "the tenant, if `RELAY_TELEMETRY_TENANTS` names it"}

READ: Final = SpanType(
    name="relay.worker.read",
    meaning="One read of users: from the request to Graph until what changed is stored. Where a notification was the reason, the span follows the "
    "notification's; those of further notifications are linked",
    roles=_WORKER,
    attributes={
        "relay.users": "users that were asked for",
        "relay.announced": "of them, users whose change a notification announced",
        "relay.changed": "users who have another state than before",
        **_TENANT,
    },
)
TAKE_IN: Final = SpanType(
    name="relay.worker.take_in",
    meaning="The notifications of one hint: from opening them until those that are surely newer are stored. The others are read",
    roles=_WORKER,
    kind=SpanKind.CONSUMER,
    attributes={
        "relay.notifications": "notifications in the hint",
        "relay.opened": "of them, those that had content and could be opened",
        **_TENANT,
    },
)
ACCEPT: Final = SpanType(
    name="relay.worker.accept",
    meaning="Changed answers are stored and appended to `changes`; edges go on from here",
    roles=_WORKER,
    kind=SpanKind.PRODUCER,
    attributes={"relay.answers": "answers", "relay.refused": "of them, answers older than what is stored"},
)
