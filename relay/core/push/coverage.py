"""Assigns users to the grants' subscriptions; the others are polled.

The users of a subscription cannot be changed, so each change needs a new subscription. Covered users stay covered as
long as they are watched. New users take free places. A user takes a covered user's place only if worth much more.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Final

from relay.core.presence import UserId
from relay.core.push.subscription import MAX_USERS

WORTH_A_MOVE: Final = 3.0
"""A user must be worth this many times as much as a covered one, so that two users of similar weight do not alternate."""
_HALF_LIFE_S: Final = 3600.0


class Rates:
    """The recent rate of changes of each user. (Pure; in memory only: a new owner learns it again.)"""

    def __init__(self) -> None:
        self._changes: dict[UserId, tuple[float, float]] = {}

    def changed(self, users: Iterable[UserId], now: float) -> None:
        """Count one change of each of these users; `now` in seconds of one monotonic clock."""
        for user in users:
            self._changes[user] = (self.of(user, now) + 1.0, now)

    def of(self, user: UserId, now: float) -> float:
        """Return the number of changes in about the last hour; older ones count less."""
        count, at = self._changes.get(user, (0.0, now))
        return count * 0.5 ** ((now - at) / _HALF_LIFE_S) if count else 0.0

    def forget(self, users: Iterable[UserId]) -> None:
        """Forget users who are no longer watched."""
        for user in users:
            self._changes.pop(user, None)


def weight(watchers: int, changes: float) -> float:
    """Return the value of covering a user: the number of watchers times the rate of changes."""
    # A user without changes has a small weight; a user who only lingers counts as a tenth of a watcher.
    return max(watchers, 0.1) * (0.1 + changes)


def assign_users(
    weights: Mapping[UserId, float], inside: Mapping[str, Iterable[UserId]], size: int = MAX_USERS
) -> dict[str, tuple[UserId, ...]]:
    """Assign users to subscriptions.

    Args:
        weights: watched user -> weight; see `weight`.
        inside: account of each grant that may subscribe -> the present users of its subscription, if any. The first
            accounts are filled first, with the users of greatest weight.
        size: users of a subscription.

    Returns:
        account -> users, at most `size`, no user twice. All other users are polled.
    """
    kept = _still_watched(weights, inside, size)
    placed = {user for users in kept.values() for user in users}
    outside = sorted((user for user in weights if user not in placed), key=lambda user: (-weights[user], user))
    waiting = iter(outside)
    for users in kept.values():
        while len(users) < size and (user := next(waiting, None)) is not None:
            users[user] = None
    _exchange(kept, weights, list(waiting))
    return {account: tuple(users) for account, users in kept.items()}


def _still_watched(
    weights: Mapping[UserId, float], inside: Mapping[str, Iterable[UserId]], size: int
) -> dict[str, dict[UserId, None]]:
    kept: dict[str, dict[UserId, None]] = {}
    taken: set[UserId] = set()
    for account, users in inside.items():
        mine = [user for user in users if user in weights and user not in taken][:size]
        taken.update(mine)
        kept[account] = dict.fromkeys(mine)
    return kept


def _exchange(kept: dict[str, dict[UserId, None]], weights: Mapping[UserId, float], waiting: list[UserId]) -> None:
    """Let the waiting users of greatest weight replace the covered users of least weight, where that is worth a move."""
    if not waiting:
        return
    lightest = [(weights[user], user, account) for account, users in kept.items() for user in users]
    heapq.heapify(lightest)
    for user in waiting:
        if not lightest or weights[user] < WORTH_A_MOVE * lightest[0][0]:
            return
        _, other, account = heapq.heappop(lightest)
        del kept[account][other]
        kept[account][user] = None
