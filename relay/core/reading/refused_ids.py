"""Users whose ids Graph refuses even in a request without others, and the times of their retries. (Pure.)

They are not read with other users, because Graph would refuse the whole page. A refusal may be temporary: these users
are tried one by one, and as soon as Graph answers for one, all are read again. A user who had a presence keeps it until
the second refusal in a row, because a single refusal can be chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from relay.core.presence import UserId


class Refused(NamedTuple):
    """One user whose id Graph refuses.

    Attributes:
        in_a_row: number of refusals in a row.
        not_before: earliest time of the next try, in seconds of one clock; None while the user is being tried.
    """

    in_a_row: int
    not_before: float | None


class RefusedUsers:
    """The users whose ids Graph refuses. Every method takes `now`, in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._in_a_row: dict[UserId, int] = {}
        self._waiting: dict[UserId, float] = {}  # user -> earliest time of the next try
        self._all_tried = float("-inf")
        self._is_over = False

    def __contains__(self, user: UserId) -> bool:
        """Return whether the user must not be read at present."""
        return user in self._waiting

    def __iter__(self) -> Iterator[UserId]:
        return iter(self._waiting)

    def is_suspect(self, user: UserId) -> bool:
        """Return whether Graph refused the user in the last request."""
        return user in self._in_a_row

    def refuse(self, users: Iterable[UserId], now: float, interval_s: float) -> set[UserId]:
        """Set aside users whose ids Graph refuses; return those that it had refused before.

        Args:
            users: users who must not be read until `due` returns them.
            now: the present.
            interval_s: least seconds between two tries of a user.
        """
        again = set()
        for user in users:
            self._in_a_row[user] = self._in_a_row.get(user, 0) + 1
            self._waiting[user] = now + interval_s
            if self._in_a_row[user] > 1:
                again.add(user)
        return again

    def answered(self, users: Iterable[UserId]) -> None:
        """Note that Graph answered for these users: it may answer for others too."""
        for user in users:
            if self._in_a_row.pop(user, None) is not None and self._waiting:
                self._is_over = True

    def forget(self, users: Iterable[UserId]) -> None:
        """Forget users who are no longer read."""
        for user in users:
            self._in_a_row.pop(user, None)
            self._waiting.pop(user, None)

    def due(self, now: float, interval_s: float) -> list[UserId]:
        """Return the users to try now: one who has waited long enough, or all once one was answered. Call it once a second.

        All are tried at most once in `interval_s`, so that answers and refusals in turn cost few requests.
        """
        if self._is_over and now - self._all_tried >= interval_s:
            self._is_over, self._all_tried = False, now
            tried = list(self._waiting)
        else:
            first = min(self._waiting, key=lambda user: self._waiting[user], default=None)
            tried = [first] if first is not None and self._waiting[first] <= now else []
        for user in tried:
            del self._waiting[user]
        return tried

    def next_try(self, user: UserId) -> float | None:
        """Return the earliest time of the next try; None for a user who is read."""
        return self._waiting.get(user)

    def known(self) -> dict[UserId, Refused]:
        """Return all users whom Graph refused in their last request."""
        return {user: Refused(times, self._waiting.get(user)) for user, times in self._in_a_row.items()}

    def resume(self, refused: Mapping[UserId, Refused]) -> None:
        """Continue with the refused users of an earlier owner."""
        for user, (in_a_row, not_before) in refused.items():
            self._in_a_row[user] = in_a_row
            if not_before is not None:
                self._waiting[user] = not_before
