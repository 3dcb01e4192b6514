"""Instruments: plain integers and functions that are read at a scrape, and histograms.

A module makes its instruments once, when it is imported, each with its description (`metric`). Every `Telemetry` of the
process exports them, whether it was created before or after them. Counting takes one dictionary step; recording in a
histogram takes some 5 us, so no code records for each delivery.
"""

from __future__ import annotations

import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.metrics import Observation

from relay.ops.metric import Metric, MetricKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from opentelemetry.metrics import CallbackOptions, Meter
    from opentelemetry.metrics import Histogram as OtelHistogram

Reading = float | Mapping[tuple[str, ...], float]
"""One number, or values of the labels in their order -> number."""
Read = Callable[[], Reading]


class Instruments:
    """All instruments of the process, and the meters that export them."""

    def __init__(self) -> None:
        self._all: dict[str, Instrument] = {}
        self._meters: list[tuple[Meter, frozenset[str]]] = []
        self.tenants: frozenset[str] = frozenset()
        """Tenants with series of their own, in metrics that begin with `relay.tenant.`."""

    def __iter__(self) -> Iterator[Instrument]:
        return iter(list(self._all.values()))

    def add(self, instrument: Instrument) -> None:
        """Export an instrument from now on.

        Raises:
            ValueError: the name is taken.
        """
        name = instrument.metric.name
        if name in self._all:
            raise ValueError(f"two instruments are called {name}")
        self._all[name] = instrument
        for meter, roles in self._meters:
            instrument.expose(meter, roles)

    @contextmanager
    def exporting(self, meter: Meter, roles: Collection[str]) -> Iterator[None]:
        """Export all instruments with this meter while the context lasts, including those that are created meanwhile."""
        self._meters.append((meter, frozenset(roles)))
        for instrument in self:
            instrument.expose(meter, roles)
        try:
            yield
        finally:
            self._meters = [known for known in self._meters if known[0] is not meter]
            for instrument in self:
                instrument.withdraw(meter)


EXPORTED: Final = Instruments()
"""The instruments of this process."""


class Instrument:
    """One metric of this process.

    Attributes:
        metric: its description.
    """

    def __init__(self, metric: Metric, instruments: Instruments = EXPORTED) -> None:
        self.metric = metric
        instruments.add(self)

    def expose(self, meter: Meter, roles: Collection[str]) -> None:
        """Export it with this meter of a process with these roles."""
        raise NotImplementedError

    def withdraw(self, meter: Meter) -> None:
        """Stop exporting with this meter."""

    def _labelled(self, values: tuple[str, ...]) -> dict[str, str]:
        return dict(zip(self.metric.labels, values, strict=True))


class Counter(Instrument):
    """A number of events, for each combination of labels."""

    def __init__(self, metric: Metric, instruments: Instruments = EXPORTED) -> None:
        self._counts: Tally[tuple[str, ...]] = Tally()
        self._lock = threading.Lock()
        self._of_threads: Tally[tuple[str, ...]] = Tally()
        super().__init__(metric, instruments)

    @property
    def counts(self) -> Mapping[tuple[str, ...], int]:
        """Return values of the labels -> events so far."""
        with self._lock:
            return {values: count + self._of_threads[values] for values, count in self._counts.items()}

    def add(self, count: int = 1, *values: str) -> None:
        """Count events on the event loop; `values` are those of the labels, in their order."""
        self._counts[values] += count

    def add_in_thread(self, count: int = 1, *values: str) -> None:
        """Count events in another thread than the event loop's."""
        with self._lock:
            self._of_threads[values] += count
            self._counts.setdefault(values, 0)

    def expose(self, meter: Meter, roles: Collection[str]) -> None:
        """Export it; in roles that use it, its known series begin with 0."""
        metric = self.metric
        if not set(roles).isdisjoint(metric.roles):
            for values in metric.seeds():
                self._counts.setdefault(values, 0)
        meter.create_observable_counter(metric.name, [self._observe], metric.unit, metric.meaning)

    def _observe(self, _options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(count, self._labelled(values)) for values, count in self.counts.items()]


class Gauge(Instrument):
    """A number that is read at a scrape from every part that provides it; without such a part it is not exported."""

    def __init__(
        self,
        metric: Metric,
        combined: Callable[[Iterable[float]], float] = sum,
        instruments: Instruments = EXPORTED,
    ) -> None:
        """Make the instrument.

        Args:
            metric: its description.
            combined: combines the numbers of several parts of the process into one.
            instruments: the set that it is exported with.
        """
        self._combined = combined
        self._readers: list[Read] = []
        super().__init__(metric, instruments)

    @contextmanager
    def reading(self, read: Read) -> Iterator[None]:
        """Export what `read` returns while the context lasts."""
        self._readers.append(read)
        try:
            yield
        finally:
            self._readers.remove(read)

    def now(self) -> dict[tuple[str, ...], float]:
        """Return values of the labels -> number, at this moment."""
        found: dict[tuple[str, ...], list[float]] = {}
        for read in self._readers:
            reading = read()
            for values, number in (reading if isinstance(reading, Mapping) else {(): reading}).items():
                found.setdefault(values, []).append(number)
        return {values: self._combined(numbers) for values, numbers in found.items()}

    def expose(self, meter: Meter, roles: Collection[str]) -> None:
        """Export it."""
        kinds: dict[MetricKind, Callable[..., Any]] = {
            MetricKind.COUNTER: meter.create_observable_counter,
            MetricKind.UP_DOWN: meter.create_observable_up_down_counter,
            MetricKind.GAUGE: meter.create_observable_gauge,
        }
        metric = self.metric
        kinds[metric.kind](metric.name, [self._observe], metric.unit, metric.meaning)

    def _observe(self, _options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(number, self._labelled(values)) for values, number in self.now().items()]


class Histogram(Instrument):
    """Values in buckets. Threads may record."""

    def __init__(self, metric: Metric, instruments: Instruments = EXPORTED) -> None:
        self._exposed: dict[Meter, OtelHistogram] = {}
        super().__init__(metric, instruments)

    def record(self, value: float, *values: str) -> None:
        """Record a value; `values` are those of the labels, in their order. Labels with an empty text are left out."""
        if not self._exposed:
            return
        labels = {label: text for label, text in self._labelled(values).items() if text}
        for histogram in tuple(self._exposed.values()):
            histogram.record(value, labels)

    def expose(self, meter: Meter, roles: Collection[str]) -> None:
        """Export it."""
        metric = self.metric
        bounds = [float(bound) for bound in metric.bounds]  # le="6.0" and never le="6": rules compare the text
        self._exposed[meter] = meter.create_histogram(
            metric.name, metric.unit, metric.meaning, explicit_bucket_boundaries_advisory=bounds
        )

    def withdraw(self, meter: Meter) -> None:
        """Stop recording for this meter."""
        self._exposed.pop(meter, None)


@contextmanager
def reading(readers: Mapping[Gauge, Read]) -> Iterator[None]:
    """Export what these functions return while the context lasts."""
    with ExitStack() as stack:
        for gauge, read in readers.items():
            stack.enter_context(gauge.reading(read))
        yield
