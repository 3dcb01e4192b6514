"""Users who are read ahead of their pages, in the groups in which they were added: the smallest group first. (Pure.)"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from relay.core.presence import UserId


class UrgentUsers:
    """The users who wait for a read ahead of their pages. Each waits in one group only."""

    def __init__(self) -> None:
        self._groups: list[dict[UserId, None]] = []
        self._users: set[UserId] = set()

    def __contains__(self, user: UserId) -> bool:
        return user in self._users

    def add(self, users: Iterable[UserId]) -> None:
        """Add users as one group; a user who already waits stays in the earlier group."""
        group = {user: None for user in users if user not in self._users}
        if group:
            self._groups.append(group)
            self._users.update(group)

    def discard(self, user: UserId) -> None:
        """Remove a user who may be waiting."""
        self._users.discard(user)

    def waits(self, busy: Collection[UserId]) -> bool:
        """Return whether any waiting user is not being read already."""
        return any(user not in busy for user in self._users)

    def take(self, most: int, busy: Collection[UserId]) -> list[UserId]:
        """Remove and return up to `most` users who are not `busy`, whole small groups first."""
        if not self._users:
            self._groups.clear()
            return []
        self._groups.sort(key=len)
        taken: list[UserId] = []
        left: list[dict[UserId, None]] = []
        for group in self._groups:
            done = []
            for user in group if len(taken) < most else ():
                if len(taken) >= most:
                    break
                if user in self._users and user in busy:
                    continue  # once that read is done
                done.append(user)
                if user in self._users:  # else taken out, or taken with another group
                    taken.append(user)
                    self._users.discard(user)
            for user in done:
                del group[user]
            if group:
                left.append(group)
        self._groups = left
        return taken
