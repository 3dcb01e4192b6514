"""Commands and scripts by name, outcome and duration.

`CommandStatistics.observed` wraps every command on every node. Only this context opens the span of a command.
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
    """A function that returns a context for each command, from the name of the command or script."""

OK: Final = "ok"


def unobserved(command: str) -> AbstractContextManager[None]:
    """Count nothing."""
    return nullcontext()


class CommandStatistics:
    """The commands and scripts of one store, by name and outcome. The duration of a blocking read includes its wait."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        """(command, outcome) -> number of runs. The outcome is `OK` or the name of the error's class."""

    @contextmanager
    def observed(self, command: str) -> Iterator[None]:
        """Return a context that counts as one run of `command`."""
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
