"""Long lists in parts, so that one tenant's work leaves the others their turn."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

SLICE: Final = 2000
"""Names or users dealt with in one step: some 5 ms of work."""


def slices(of: Iterable[T]) -> Iterator[list[T]]:
    """Yield parts of what a tenant may have much of; the caller sleeps for an instant between two of them."""
    rest = iter(of)
    while some := list(islice(rest, SLICE)):
        yield some
