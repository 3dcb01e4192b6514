"""The writes of one tenant's answers that may be under way together.

The store answers on several connections, so the order in which it carries out two writes under way is not known.
Accepted answers have an explicit order that the store compares, and its reply contains their revision. A deletion has
neither: while answers are deleted or all of them are read, no other write is under way.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Writes:
    """The writes under way. A task that waits to be alone goes before tasks that come later."""

    def __init__(self) -> None:
        self._door = asyncio.Lock()
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Enter for a write that may run concurrently with others entered here."""
        async with self._door:
            self._under_way += 1
            self._quiet.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Enter for a write that runs while no other is under way."""
        async with self._door:
            await self._quiet.wait()
            yield
