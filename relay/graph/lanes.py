"""Limits concurrent calls, so that slow ones cannot take all places.

Calls of all tenants share threads and connections. A tenant whose calls hang would take them one by one, and others would wait:

    quick last time ──► any place ──── takes longer than a moment ──► goes on in an extra place, and frees its own
    slow last time ──► half of the places

So tenants that answer quickly wait only for each other, except while another tenant is becoming slow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, MutableSet
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

SLOW_S: Final = 2.0
"""Entra and Graph answer within a second; a tenant whose call takes longer counts as slow until its next call is quick."""
EXTRA: Final = 4
"""Extra places for each place. A worker that starts does not know which tenants are slow: with 32 places, 150 tenants
whose token endpoint hangs stop delaying the others after some five seconds. With as many extra places as places it took
28 s, and other tenants became stale."""


class Lanes:
    """Places for calls. At most `1 + EXTRA` times as many calls as places are under way."""

    def __init__(self, places: int, slow: MutableSet[Any], slow_s: float = SLOW_S) -> None:
        """Start with all places free.

        Args:
            places: the number of concurrent calls.
            slow: the callers whose last call was slow: a set, or a weak one.
            slow_s: duration from which a call is slow, in seconds.
        """
        self._places = asyncio.Semaphore(places)
        self._for_slow = asyncio.Semaphore(max(1, places // 2))
        self._extra = EXTRA * places
        self._slow = slow
        self._slow_s = slow_s

    @asynccontextmanager
    async def place(self, whose: object) -> AsyncIterator[None]:
        """Wait for a place, and hold it while the context lasts."""
        async with AsyncExitStack() as held:
            if whose in self._slow:
                await held.enter_async_context(self._for_slow)
            await self._places.acquire()
            turn = _Turn(self, whose)
            held.callback(turn.end)
            yield

    def forget(self, whose: object) -> None:
        """Forget a caller that makes no more calls."""
        self._slow.discard(whose)


class _Turn:
    """One call that holds a place."""

    def __init__(self, lanes: Lanes, whose: object) -> None:
        self._lanes = lanes
        self._whose = whose
        self._began = time.monotonic()
        self._has_extra = False
        self._timer = asyncio.get_running_loop().call_later(lanes._slow_s, self._turn_slow)

    def _turn_slow(self) -> None:
        lanes = self._lanes
        lanes._slow.add(self._whose)
        if lanes._extra > 0:
            lanes._extra -= 1
            self._has_extra = True
            lanes._places.release()

    def end(self) -> None:
        self._timer.cancel()
        lanes = self._lanes
        if time.monotonic() - self._began < lanes._slow_s:
            lanes._slow.discard(self._whose)
        if self._has_extra:
            lanes._extra += 1
        else:
            lanes._places.release()
