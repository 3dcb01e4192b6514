"""The clock by which long-lived parts read the time, sleep and set timers. It is passed in, so that tests need no real time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class Timer(Protocol):
    """A call that is scheduled."""

    def cancel(self) -> None:
        """Cancel the call; does nothing if it was already made."""


class Clock(Protocol):
    """Time as one process sees it. Tests pass `tests.support.clock.SteppedClock`."""

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment; it never goes back. For spans and deadlines."""

    def wall(self) -> datetime:
        """Return the time of day in UTC, which an operator may change. For stored and logged times."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; if that is 0 or less, after other tasks had a turn."""

    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        """Make a call when `monotonic` reaches `when`; cheaper than a task that sleeps."""


class SystemClock:
    """The clock of this machine. Stateless; `SYSTEM` is the shared instance."""

    def monotonic(self) -> float:
        """Return the system's monotonic time, which is also that of asyncio's own loop."""
        return time.monotonic()

    def wall(self) -> datetime:
        """Return the system's time in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await asyncio.sleep(seconds)

    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        """Set a timer of the running event loop."""
        return asyncio.get_running_loop().call_at(when, call)


SYSTEM: Final = SystemClock()


async def wait_any(clock: Clock, futures: Collection[asyncio.Future[Any]], seconds: float) -> bool:
    """Return True as soon as one of the futures is done, or False when `seconds` have passed. Cancels none of them."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_at(clock.monotonic() + seconds, lambda: None if over.done() else over.set_result(None))
    try:
        await asyncio.wait({*futures, over}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        over.cancel()
    return any(future.done() for future in futures)
