"""Waits of loops, by a clock that is passed in: for an event with a time limit, and for work at intervals."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.ops.clock import Clock


class Cadence:
    """Decides when work at intervals is due. The first time is at once.

    After a late round the interval starts again: missed rounds are not made up for.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._last = float("-inf")

    def take(self, now: float) -> bool:
        """Return whether the work is due, and if so start the next interval; `now` by the monotonic clock."""
        if now - self._last < self._every_s:
            return False
        self._last = now
        return True

    def wait(self, now: float) -> float:
        """Return the seconds until the work is due."""
        return max(0.0, self._last + self._every_s - now)


async def wait_until_set(clock: Clock, event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event for at most this many seconds of the clock; return whether it is set."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as limit:
            timer = clock.call_at(clock.monotonic() + seconds, lambda: limit.reschedule(loop.time()))
            try:
                await event.wait()
            finally:
                timer.cancel()
    except TimeoutError:
        return False
    return True
