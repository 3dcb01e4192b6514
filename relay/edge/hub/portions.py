"""Divides entries of `changes` into portions, so that a large tenant's changes do not delay those of others. (Pure.)"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

E = TypeVar("E")


def portions(read: Sequence[tuple[int, E]], work: Callable[[E], int], most: int) -> Iterator[Sequence[tuple[int, E]]]:
    """Yield (partition, entry) pairs in portions of limited work. A single entry may exceed the limit.

    Entries of a partition stay in order. Partitions with little to do come first, because they do not cause the delay.
    """
    of: dict[int, int] = {}
    for number, entry in read:
        of[number] = of.get(number, 0) + work(entry)
    if sum(of.values()) <= most:
        yield read
        return
    portion: list[tuple[int, E]] = []
    size = 0
    for pair in sorted(read, key=lambda pair: of[pair[0]]):
        size += work(pair[1])
        if portion and size > most:
            yield portion
            portion, size = [], work(pair[1])
        portion.append(pair)
    yield portion
