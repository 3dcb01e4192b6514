"""Waits of loops, by a clock that is passed in: for an event with a limit, and for work at intervals."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.ops.clock import Clock


class Cadence:
    """Says when something is due that is to be done once in a while. Its first time is at once.

    A round that comes late counts from when it came: rounds are never made up for.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._last = float("-inf")

    def take(self, now: float) -> bool:
        """Return whether it is time, and begin to wait for the next time if so; `now` by the monotonic clock."""
        if now - self._last < self._every_s:
            return False
        self._last = now
        return True

    def wait(self, now: float) -> float:
        """Return in how many seconds it is due."""
        return max(0.0, self._last + self._every_s - now)


async def wait_until_set(clock: Clock, event: asyncio.Event, seconds: float) -> bool:
    """Wait until the event is set, for so many seconds of the clock at most; return whether it is set."""
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
