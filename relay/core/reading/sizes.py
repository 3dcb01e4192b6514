"""The number of users in a bulk read, when Graph refuses pages only because of their size. (Pure.)"""

from __future__ import annotations

from typing import Final

LASTS_S: Final = 600.0
"""Time for which a refused size is not requested again."""
_NEAR: Final = 1.25
"""No size is tried between an answered size and a refused one of at most this multiple."""


class PageSize:
    """The greatest answered size and the least refused one. `now` is in seconds of one monotonic clock.

    The requested size grows between them with each read, so that one refusal by chance costs few requests.
    """

    def __init__(self) -> None:
        self._answered = 1
        self._refused = 0
        self._until = float("-inf")

    def most(self, now: float) -> int | None:
        """Return the most users for one request; None: a whole page."""
        if now >= self._until:
            return None
        if self._refused <= self._answered * _NEAR + 1:
            return self._answered
        return min(2 * self._answered, (self._answered + self._refused) // 2)

    def answered(self, size: int) -> None:
        """Note that Graph answered a request for `size` users."""
        self._answered = max(self._answered, size)

    def refused(self, size: int, answered: int, now: float) -> None:
        """Note that Graph refused `size` users in one request, but answers for each alone and for `answered` together."""
        if now >= self._until:
            self._refused, self._answered = size, answered
        self._refused = min(size, self._refused)
        self._answered = min(max(answered, self._answered), max(1, self._refused - 1))
        self._until = now + LASTS_S
