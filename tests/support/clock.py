"""A clock for tests: it goes with real time, and a test may step it forward, or stop it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class _Due:
    """A call in the queue of a clock."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Drop the call."""
        self.call = None


class SteppedClock:
    """A `relay.ops.clock.Clock`. What sleeps by it wakes in real time, unless `advance` comes first.

    Args:
        is_stopped: time moves by `advance` alone, for tests of exact times.
        wall: the time of day at first; that of this machine when it is left out.
    """

    def __init__(self, *, is_stopped: bool = False, wall: datetime | None = None) -> None:
        self._is_stopped = is_stopped
        self._began = time.monotonic()
        self._began_wall = wall or datetime.now(UTC)
        self._ahead_s = 0.0
        self._queue: list[tuple[float, int, _Due]] = []
        self._order = itertools.count()
        self._handle: asyncio.TimerHandle | None = None

    def monotonic(self) -> float:
        """Return real monotonic time and what was stepped; the time of making the clock when it is stopped."""
        return (self._began if self._is_stopped else time.monotonic()) + self._ahead_s

    def wall(self) -> datetime:
        """Return the time of day, which moves as `monotonic` does."""
        return self._began_wall + timedelta(seconds=self.monotonic() - self._began)

    def set_wall(self, to: datetime) -> None:
        """Set the time of day, as an operator or NTP does; `monotonic` goes on as before."""
        self._began_wall += to - self.wall()

    async def sleep(self, seconds: float) -> None:
        """Return when the clock has moved by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self.call_at(self.monotonic() + seconds, lambda: None if over.done() else over.set_result(None))
        try:
            await over
        finally:
            due.cancel()

    def call_at(self, when: float, call: Callable[[], None]) -> _Due:
        """Make a call when the clock reaches `when`, soon after the present at the earliest."""
        due = _Due(call)
        heapq.heappush(self._queue, (when, next(self._order), due))
        self._set_timer()
        return due

    @property
    def waiting(self) -> int:
        """The number of calls and sleeps that are due later."""
        return sum(due.call is not None for _, _, due in self._queue)

    def advance(self, seconds: float) -> None:
        """Step forward, making all calls that fall due on the way, in their order. Sleeping tasks go on afterwards."""
        target = self.monotonic() + seconds
        while self._queue and self._queue[0][0] <= target:
            self._ahead_s += max(0.0, self._queue[0][0] - self.monotonic())
            self._make_next()
        self._ahead_s += max(0.0, target - self.monotonic())
        self._set_timer()

    def _make_next(self) -> None:
        _, _, due = heapq.heappop(self._queue)
        call, due.call = due.call, None
        if call is not None:
            call()

    def _set_timer(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._queue and not self._is_stopped:
            delay_s = max(0.0, self._queue[0][0] - self.monotonic())
            self._handle = asyncio.get_running_loop().call_later(delay_s, self._make_due)

    def _make_due(self) -> None:
        while self._queue and self._queue[0][0] <= self.monotonic():
            self._make_next()
        self._set_timer()
