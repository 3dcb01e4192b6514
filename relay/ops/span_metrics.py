"""The metric of traces."""

from __future__ import annotations

from typing import Final

from relay.ops.instruments import Counter
from relay.ops.metric import EVERY, Metric, MetricKind

SPANS: Final = Counter(
    Metric(
        name="relay.telemetry.spans",
        kind=MetricKind.COUNTER,
        unit="{span}",
        meaning="Spans that were made, by what became of them: sent to the collector, not taken by it, or dropped because too many waited",
        question="Are traces complete?",
        roles=EVERY,
        labels={"outcome": ("sent", "refused", "dropped")},
    )
)
