"""What a suite held before a reset: still shown, as uncertain, until it is said anew.

The relay's store may restart and reset all suites at once; consoles need not go blank for the seconds in which everything is
read again. What is kept here is never told to the relay as held.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from suite.names import Key
    from suite.values import Presence


class Before:
    """Presences from before a reset, by the names that stood for their users. Pure."""

    def __init__(self) -> None:
        self._users: dict[Key, str] = {}
        self._names: Counter[str] = Counter()
        self.presences: dict[str, Presence] = {}
        """user_id -> what was shown; only of users for whom a name stood that was not said anew."""

    def keep(self, users: Mapping[Key, str], presences: Mapping[str, Presence]) -> None:
        """A reset: keep these, and what is still kept from an earlier one."""
        self._users.update(users)
        self._names = Counter(self._users.values())
        self.presences = {user: at for user, at in {**self.presences, **presences}.items() if user in self._names}

    def clear(self) -> None:
        """Keep nothing."""
        self.keep_only(())

    def keep_only(self, keys: Container[Key]) -> None:
        """Forget what all other names stood for."""
        for key in [key for key in self._users if key not in keys]:
            self.named(key)

    def user(self, key: Key) -> str | None:
        """Whom the name stood for; None when it, or the user, was said anew since."""
        user_id = self._users.get(key)
        return user_id if user_id in self.presences else None

    def named(self, key: Key) -> None:
        """The name was said anew, or is not watched any more."""
        user_id = self._users.pop(key, None)
        if user_id is not None:
            self._names[user_id] -= 1
            if not self._names[user_id]:
                del self._names[user_id]
                self.presences.pop(user_id, None)

    def answered(self, user_id: str) -> None:
        """The user was answered anew."""
        self.presences.pop(user_id, None)
