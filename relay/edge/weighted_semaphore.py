"""A semaphore with weights, which limits the total weight of concurrent work."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class WeightedSemaphore:
    """A fair semaphore with weights: first come, first served, even when a later caller would fit."""

    def __init__(self, size: int) -> None:
        """Start with nothing held.

        Args:
            size: the sum of weights that fit in together. Heavier work runs alone.
        """
        self._size = self._free = size
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def taken(self, weight: int) -> AsyncIterator[None]:
        """Wait for room, then hold this weight for as long as the context lasts."""
        weight = min(weight, self._size)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((weight, turn))
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._let_in()  # the callers behind it
            else:
                self._give_back(weight)
            raise
        try:
            yield
        finally:
            self._give_back(weight)

    def _give_back(self, weight: int) -> None:
        self._free += weight
        self._let_in()

    def _let_in(self) -> None:
        while self._queue:
            weight, turn = self._queue[0]
            if turn.done():  # its caller was cancelled
                self._queue.popleft()
            elif weight <= self._free:
                self._queue.popleft()
                self._free -= weight
                turn.set_result(None)
            else:
                break
