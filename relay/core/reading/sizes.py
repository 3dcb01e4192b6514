"""The number of users in a bulk read, where Graph refuses pages only because of their size. (Pure.)"""

from __future__ import annotations

from typing import Final

LASTS_S: Final = 600.0
"""Time for which a refused size is not asked for again."""
_NEAR: Final = 1.25
"""A refused size that is so little greater than an answered one is not looked into."""


class PageSize:
    """The greatest size that was answered and the least that was refused. `now` is in seconds of one monotonic clock.

    Between them it grows with each read, so that one refusal by chance costs few requests.
    """

    def __init__(self) -> None:
        self._answered = 1
        self._refused = 0
        self._until = float("-inf")

    def most(self, now: float) -> int | None:
        """Return the users to ask for in one request; None: a whole page."""
        if now >= self._until:
            return None
        if self._refused <= self._answered * _NEAR + 1:
            return self._answered
        return min(2 * self._answered, (self._answered + self._refused) // 2)

    def answered(self, size: int) -> None:
        """Note that Graph answered for so many users at once."""
        self._answered = max(self._answered, size)

    def refused(self, size: int, answered: int, now: float) -> None:
        """Note that Graph refused so many users, though it answers for each of them, and for `answered` at once."""
        if now >= self._until:
            self._refused, self._answered = size, answered
        self._refused = min(size, self._refused)
        self._answered = min(max(answered, self._answered), max(1, self._refused - 1))
        self._until = now + LASTS_S
