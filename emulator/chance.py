"""Random numbers that depend only on their names: the same seed and names give the same numbers, whatever else is drawn."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_MASK: Final = 2**64 - 1


class Chance:
    """A sequence of random numbers for a set of names, for example for one person and one day.

    Knuth's linear congruential generator of 64 bits, of which the upper half is used. It replaces `random.Random` because each plan
    of a day seeds several: seeding takes a third of the time (5 µs against 14 µs), the state is eight bytes instead of 2.5 kB, and
    the numbers are the same in every version of Python, which `random` guarantees for `random()` only.
    """

    __slots__ = ("_state",)

    def __init__(self, *names: object) -> None:
        key = "\0".join(map(str, names)).encode()
        self._state = int.from_bytes(blake2b(key, digest_size=8).digest(), "big")

    def number(self) -> int:
        """Return a number of 32 bits."""
        self._state = state = (self._state * 6364136223846793005 + 1442695040888963407) & _MASK
        return state >> 32

    def share(self) -> float:
        """Return a number from 0 to below 1."""
        return self.number() / 2**32

    def happens(self, probability: float) -> bool:
        """Return True with this probability, else False."""
        return self.number() < probability * 2**32

    def between(self, least: int, most: int) -> int:
        """Return a whole number from `least` to `most`, both included."""
        self._state = state = (self._state * 6364136223846793005 + 1442695040888963407) & _MASK
        return least + ((state >> 32) * (most - least + 1) >> 32)

    def one_of(self, choices: Sequence[T]) -> T:
        """Return one of these choices, all equally likely."""
        return choices[self.number() * len(choices) >> 32]
