"""The wait before the next stream: exponential backoff with full jitter, so that suites do not all reconnect at once."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST: Final = timedelta(seconds=0.5)
"""Upper limit of the first wait."""
LONGEST: Final = timedelta(seconds=30)
"""Upper limit of any wait, unless the relay requests a longer one."""
PROVEN_AFTER: Final = timedelta(seconds=10)
"""After a stream that lasted this long, backoff starts again at the first wait."""

NO_WAIT: Final = timedelta(0)


class Backoff:
    """The waits between the streams of one client."""

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._attempt = 0
        self._went_at_once = False

    def after(self, lasted: timedelta, *, at_once: bool = False, at_least: timedelta | None = None) -> timedelta:
        """Return the wait before the next stream, after one ended.

        Args:
            lasted: time from the first response of the stream to its end; zero if none came.
            at_once: the relay's reason allows an immediate retry. Only one is made until a stream has lasted `PROVEN_AFTER`.
            at_least: the wait that the relay requested. Jitter is added, because the relay sends the same wait to all suites.
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
