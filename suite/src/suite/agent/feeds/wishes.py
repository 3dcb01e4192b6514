"""Values by name: the wanted values, the values of the far end, and the values to send. Pure.

Each name has one newest value. A value that was replaced before it was sent is never sent, and a value that the far end has is not sent
again, so memory and traffic are bounded by the names, not by their changes. Each name has one value under way at most.
"""

from __future__ import annotations


class Wishes:
    """Names with the values that the far end is to have."""

    def __init__(self) -> None:
        self._wanted: dict[str, str] = {}
        self._has: dict[str, str] = {}
        self._leaving: set[str] = set()
        """Names that are forgotten once the far end has their last value."""
        self._due: dict[str, None] = {}
        self._under_way: dict[str, str] = {}
        self._refused: set[str] = set()

    def __len__(self) -> int:
        return len(self._wanted)

    @property
    def due(self) -> int:
        """Return the number of names whose value is to be sent."""
        return len(self._due)

    @property
    def is_settled(self) -> bool:
        """Return True when nothing is to be sent, and nothing is under way."""
        return not self._due and not self._under_way

    @property
    def refused(self) -> int:
        """Return the number of names that the far end refused."""
        return len(self._refused)

    def want(self, name: str, value: str) -> None:
        """Set the wanted value of a name."""
        self._leaving.discard(name)
        self._want(name, value)

    def leave(self, name: str, last: str) -> None:
        """Set the last value of a name, which is forgotten when the far end has it."""
        if name in self._wanted:
            self._leaving.add(name)
            self._want(name, last)

    def remove(self, name: str, last: str) -> None:
        """Set the last value of a name that the far end has, and that is not wanted."""
        if name not in self._wanted:
            self._leaving.add(name)
            self._want(name, last)

    def _want(self, name: str, value: str) -> None:
        self._wanted[name] = value
        if name in self._under_way or name in self._refused:
            return
        if self._has.get(name) == value:
            self._due.pop(name, None)
            self._forget_if_left(name)
        else:
            self._due.setdefault(name)

    def take(self) -> tuple[str, str] | None:
        """Return the longest waiting name and its newest value, which is then under way; None if none is due."""
        if not self._due:
            return None
        name = next(iter(self._due))
        del self._due[name]
        value = self._under_way[name] = self._wanted[name]
        return name, value

    def done(self, name: str) -> None:
        """Note that the far end has the value that was under way."""
        value = self._under_way.pop(name, None)
        if value is not None:
            self._has[name] = value
            self._want(name, self._wanted[name])

    def refuse(self, name: str) -> None:
        """Note that the far end refused a value. The name waits for `retry`."""
        if self._under_way.pop(name, None) is not None:
            self._refused.add(name)

    def retry(self) -> None:
        """Make refused names due again."""
        refused, self._refused = self._refused, set()
        self._due.update(dict.fromkeys(sorted(refused)))

    def lost(self) -> None:
        """Note that the values of the far end are not known any more: all names are due."""
        self._has.clear()
        self._under_way.clear()
        self._refused.clear()
        self._due = dict.fromkeys(self._wanted)

    def _forget_if_left(self, name: str) -> None:
        if name in self._leaving:
            self._leaving.discard(name)
            del self._wanted[name], self._has[name]
