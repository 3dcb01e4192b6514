"""The names of one watch as the suite spells them, malformed ones included: answers use the suite's own spelling. (Pure.)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.core.names import normalise

if TYPE_CHECKING:
    from collections.abc import Iterator, KeysView

    from relay.core.presence import Name

MAX_MALFORMED_CHARS: Final = 1 << 20
"""Most characters of malformed names that a watch keeps, to limit the memory of a suite; others are answered once."""


class Spellings:
    """Watched names with their spellings, and malformed spellings in the order in which they were added.

    Attributes:
        malformed: spellings that cannot be a name; only some of them when there are too many.
    """

    __slots__ = ("_chars", "_count", "_of", "malformed")

    def __init__(self) -> None:
        self.malformed: dict[str, None] = {}
        self._chars = 0
        self._of: dict[Name, tuple[str, ...]] = {}
        self._count = 0

    def __contains__(self, name: Name) -> bool:
        return name in self._of

    def __iter__(self) -> Iterator[Name]:
        return iter(self._of)

    def __len__(self) -> int:
        # Each spelling counts, because each takes memory and is answered.
        return self._count + len(self.malformed)

    def names(self) -> KeysView[Name]:
        """Return the watched names, malformed ones apart."""
        return self._of.keys()

    def of(self, name: Name) -> tuple[str, ...]:
        """Return the spellings of a watched name."""
        return self._of[name]

    def add(self, spelling: str) -> Name | None:
        """Remember a spelling; returns the name that it stands for, or None when it is malformed."""
        name = normalise(spelling)
        if name is None:
            if spelling not in self.malformed and self._chars + len(spelling) <= MAX_MALFORMED_CHARS:
                self.malformed[spelling] = None
                self._chars += len(spelling)
            return None
        known = self._of.get(name, ())
        if spelling not in known:
            # The two are usually the same text, which is then stored once.
            self._of[name] = (*known, name if spelling == name else spelling)
            self._count += 1
        return name

    def remove(self, name: Name) -> tuple[str, ...]:
        """Forget a watched name; returns its spellings."""
        spellings = self._of.pop(name)
        self._count -= len(spellings)
        return spellings

    def remove_malformed(self, spelling: str) -> None:
        """Forget a malformed spelling; one that is not remembered is ignored."""
        if spelling in self.malformed:
            del self.malformed[spelling]
            self._chars -= len(spelling)
