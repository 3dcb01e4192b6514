"""Presences from before a reset. They are shown as uncertain until the relay answers for the user again.

The relay's store may restart and reset all suites at once. Thanks to these presences, consoles do not go blank for the seconds in which
everything is read again. A suite never sends these names as held.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from suite.names import Key
    from suite.values import Presence


class UncertainPresences:
    """Presences from before a reset, by the names that resolved to their users."""

    def __init__(self) -> None:
        self._users: dict[Key, str] = {}
        self._names: Counter[str] = Counter()
        self.presences: dict[str, Presence] = {}
        """user_id -> the presence before the reset, of users with a name that has not been resolved since."""

    def add(self, users: Mapping[Key, str], presences: Mapping[str, Presence]) -> None:
        """Add the presences held at a reset to those left from an earlier one."""
        self._users.update(users)
        self._names = Counter(self._users.values())
        self.presences = {user: at for user, at in {**self.presences, **presences}.items() if user in self._names}

    def clear(self) -> None:
        """Forget everything at once."""
        self.retain(())

    def retain(self, keys: Container[Key]) -> None:
        """Forget all names but these."""
        for key in [key for key in self._users if key not in keys]:
            self.forget_name(key)

    def user_of(self, key: Key) -> str | None:
        """Return the id of the user that the name resolved to; None when the relay has resolved or answered it since."""
        user_id = self._users.get(key)
        return user_id if user_id in self.presences else None

    def forget_name(self, key: Key) -> None:
        """Forget a name that was resolved again, or is no longer watched."""
        user_id = self._users.pop(key, None)
        if user_id is not None:
            self._names[user_id] -= 1
            if not self._names[user_id]:
                del self._names[user_id]
                self.presences.pop(user_id, None)

    def forget_user(self, user_id: str) -> None:
        """Forget a user that the relay has answered again."""
        self.presences.pop(user_id, None)
