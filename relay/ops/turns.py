"""Divides long work into parts, so that one tenant's work does not block the event loop for others."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

T = TypeVar("T")

SLICE: Final = 2000
"""Names or users in one step, where each takes some microseconds: some 5 ms of work."""


async def in_slices(of: Iterable[T], size: int = SLICE) -> AsyncIterator[list[T]]:
    """Yield `of` in parts of `size`. Other tasks run between two parts, so `of` must not change meanwhile."""
    rest = iter(of)
    while some := list(islice(rest, size)):
        yield some
        await asyncio.sleep(0)


class OneAPass:
    """Admits one caller in each pass of the event loop, first come, first served.

    Otherwise, eight answers of one tenant that arrive together would be processed one after the other, before the work
    of any other tenant.
    """

    def __init__(self) -> None:
        self._door = asyncio.Lock()

    async def turn(self) -> None:
        """Return when it is the caller's turn; the next caller's turn comes at the earliest in the following pass."""
        async with self._door:
            await asyncio.sleep(0)
