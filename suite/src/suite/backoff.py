"""The wait before the next stream: full jitter, so that suites that lost the relay together do not come back together."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST: Final = timedelta(seconds=0.5)
"""The most that the first wait takes."""
LONGEST: Final = timedelta(seconds=30)
"""The most that any wait takes, unless the relay asks for more."""
PROVEN_AFTER: Final = timedelta(seconds=10)
"""A stream that lasted this long was a good one: the next failure starts at the first wait again."""

NO_WAIT: Final = timedelta(0)


class Backoff:
    """The waits between the streams of one client."""

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._attempt = 0
        self._went_at_once = False

    def after(self, lasted: timedelta, *, at_once: bool = False, at_least: timedelta | None = None) -> timedelta:
        """Return the wait before the next stream, now that one ended.

        Args:
            lasted: time from the first response of the stream to its end; zero if none came.
            at_once: the relay's reason allows going on at once; granted once, until a stream has proven itself.
            at_least: the wait that the relay asked for. Jitter is added to it, because it asks everyone for the same.
        """
        if lasted >= PROVEN_AFTER:
            self._attempt = 0
            self._went_at_once = False
        if at_once and not self._went_at_once:
            self._went_at_once = True
            return NO_WAIT
        ceiling = min(LONGEST, FIRST * 2 ** min(self._attempt, 16))
        self._attempt += 1
        return (at_least or NO_WAIT) + timedelta(seconds=self._uniform(0, ceiling.total_seconds()))
