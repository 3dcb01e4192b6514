"""Reads of whole edge sets that are under way: one per edge. Hints that arrive meanwhile are applied after it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from relay.core.presence import Name


class InterestChange(NamedTuple):
    """Names that an edge now watches, and names that it no longer watches."""

    added: Collection[Name] = ()
    removed: Collection[Name] = ()


@dataclass(slots=True)
class HeldHints:
    """The hints about an edge that arrived while its set was being read.

    Attributes:
        changes: the changes in the hints, in order. They may be older or newer than the set being read.
        again: whether another read of the whole set was requested: the one under way may return an older state.
    """

    changes: list[InterestChange] = field(default_factory=list)
    again: bool = False

    def __bool__(self) -> bool:
        return bool(self.changes) or self.again


class Readings:
    """The edges whose sets are being read. (Pure.)

    Two concurrent reads of one edge could be applied in the wrong order, the older one last, and both would apply the
    same hints.
    """

    def __init__(self) -> None:
        self._under_way: dict[str, HeldHints] = {}

    def begin(self, edge: str) -> bool:
        """Return whether to read the edge's set now; otherwise a read is under way, and `end` will request another one."""
        held = self._under_way.get(edge)
        if held is not None:
            held.again = True
            return False
        self._under_way[edge] = HeldHints()
        return True

    def hold(self, edge: str, change: InterestChange) -> bool:
        """Return whether a hint is kept until the edge's set is read; otherwise it is to be applied at once."""
        held = self._under_way.get(edge)
        if held is not None:
            held.changes.append(change)
        return held is not None

    def heard(self, edge: str) -> bool:
        """Return whether a hint arrived since the reading began."""
        return bool(self._under_way[edge])

    def end(self, edge: str) -> HeldHints:
        """End a read that was applied or failed; return the hints to apply after it, and whether to read the set again."""
        return self._under_way.pop(edge)
