"""Divides entries of `changes` into portions, so that a large tenant's changes leave others their turn. (Pure.)"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

E = TypeVar("E")


def portions(read: Sequence[tuple[int, E]], work: Callable[[E], int], most: int) -> Iterator[Sequence[tuple[int, E]]]:
    """Yield (partition, entry) pairs in portions of so much work; one entry may be more than that.

    Entries of a partition stay in order. Partitions with little to do come first, for they have not caused the others' wait.
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
