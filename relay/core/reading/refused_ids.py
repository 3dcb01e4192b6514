"""Users whose ids Graph refuses on their own, and when they are tried again. (Pure.)

They are not read with the others, whose page would be refused too. A refusal may be temporary: one such user is tried after
the other, and as soon as one is answered, all are read again. A user who had a presence keeps it until the second refusal in
a row, because a single refusal can be chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from relay.core.presence import UserId


class Refused(NamedTuple):
    """One user whom Graph refuses.

    Attributes:
        in_a_row: how often.
        not_before: when to try again, in seconds of one clock; None for one who is being tried.
    """

    in_a_row: int
    not_before: float | None


class RefusedUsers:
    """The users whose ids Graph refuses. Every method takes `now`, in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._in_a_row: dict[UserId, int] = {}
        self._waiting: dict[UserId, float] = {}  # user -> not to be tried before
        self._all_tried = float("-inf")
        self._is_over = False

    def __contains__(self, user: UserId) -> bool:
        """Return whether the user is not to be read at present."""
        return user in self._waiting

    def __iter__(self) -> Iterator[UserId]:
        return iter(self._waiting)

    def is_suspect(self, user: UserId) -> bool:
        """Return whether the user was refused when asked for last."""
        return user in self._in_a_row

    def refuse(self, users: Iterable[UserId], now: float, interval_s: float) -> set[UserId]:
        """Set aside these users, whose ids Graph refuses on their own; return those that it has refused before.

        Args:
            users: who are not to be read until `due` gives them.
            now: the present.
            interval_s: between two tries of a user, at least.
        """
        again = set()
        for user in users:
            self._in_a_row[user] = self._in_a_row.get(user, 0) + 1
            self._waiting[user] = now + interval_s
            if self._in_a_row[user] > 1:
                again.add(user)
        return again

    def answered(self, users: Iterable[UserId]) -> None:
        """Note that Graph answered for these users: others may be answered too."""
        for user in users:
            if self._in_a_row.pop(user, None) is not None and self._waiting:
                self._is_over = True

    def forget(self, users: Iterable[UserId]) -> None:
        """Forget these users: they are not read any more."""
        for user in users:
            self._in_a_row.pop(user, None)
            self._waiting.pop(user, None)

    def due(self, now: float, interval_s: float) -> list[UserId]:
        """Return the users to try now: one who has waited for long enough, or all once one was answered. Call it once a second.

        All are tried once in `interval_s` at most, so that Graph's changing its mind all the time costs few requests.
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
        """Return when the user may be tried again; None for one who is read."""
        return self._waiting.get(user)

    def known(self) -> dict[UserId, Refused]:
        """Return everybody who was refused when asked for last."""
        return {user: Refused(times, self._waiting.get(user)) for user, times in self._in_a_row.items()}

    def resume(self, refused: Mapping[UserId, Refused]) -> None:
        """Go on with what an earlier owner knew."""
        for user, (in_a_row, not_before) in refused.items():
            self._in_a_row[user] = in_a_row
            if not_before is not None:
                self._waiting[user] = not_before
