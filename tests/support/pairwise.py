"""Covering arrays: few sets in which every two values of any two switches meet.

Greedy, after AETG (Cohen, Dalal, Fredman, Patton, 1997): each set begins with a pair that is still missing and takes, switch
by switch in a shuffled order, the value that meets the most missing partners; the best of a few such sets is kept.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

CANDIDATES: Final = 8


def covering(values: Mapping[str, Sequence[Any]], seed: int) -> list[dict[str, Any]]:
    """Sets of one value for each name; the same for the same seed."""
    return _Array(values, random.Random(seed)).sets()


class _Array:
    """The pairs that are still missing: for each value (numbered through) a bit mask of the values it has not met."""

    def __init__(self, values: Mapping[str, Sequence[Any]], chance: random.Random) -> None:
        self._chance = chance
        self._names = list(values)
        self._values = [value for name in self._names for value in values[name]]
        starts = [0]
        for name in self._names:
            starts.append(starts[-1] + len(values[name]))
        self._own = [range(start, end) for start, end in itertools.pairwise(starts)]
        everything = (1 << starts[-1]) - 1
        self._missing = [everything & ~sum(1 << each for each in own) for own in self._own for _ in own]

    def sets(self) -> list[dict[str, Any]]:
        """Sets until nothing is missing."""
        found: list[dict[str, Any]] = []
        while any(self._missing) or not found:
            chosen = max((self._candidate() for _ in range(CANDIDATES)), key=self._gain)
            mask = sum(1 << value for value in chosen)
            for value in chosen:
                self._missing[value] &= ~mask
            found.append({name: self._values[value] for name, value in zip(self._names, chosen, strict=True)})
        return found

    def _candidate(self) -> list[int]:
        """A value for each name, in the order of names."""
        chosen = [-1] * len(self._names)
        mask = 0
        order = list(range(len(self._names)))
        self._chance.shuffle(order)
        # Begin where most is missing, or a pair whose partners are all met elsewhere might never come.
        first = max(order, key=lambda at: max(self._missing[value].bit_count() for value in self._own[at]))
        order.remove(first)
        for at in (first, *order):
            own = self._own[at]
            gains = [((self._missing[value] & mask).bit_count(), self._missing[value].bit_count()) for value in own]
            best = max(gains)
            chosen[at] = self._chance.choice([value for value, gain in zip(own, gains, strict=True) if gain == best])
            mask |= 1 << chosen[at]
        return chosen

    def _gain(self, chosen: Sequence[int]) -> int:
        mask = sum(1 << value for value in chosen)
        return sum((self._missing[value] & mask).bit_count() for value in chosen)
