"""The time of day by the store's clock: the one clock that all workers share, whatever their own ones say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from relay.ops.clock import Clock

_MS: Final = 1000


class StoreClock:
    """The store's time of day, as its last answers told it and this worker's monotonic clock goes on from it.

    Until the first answer, and only then, it is this worker's own time of day.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_s = clock.wall().timestamp() - clock.monotonic()
        self._error_s = 0.0

    def observe(self, store_ms: int, asked_at: float, answered_at: float) -> None:
        """Take in a time that the store told.

        The store read its clock at some moment between the two instants. What was known is kept while it agrees with that, so that the
        time does not jump with each answer's way.

        Args:
            store_ms: ms since 1970.
            asked_at: when the store was asked, by the monotonic clock.
            answered_at: when it had answered.
        """
        least, most = store_ms / _MS - answered_at, store_ms / _MS - asked_at
        self._ahead_s = min(max(self._ahead_s, least), most)
        self._error_s = most - least

    def now_s(self) -> float:
        """Return seconds since 1970."""
        return self._clock.monotonic() + self._ahead_s

    def ms_of(self, instant: float) -> int:
        """Return an instant of the monotonic clock as ms since 1970, at most; one of long ago, or never, as 0.

        What one worker converts by this and another one by `instant_of` becomes older by what their clocks may be wrong by, and never younger.
        """
        return max(0, int((instant + self._ahead_s - self._error_s) * _MS)) if instant > float("-inf") else 0

    def instant_of(self, ms: int) -> float:
        """Return ms since 1970 as an instant of the monotonic clock, at the earliest."""
        return ms / _MS - self._ahead_s - self._error_s

    def now_ms(self) -> int:
        """Return whole ms since 1970."""
        return int(self.now_s() * _MS)
