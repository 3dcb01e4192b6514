"""A clock that can be scaled, stopped and stepped, and its queue of due work."""

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
"""How many due things are done before others get the event loop: some 5 ms of work."""


TICK_S = 0.01
"""How long the queue rests at least: with 100,000 people something is always due, and waking up costs more than doing it."""


SWEEP_AT = 10_000
"""From how many things in the queue on those that were cancelled are looked for: when they may be half of it."""


def written(utc: float) -> str:
    """A time in seconds since 1970 as Graph writes it, with seven digits."""
    return f"{datetime.fromtimestamp(utc, UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


class Due:
    """One thing to do at a time of the world. `cancel` may be called at any time."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Do not do it. The queue forgets it when its time comes, or when it has grown by half."""
        self.call = None


class Clock:
    """The world's time in seconds, and one queue for everything that happens in it.

    World time is wall time multiplied by `speed`, plus what was stepped. One task (`run`) serves the queue, however many
    people there are; `advance` serves it at once, in order, which makes tests exact.

    Attributes:
        ahead_s: by how much the cloud's calendar is ahead of this machine's (less than 0: behind), for clients whose clock is wrong.
            Dates of subscriptions and validation tokens follow it.
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
        """Return all that turns world time into dates; it changes with speed, steps and calendar only."""
        return self._base, self._anchor, self._speed, self.ahead_s

    def utc(self) -> float:
        """Return the present by the cloud's calendar, in seconds since 1970."""
        return time.time() + self.ahead_s

    def set_speed(self, speed: float) -> None:
        """Change the speed from now on; 0 stops the world."""
        if not 0 <= speed <= 1_000_000:
            raise ValueError("the speed must be between 0 and 1,000,000")
        self._base, self._anchor, self._speed = self.now(), time.monotonic(), speed
        self._changed.set()

    def after(self, delay_s: float, call: Callable[[], None]) -> Due:
        """Do `call` when `delay_s` of the world's seconds have passed."""
        return self.at(self.now() + delay_s, call)

    def at(self, when: float, call: Callable[[], None]) -> Due:
        """Do `call` at a time of the world; at once when it is over."""
        due = Due(call)
        if len(self._queue) >= self._sweep_at:
            self._sweep()
        heapq.heappush(self._queue, (when, next(self._order), due))
        if self._queue[0][2] is due:
            self._changed.set()
        return due

    def advance(self, seconds: float) -> None:
        """Step the world forward, doing everything that falls due on the way in its order."""
        target = self.now() + seconds
        while self._queue and self._queue[0][0] <= target:
            self._base += max(0.0, self._queue[0][0] - self.now())
            self._do_next()
        self._base += max(0.0, target - self.now())
        self._changed.set()

    def snapshot(self) -> Callable[[], None]:
        """Remember the time and all that is due; returns what restores both.

        The holder of a `Due` can still cancel it after restoring; one that was done or cancelled since is due again.
        """
        now, speed, ahead_s = self.now(), self._speed, self.ahead_s
        queue = [(*entry, entry[2].call) for entry in self._queue]

        def restore() -> None:
            self._base, self._anchor, self._speed, self.ahead_s = now, time.monotonic(), speed, ahead_s
            self._queue = []
            for when, number, due, call in queue:  # in the order of the heap, and therefore one again
                due.call = call
                self._queue.append((when, number, due))
            self._changed.set()

        return restore

    def _sweep(self) -> None:
        """Forget what was cancelled: what ends in a week is often overtaken within the hour."""
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
        """Do a batch of what is due; True when more may be."""
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
