"""Decides when a process that has ended is started again. (Pure.)

ended ──► a pause of 1, 2, 4, 8 s ──► started ──► ran for a minute: the next pause is 1 s again
                                        └──► ended sooner five times in a row: the whole stops
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

MOST_SHORT_RUNS: Final = 5
"""Runs of less than `WELL_AFTER_S` in a row, after which starting again is of no use. With their pauses that is a quarter of a minute
beside the runs themselves: a fault that passes by itself is over by then, or lasts, and somebody must look."""
WELL_AFTER_S: Final = 60.0
FIRST_PAUSE: Final = timedelta(seconds=1)


@dataclass(slots=True)
class Restarts:
    """The history of one place among the processes.

    Attributes:
        first_pause_s: after the first short run.
        short_runs: in a row, up to now.
    """

    first_pause_s: float = FIRST_PAUSE.total_seconds()
    short_runs: int = 0

    def pause_after(self, ran_s: float) -> float | None:
        """Return the seconds to wait before a process that ran for `ran_s` is started again; None when it must not be."""
        self.short_runs = 0 if ran_s >= WELL_AFTER_S else self.short_runs + 1
        if self.short_runs >= MOST_SHORT_RUNS:
            return None
        return float(self.first_pause_s * 2.0 ** max(0, self.short_runs - 1))
