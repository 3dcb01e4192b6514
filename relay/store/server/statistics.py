"""Commands and scripts by name, outcome and duration.

`CommandStatistics.observed` surrounds every command of every node. It is the one place at which the span of one is opened.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, nullcontext
from time import perf_counter
from typing import TYPE_CHECKING, Final

from relay.store.server.metrics import COMMANDS
from relay.store.server.spans import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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

    @contextmanager
    def observed(self, command: str) -> Iterator[None]:
        """Count what runs inside as one run of `command`."""
        outcome, begun = OK, perf_counter()
        try:
            with COMMAND.within() as span:
                if span:
                    span.rename(f"redis {command}")
                    span.note("db.system.name", "redis")
                    span.note("db.operation.name", command)
                yield
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            COMMANDS.record(perf_counter() - begun, "redis", command, "" if outcome == OK else outcome)
            self.counts[command, outcome] += 1
