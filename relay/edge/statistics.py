"""The edge in numbers: metrics for operators, and one value for the owner of an `EdgeServer`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from relay.core.presence import TenantId
    from relay.core.watching.values import StartOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeStatistics:
    """One edge at one moment.

    Attributes:
        streams: open streams.
        leaving: streams whose suites were asked to leave.
        writing: streams with a write under way: of a suite that does not read, it stays so.
        joined: tenant id -> its streams that get entries.
        calls: tenant id -> its calls that have a place.
        waiting_calls: calls that wait for their start, which may name a place that they can take.
        unverified_calls: calls whose suite key is not verified, or was found wrong.
        names: watched names, each once a tenant.
        interest_tenants: tenants of which the store has names, or is to have them changed.
        audited_names: names that the audit of watches holds, each once a suite.
        partitions: partitions that are read.
        tasks: short tasks under way.
        is_store_away: whether the store did not answer last.
        is_draining: whether the edge has begun to stop.
    """

    streams: int
    leaving: int
    writing: int
    joined: Mapping[TenantId, int]
    calls: Mapping[TenantId, int]
    waiting_calls: int
    unverified_calls: int
    names: int
    interest_tenants: int
    audited_names: int
    partitions: int
    tasks: int
    is_store_away: bool
    is_draining: bool


class EdgeCounters:
    """The metrics of an edge, counted in plain integers: the fan-out has no time for more.

    Attributes:
        streams: open streams.
    """

    def __init__(self, names: Callable[[], int]) -> None:
        """Register the metrics.

        Args:
            names: returns how many names are watched.
        """
        self.streams = 0
        self._outcomes: Counter[StartOutcome] = Counter()
        self._deliveries = self._batches = self._slow = 0
        meter = metrics.get_meter("relay.edge")
        gauge, counter = meter.create_observable_gauge, meter.create_observable_counter
        gauge("relay.edge.streams", [self._of(lambda: self.streams)], description="Open streams")
        gauge("relay.edge.names", [self._of(names)], description="Names watched here")
        counter("relay.edge.deliveries", [self._of(lambda: self._deliveries)], description="Answers sent to streams")
        counter("relay.edge.batches", [self._of(lambda: self._batches)], description="Responses that carried them")
        counter("relay.edge.slow_watchers", [self._of(lambda: self._slow)], description="Streams ended: not reading")
        counter("relay.edge.starts", [self._by_outcome], description="Beginnings of streams, by outcome")

    def sent(self, deliveries: int, batches: int) -> None:
        """Count answers that go out, and the responses that carry them."""
        self._deliveries += deliveries
        self._batches += batches

    def began(self, outcome: StartOutcome) -> None:
        """Count a stream that began, or began anew."""
        self._outcomes[outcome] += 1

    def slow(self) -> None:
        """Count a stream that was ended because its suite did not read."""
        self._slow += 1

    def _of(self, read: Callable[[], int]) -> Any:
        return lambda _options: [metrics.Observation(read())]

    def _by_outcome(self, _options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        return [metrics.Observation(n, {"outcome": outcome.name.lower()}) for outcome, n in self._outcomes.items()]
