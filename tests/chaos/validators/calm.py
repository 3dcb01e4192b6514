"""The time that counts for a promise: no fault is in force, and those before were overcome."""

from __future__ import annotations

import math

from tests.chaos.record import Calm, Record, Trouble


class CalmTime:
    """When nothing was wrong in a run."""

    def __init__(self, record: Record) -> None:
        calms = record.of(Calm)
        self._bad: list[tuple[float, float]] = []
        for trouble in record.of(Trouble):
            right = min((calm.right for calm in calms if calm.right >= trouble.until), default=math.inf)
            self._bad.append((trouble.at, right))
        self._bad.sort()

    def seconds(self, since: float, until: float) -> float:
        """Return how much of a span counts."""
        counted, at = 0.0, since
        for begin, end in self._bad:
            if begin > at:
                counted += max(0.0, min(begin, until) - at)
            at = max(at, end)
            if at >= until:
                return counted
        return counted + max(0.0, until - at)

    def holds(self, at: float) -> bool:
        """Return whether nothing was wrong at an instant."""
        return not any(begin <= at <= end for begin, end in self._bad)
