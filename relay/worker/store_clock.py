"""The time of day by the store's clock, which all workers share, independent of the clocks of their machines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.ops.clock import Clock, Timer

_MS: Final = 1000


class StoreClock:
    """The store's time of day, from its last answers and this worker's monotonic clock.

    Only before the first answer it is this worker's time of day.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_s = clock.wall().timestamp() - clock.monotonic()
        self._error_s = 0.0

    def observe(self, store_ms: int, asked_at: float, answered_at: float) -> None:
        """Adjust the clock with a time from the store.

        The store read its clock at some moment between the two instants. The present value is kept while it agrees with
        that, so that the time does not jump with the delay of each answer.

        Args:
            store_ms: ms since 1970.
            asked_at: time of the request, by the monotonic clock.
            answered_at: time of the answer, by the monotonic clock.
        """
        least, most = store_ms / _MS - answered_at, store_ms / _MS - asked_at
        self._ahead_s = min(max(self._ahead_s, least), most)
        self._error_s = most - least

    def now_s(self) -> float:
        """Return seconds since 1970."""
        return self._clock.monotonic() + self._ahead_s

    def ms_of(self, instant: float) -> int:
        """Return an instant of the monotonic clock as ms since 1970: the earliest possible value; 0 for one long ago or never.

        If another worker converts the result back by `instant_of`, the error of their clocks can only make the instant
        older.
        """
        return max(0, int((instant + self._ahead_s - self._error_s) * _MS)) if instant > float("-inf") else 0

    def instant_of(self, ms: int) -> float:
        """Return ms since 1970 as an instant of the monotonic clock: the earliest possible one."""
        return ms / _MS - self._ahead_s - self._error_s

    def now_ms(self) -> int:
        """Return whole ms since 1970."""
        return int(self.now_s() * _MS)


class WorkerClock:
    """A worker's `relay.ops.clock.Clock`, whose time of day is the store's.

    The time of day of a machine may be set while the worker runs. If it is set back by an hour, a pause until a time of day lasts an hour
    longer. Other workers also read times that this worker wrote, such as the expiry of a name.
    """

    def __init__(self, clock: Clock, store_clock: StoreClock) -> None:
        self._clock = clock
        self._store_clock = store_clock

    def monotonic(self) -> float:
        """Return the machine's monotonic time in seconds."""
        return self._clock.monotonic()

    def wall(self) -> datetime:
        """Return the store's time of day in UTC; until the store has answered, the machine's."""
        return datetime.fromtimestamp(self._store_clock.now_s(), UTC)

    async def sleep(self, seconds: float) -> None:
        """Sleep by the machine's monotonic time."""
        await self._clock.sleep(seconds)

    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        """Set a timer by the machine's monotonic time."""
        return self._clock.call_at(when, call)
