"""The metrics of the store, of every role."""

from __future__ import annotations

from typing import Final

from relay.ops.instruments import Counter, Gauge, Histogram
from relay.ops.metric import EVERY, Metric, MetricKind

COMMANDS: Final = Histogram(
    Metric(
        name="db.client.operation.duration",
        kind=MetricKind.HISTOGRAM,
        unit="s",
        meaning="Duration of a command, script or pipeline at Redis. A blocking read includes its wait",
        question="Is Redis slow or refusing, and with which commands?",
        roles=EVERY,
        labels={
            "db.system.name": ("redis",),
            "db.operation.name": "names of commands (`XREAD`), and of scripts (`accept`)",
            "error.type": "the class of the relay's error; absent on success",
        },
        bounds=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0),
    )
)
READY: Final = Gauge(
    Metric(
        name="relay.store.ready",
        kind=MetricKind.GAUGE,
        unit="1",
        meaning="Whether Redis can be used: 1 while every server answers, is a primary and accepts writes, else 0",
        question="Can this process work with Redis?",
        roles=EVERY,
    ),
    min,
)
FAILOVERS: Final = Counter(
    Metric(
        name="relay.store.failovers",
        kind=MetricKind.COUNTER,
        unit="{failover}",
        meaning="Times that a process found that another Redis server is primary, or that one is no longer primary",
        question="Did Redis fail over?",
        roles=EVERY,
    )
)
DURABLE_WRITES: Final = Counter(
    Metric(
        name="relay.store.durable_writes",
        kind=MetricKind.COUNTER,
        unit="{write}",
        meaning="Writes of custody (tenants, grants, suite keys), by whether Redis confirmed that they are on disk",
        question="Is what cannot be read again safe?",
        roles=EVERY,
        labels={"outcome": ("confirmed", "not_confirmed")},
    )
)
