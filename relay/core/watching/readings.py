"""The sets of edges that are being read as a whole. An edge has one reading at a time; hints that arrive meanwhile are applied after it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from relay.core.presence import Name


class InterestChange(NamedTuple):
    """Names that an edge watches from now on, and names that it watches no longer."""

    added: Collection[Name] = ()
    removed: Collection[Name] = ()


@dataclass(slots=True)
class HeldHints:
    """The hints about an edge that arrived while its set was being read.

    Attributes:
        changes: what hints said, in their order: it may be older than what is read, or newer.
        again: whether the whole set was asked for, of which what is read may be an older state.
    """

    changes: list[InterestChange] = field(default_factory=list)
    again: bool = False

    def __bool__(self) -> bool:
        return bool(self.changes) or self.again


class Readings:
    """The edges whose sets are being read. (Pure.)

    Two readings of one edge beside each other could be taken in in the other order, the older one last; and each would believe
    that what hints said is its own to take in.
    """

    def __init__(self) -> None:
        self._under_way: dict[str, HeldHints] = {}

    def begin(self, edge: str) -> bool:
        """Return whether to read the edge's set now; otherwise it is being read, and `end` will ask for another reading."""
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
        """The reading was taken in, or failed: what is to be taken in after it, and whether to read the set again."""
        return self._under_way.pop(edge)
