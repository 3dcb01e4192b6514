"""The choice among servers: the one that is used, and the time at which another one is looked at. Pure: the time is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

LOOKS_BEFORE_RETURN: Final = 2
"""A preferred server that comes and goes is used again when it has answered twice in a row."""


@dataclass(slots=True, kw_only=True)
class ServerChoice:
    """The choice among servers, the preferred one first.

    Attributes:
        count: of servers.
        look_every_s: time between two looks at preferred servers while another one is used.
        current: the number of the one that is used; None when there is none.
    """

    count: int
    look_every_s: float
    current: int | None = None
    _looked_at: float = 0.0
    _good_looks: int = 0
    _not_before: dict[int, float] = field(default_factory=dict)

    def candidates(self, now: float) -> list[int]:
        """Return the servers to look at now, in order: the first one that can be used is the one to use."""
        everyone = [number for number in range(self.count) if self._not_before.get(number, now) <= now]
        if self.current is None:
            return everyone
        if self.current and now - self._looked_at >= self.look_every_s:
            self._looked_at = now
            return everyone
        return [self.current, *(number for number in everyone if number != self.current)]

    def answers(self, number: int, now: float) -> bool:
        """Take note that a server can be used, and return True to use it; False to look at the next one."""
        if self.current is not None and number < self.current:
            self._good_looks += 1
            if self._good_looks < LOOKS_BEFORE_RETURN:
                return False
        if number != self.current:
            self._looked_at, self._good_looks = now, 0
        self.current = number
        return True

    def fails(self, number: int, not_before: float | None = None) -> None:
        """Take note that a server cannot be used; `not_before` is the time before which it is not looked at again."""
        if not_before is not None:
            self._not_before[number] = not_before
        if number == self.current:
            self.current = None
        elif self.current is not None and number < self.current:
            self._good_looks = 0
