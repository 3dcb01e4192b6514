"""The spans of an edge."""

from __future__ import annotations

from typing import Final

from opentelemetry.trace import SpanKind

from relay.ops.metric import EDGE
from relay.ops.span import TENANT, SpanType

DELIVER: Final = SpanType(
    name="relay.edge.deliver",
    meaning="An entry of `changes` is delivered to the streams of its tenant. It was in Redis since the end of the worker's `relay.worker.accept`",
    roles=(EDGE,),
    kind=SpanKind.CONSUMER,
    attributes={
        "relay.answers": "answers in the entry",
        "relay.streams": "open streams of the tenant",
        TENANT: "the tenant, if `RELAY_TELEMETRY_TENANTS` names it",
    },
)
WRITE: Final = SpanType(
    name="relay.edge.write",
    meaning="From the answer's arrival in a stream's outbox to the end of the write that carries it, or a newer answer of the same user. "
    "Some streams of those that watch the user have one; the stream's `relay.edge.open` is linked, if it was traced",
    roles=(EDGE,),
    kind=SpanKind.PRODUCER,
    attributes={
        "relay.wait": "seconds of it before the write began: the pause between two writes of a busy stream, or an earlier write"
    },
)
OPEN: Final = SpanType(
    name="relay.edge.open",
    meaning="A stream is opened: from its call until its names are counted and it gets the tenant's entries. Its writes are linked to it",
    roles=(EDGE,),
    kind=SpanKind.SERVER,
    attributes={
        "relay.users": "names that the stream watches",
        TENANT: "the tenant, if `RELAY_TELEMETRY_TENANTS` names it",
    },
)
