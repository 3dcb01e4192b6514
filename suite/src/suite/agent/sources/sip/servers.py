"""The choice of a server, and the times of checks of the others. Pure: the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

LOOKS_BEFORE_RETURN: Final = 2
"""Checks in a row that a preferred server must pass before it is used again, in case it comes and goes."""


@dataclass(slots=True, kw_only=True)
class ServerChoice:
    """The choice among servers, the preferred one first.

    Attributes:
        count: number of servers.
        look_every_s: seconds between two checks of preferred servers while another one is used.
        current: number of the server in use; None when there is none.
    """

    count: int
    look_every_s: float
    current: int | None = None
    _looked_at: float = 0.0
    _good_looks: int = 0
    _not_before: dict[int, float] = field(default_factory=dict)

    def candidates(self, now: float) -> list[int]:
        """Return the servers to check now, in order: the first that passes is to be used."""
        everyone = [number for number in range(self.count) if self._not_before.get(number, now) <= now]
        if self.current is None:
            return everyone
        if self.current and now - self._looked_at >= self.look_every_s:
            self._looked_at = now
            return everyone
        return [self.current, *(number for number in everyone if number != self.current)]

    def answers(self, number: int, now: float) -> bool:
        """Note that a server passed its check; return True to use it, False to check the next one."""
        if self.current is not None and number < self.current:
            self._good_looks += 1
            if self._good_looks < LOOKS_BEFORE_RETURN:
                return False
        if number != self.current:
            self._looked_at, self._good_looks = now, 0
        self.current = number
        return True

    def fails(self, number: int, not_before: float | None = None) -> None:
        """Note that a server failed its check; `not_before` is the earliest time of the next one."""
        if not_before is not None:
            self._not_before[number] = not_before
        if number == self.current:
            self.current = None
        elif self.current is not None and number < self.current:
            self._good_looks = 0
