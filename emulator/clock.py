"""A clock that can be scaled, stopped and stepped, and its queue of scheduled work."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 500
"""Number of due entries to run before yielding to the event loop: some 5 ms of work."""


TICK_S = 0.01
"""Shortest pause of the queue: with 100,000 people an entry is always due, and waking up costs more than running it."""


SWEEP_AT = 10_000
"""Length of the queue from which cancelled entries are swept, when they may be half of it."""


def written(utc: float) -> str:
    """Return a time (seconds since 1970) as Graph writes it, with seven digits."""
    return f"{datetime.fromtimestamp(utc, UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


class Due:
    """One scheduled call at a time of the world. `cancel` may be called at any time."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Cancel the call. The queue drops it when its time comes, or when the queue has grown by half."""
        self.call = None


class Clock:
    """The world's time in seconds, and one queue for all its events.

    World time is wall time multiplied by `speed`, plus all steps. One task (`run`) serves the queue, for any number of
    people; `advance` serves it at once, in order, which makes tests exact.

    Attributes:
        ahead_s: seconds by which the cloud's calendar is ahead of this machine's (negative: behind), to simulate clients with a
            wrong clock. Dates of subscriptions and validation tokens follow it.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._base = 0.0
        self._anchor = time.monotonic()
        self._speed = speed
        self._queue: list[tuple[float, int, Due]] = []
        self._order = itertools.count()
        self._sweep_at = SWEEP_AT
        self._changed = asyncio.Event()
        self.ahead_s = 0.0

    @property
    def speed(self) -> float:
        """World seconds in one second; 0 means stopped."""
        return self._speed

    def now(self) -> float:
        """The world's time in seconds since it began."""
        return self._base + (time.monotonic() - self._anchor) * self._speed

    @property
    def course(self) -> tuple[float, ...]:
        """Return the values that map world time to dates; they change only with speed, steps and calendar."""
        return self._base, self._anchor, self._speed, self.ahead_s

    def utc(self) -> float:
        """Return the current time by the cloud's calendar, in seconds since 1970."""
        return time.time() + self.ahead_s

    def set_speed(self, speed: float) -> None:
        """Change the speed from now on; 0 stops the world."""
        if not 0 <= speed <= 1_000_000:
            raise ValueError("the speed must be between 0 and 1,000,000")
        self._base, self._anchor, self._speed = self.now(), time.monotonic(), speed
        self._changed.set()

    def after(self, delay_s: float, call: Callable[[], None]) -> Due:
        """Schedule `call` after `delay_s` of the world's seconds."""
        return self.at(self.now() + delay_s, call)

    def at(self, when: float, call: Callable[[], None]) -> Due:
        """Schedule `call` at a time of the world; if that has passed, it is due at once."""
        due = Due(call)
        if len(self._queue) >= self._sweep_at:
            self._sweep()
        heapq.heappush(self._queue, (when, next(self._order), due))
        if self._queue[0][2] is due:
            self._changed.set()
        return due

    def advance(self, seconds: float) -> None:
        """Step the world forward, and run everything that becomes due, in order."""
        target = self.now() + seconds
        while self._queue and self._queue[0][0] <= target:
            self._base += max(0.0, self._queue[0][0] - self.now())
            self._do_next()
        self._base += max(0.0, target - self.now())
        self._changed.set()

    def snapshot(self) -> Callable[[], None]:
        """Save the time and the queue; return a function that restores both.

        After restoring, a `Due` can still be cancelled; one that has run or was cancelled since is due again.
        """
        now, speed, ahead_s = self.now(), self._speed, self.ahead_s
        queue = [(*entry, entry[2].call) for entry in self._queue]

        def restore() -> None:
            self._base, self._anchor, self._speed, self.ahead_s = now, time.monotonic(), speed, ahead_s
            self._queue = []
            for when, number, due, call in queue:  # in heap order, so the copy is a heap too
                due.call = call
                self._queue.append((when, number, due))
            self._changed.set()

        return restore

    def _sweep(self) -> None:
        """Drop cancelled entries: an end scheduled in a week is often superseded within the hour."""
        self._queue = [entry for entry in self._queue if entry[2].call is not None]
        heapq.heapify(self._queue)
        self._sweep_at = max(SWEEP_AT, 2 * len(self._queue))

    async def run(self) -> None:
        """Serve the queue until cancelled."""
        while True:
            self._changed.clear()
            if self._do_due():
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout(self._wait_s()):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _wait_s(self) -> float | None:
        if not self._queue or self._speed == 0:
            return None
        return max(TICK_S, (self._queue[0][0] - self.now()) / self._speed)

    def _do_due(self) -> bool:
        """Run a batch of due entries; return True if more may be due."""
        now = self.now()
        for _ in range(BATCH):
            if not self._queue or self._queue[0][0] > now:
                return False
            self._do_next()
        return True

    def _do_next(self) -> None:
        _, _, due = heapq.heappop(self._queue)
        if due.call is not None:
            due.call()
