"""Statistics of commands and scripts by name, outcome and duration: counted in plain integers, read at a scrape.

`CommandStatistics.observed` surrounds every command of every node. It is the one place at which a span would be opened.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, nullcontext
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    Observer = Callable[[str], AbstractContextManager[None]]
    """A function that surrounds each command; it is given the command's or the script's name."""

OK: Final = "ok"


def unobserved(command: str) -> AbstractContextManager[None]:
    """Count nothing."""
    return nullcontext()


class CommandStatistics:
    """The commands and scripts of one store, by name and outcome. A blocking read counts with the time for which it waits."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        """(command, outcome) -> how often. The outcome is `OK` or the name of the error's class."""
        self.times_ns: Counter[str] = Counter()
        """Command -> how long all of them took together, in nanoseconds."""

    @contextmanager
    def observed(self, command: str) -> Iterator[None]:
        """Count what runs inside as one run of `command`."""
        outcome, begun_ns = OK, perf_counter_ns()
        try:
            yield
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            self.times_ns[command] += perf_counter_ns() - begun_ns
            self.counts[command, outcome] += 1

    def expose(self) -> None:
        """Have the counts read at each scrape from now on."""
        meter = metrics.get_meter("relay.store")
        meter.create_observable_counter(
            "relay.store.commands", [self._read_counts], description="Commands and scripts run at Redis, by outcome"
        )
        meter.create_observable_counter(
            "relay.store.command.time", [self._read_times], unit="s", description="Total time of commands and scripts"
        )

    def _read_counts(self, _options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        for (command, outcome), count in self.counts.items():
            yield metrics.Observation(count, {"command": command, "outcome": outcome})

    def _read_times(self, _options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        for command, time_ns in self.times_ns.items():
            yield metrics.Observation(time_ns / 1e9, {"command": command})
