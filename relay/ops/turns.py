"""Long work in parts, so that one tenant's work leaves the others their turn on the event loop."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

T = TypeVar("T")

SLICE: Final = 2000
"""Names or users dealt with in one step, where each takes some microseconds: some 5 ms of work."""


async def in_slices(of: Iterable[T], size: int = SLICE) -> AsyncIterator[list[T]]:
    """Yield `of` in parts of `size`. Between two parts whatever else is ready runs, so `of` must not change meanwhile."""
    rest = iter(of)
    while some := list(islice(rest, size)):
        yield some
        await asyncio.sleep(0)


class OneAPass:
    """Lets one caller on in each pass of the event loop, first come, first served.

    Eight answers of one tenant that arrive together would otherwise be worked on one after the other, and everybody else's turn
    comes after all of them.
    """

    def __init__(self) -> None:
        self._door = asyncio.Lock()

    async def turn(self) -> None:
        """Return when it is the caller's turn; the next one comes no sooner than in the pass after."""
        async with self._door:
            await asyncio.sleep(0)
