"""The metrics of an edge."""

from __future__ import annotations

from typing import Final

from relay.core.presence import Source, Status
from relay.core.watching.values import StartOutcome
from relay.ops.instruments import Counter, Gauge, Histogram
from relay.ops.metric import EDGE, TENANT_ID, Metric, MetricKind

_EDGE: Final = (EDGE,)
_AGE_S: Final = (0.05, 0.1, 0.15, 0.25, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 30, 60, 120, 300)
"""The regular interval is 5 s; 6 s are what suites are promised. Notifications take some seconds."""
_LAG_S: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60)
_CALL_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 60, 600, 3600, 21600)
"""A stream lasts for hours; a refusal comes within milliseconds."""

ANSWER_AGE: Final = Histogram(
    Metric(
        name="relay.edge.answer.age",
        kind=MetricKind.HISTOGRAM,
        unit="s",
        meaning="Time from Graph's answer, or Microsoft's notification, to the write to a stream: one value for each batch that an edge "
        "reads, 20 a second at most, of one answer and one stream. By the clocks of worker and edge",
        question="How old is a change when suites see it?",
        roles=_EDGE,
        labels={"source": tuple(source.name.lower() for source in Source)},
        bounds=_AGE_S,
    )
)
CHANGES_LAG: Final = Histogram(
    Metric(
        name="relay.edge.changes.lag",
        kind=MetricKind.HISTOGRAM,
        unit="s",
        meaning="Time from the store's acceptance of a change to an edge's reading of it, once for each read with answers, some 20 a second at most. By the clocks of Redis and edge",
        question="Is presence stuck between worker and edge?",
        roles=_EDGE,
        bounds=_LAG_S,
    )
)
STREAMS: Final = Gauge(
    Metric(
        name="relay.edge.streams",
        kind=MetricKind.UP_DOWN,
        unit="{stream}",
        meaning="Open streams",
        question="How many suites are connected, and are they spread over the edges?",
        roles=_EDGE,
    )
)
WRITING: Final = Gauge(
    Metric(
        name="relay.edge.streams.writing",
        kind=MetricKind.UP_DOWN,
        unit="{stream}",
        meaning="Streams with a write under way; a write to a suite that does not read stays under way",
        question="Do suites read what they are sent?",
        roles=_EDGE,
    )
)
NAMES: Final = Gauge(
    Metric(
        name="relay.edge.names",
        kind=MetricKind.UP_DOWN,
        unit="{name}",
        meaning="Watched names, each counted once per tenant",
        question="How many users are watched at this edge?",
        roles=_EDGE,
    )
)
TENANTS: Final = Gauge(
    Metric(
        name="relay.edge.tenants",
        kind=MetricKind.UP_DOWN,
        unit="{tenant}",
        meaning="Tenants with open streams, by the trouble that is reported to their suites; `none` when all is well",
        question="How many tenants' suites see presence that may be old, and why?",
        roles=_EDGE,
        labels={"status": tuple(status.name.lower() for status in Status)},
    )
)
DELIVERIES: Final = Counter(
    Metric(
        name="relay.edge.deliveries",
        kind=MetricKind.COUNTER,
        unit="{answer}",
        meaning="Answers sent to streams",
        question="How much does an edge send?",
        roles=_EDGE,
    )
)
BATCHES: Final = Counter(
    Metric(
        name="relay.edge.batches",
        kind=MetricKind.COUNTER,
        unit="{response}",
        meaning="Responses that carried answers",
        question="How many answers does a write carry?",
        roles=_EDGE,
    )
)
CONFLATED: Final = Counter(
    Metric(
        name="relay.edge.conflated",
        kind=MetricKind.COUNTER,
        unit="{answer}",
        meaning="Answers that were not sent, because a newer one of the same user came first",
        question="Do suites read more slowly than presence changes?",
        roles=_EDGE,
    )
)
SLOW_WATCHERS: Final = Counter(
    Metric(
        name="relay.edge.slow_watchers",
        kind=MetricKind.COUNTER,
        unit="{stream}",
        meaning="Streams that were ended because a write was blocked for too long",
        question="Do suites read what they are sent?",
        roles=_EDGE,
    )
)
STARTS: Final = Counter(
    Metric(
        name="relay.edge.starts",
        kind=MetricKind.COUNTER,
        unit="{stream}",
        meaning="Streams that began or were reset, by outcome; `reset` means that history was lost",
        question="Do suites resume, or do they begin from nothing?",
        roles=_EDGE,
        labels={"outcome": tuple(outcome.name.lower() for outcome in StartOutcome)},
    )
)
CALLS: Final = Histogram(
    Metric(
        name="rpc.server.call.duration",
        kind=MetricKind.HISTOGRAM,
        unit="s",
        meaning="Duration of a call, by its end; a stream is one call",
        question="Why do calls of suites end, and how many are refused?",
        roles=_EDGE,
        labels={
            "rpc.system.name": ("grpc",),
            "rpc.method": "methods of the API for suites; `_OTHER` for a refused call of any method",
            "rpc.response.status_code": "gRPC's names",
            "error.type": "the `ErrorReason` that the suite got; absent for `OK`",
        },
        bounds=_CALL_S,
    )
)
TENANT_STREAMS: Final = Gauge(
    Metric(
        name="relay.tenant.streams",
        kind=MetricKind.UP_DOWN,
        unit="{stream}",
        meaning="Open streams of one tenant",
        question="Is this tenant connected?",
        roles=_EDGE,
        labels=TENANT_ID,
    )
)
TENANT_CONTACT_AGE: Final = Gauge(
    Metric(
        name="relay.tenant.contact.age",
        kind=MetricKind.GAUGE,
        unit="s",
        meaning="Time since Microsoft last confirmed everything that suites of one tenant see; absent while nothing was confirmed",
        question="How old may this tenant's presence be?",
        roles=_EDGE,
        labels=TENANT_ID,
    ),
    max,
)
