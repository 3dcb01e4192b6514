"""The clocks that notes need: a monotonic one for expiry, and the wall clock for times that are shown."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_JUMP_S: Final = 1.0


class NoteClock:
    """The machine's clocks. With a hub, new notes get the hub's time, so that the clocks of agents need not agree."""

    def __init__(self, steady: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._steady = steady
        self._wall = wall
        self._offset = wall() - steady()
        self._hub_ahead_ms: float | None = None
        """The hub's clock minus the monotonic one."""

    def now(self) -> float:
        """Return the time of the monotonic clock, in seconds."""
        return self._steady()

    def machine_ms(self) -> int:
        """Return the machine's wall clock in milliseconds since 1970, for the store."""
        return max(round(self._wall() * 1000), 0)

    def stamp_ms(self) -> int:
        """Return the time for a note that is written now, in milliseconds since 1970: the hub's time, once it is known."""
        if self._hub_ahead_ms is None:
            return self.machine_ms()
        return max(round(self._steady() * 1000 + self._hub_ahead_ms), 0)

    def hub_says(self, now_ms: int) -> None:
        """Set the hub's time, in milliseconds since 1970."""
        self._hub_ahead_ms = now_ms - self._steady() * 1000

    def date(self, at: float) -> datetime:
        """Convert a time of the monotonic clock into a date."""
        offset = self._wall() - self._steady()
        if abs(offset - self._offset) > _JUMP_S:
            self._offset = offset
        return date_of_ms(round((at + self._offset) * 1000))


def date_of_ms(ms: int) -> datetime:
    """Convert milliseconds since 1970 into a date; 1970 if they are out of range."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)
