"""Decides when a process that has ended is restarted. (Pure.)

ended ──► a pause of 1, 2, 4, 8 s ──► started ──► ran for a minute: the next pause is 1 s again
                                        └──► ended sooner five times in a row: the supervisor stops
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

MOST_SHORT_RUNS: Final = 5
"""Short runs (less than `WELL_AFTER_S`) in a row after which restarts stop. Their pauses take a quarter of a minute in
addition to the runs: a temporary fault is over by then, and any other needs an operator."""
WELL_AFTER_S: Final = 60.0
FIRST_PAUSE: Final = timedelta(seconds=1)


@dataclass(slots=True)
class Restarts:
    """The history of one place among the processes.

    Attributes:
        first_pause_s: after the first short run.
        short_runs: the number of short runs in a row so far.
    """

    first_pause_s: float = FIRST_PAUSE.total_seconds()
    short_runs: int = 0

    def pause_after(self, ran_s: float) -> float | None:
        """Return the seconds to wait before a process that ran for `ran_s` is restarted; None when it must not be restarted."""
        self.short_runs = 0 if ran_s >= WELL_AFTER_S else self.short_runs + 1
        if self.short_runs >= MOST_SHORT_RUNS:
            return None
        return float(self.first_pause_s * 2.0 ** max(0, self.short_runs - 1))
