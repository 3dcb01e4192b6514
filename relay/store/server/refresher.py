"""Refreshes the view of the servers: at the first use, then about once a second, and at once when needed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from relay.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger(__name__)

EVERY_S: Final = 1.0
AT_MOST_EVERY_S: Final = 0.2
"""Minimum time between two immediate queries, however many commands fail."""


class Refresher:
    """Runs a query repeatedly, one run at a time, until it is closed.

    Attributes:
        turn: held while the query runs.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]], name: str) -> None:
        """Create a refresher; the first query runs with `begun` or `now`.

        Args:
            ask: queries once and keeps the result; raises StoreUnavailable if there is no result.
            name: name of its task.
        """
        self._ask = ask
        self._name = name
        self._asking: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._has_learned = False
        self._error: StoreUnavailable | None = None
        self.turn = asyncio.Lock()  # queries do not overlap: the last answer belongs to the last query
        self._fresh: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def begun(self) -> None:
        """Return when there was a first result.

        Raises:
            StoreUnavailable: there is none.
        """
        if not self._has_learned:
            await self.now()

    async def now(self) -> None:
        """Query at once, or join a running query; at most every `AT_MOST_EVERY_S`.

        Raises:
            StoreUnavailable: there was no result.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_in_turn(), name=f"{self._name}-question")
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self._name)
        await asyncio.shield(self._asking)
        if self._error is not None:
            raise StoreUnavailable(str(self._error))

    async def fresh(self) -> None:
        """Return when a query that started after this call has ended, with or without a result.

        All calls before its start share it.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._ask_after(), name=f"{self._name}-fresh")
        await asyncio.shield(self._next)

    async def _ask_after(self) -> None:
        async with self.turn:
            self._fresh, self._next = asyncio.current_task(), None  # later calls wait for another query
            with suppress(StoreUnavailable):
                await self._ask()

    async def _ask_in_turn(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._not_before - loop.time())
        try:
            async with self.turn:
                await self._ask()
            self._has_learned, self._error = True, None
        except StoreUnavailable as error:
            self._error = error
        finally:
            self._not_before = loop.time() + AT_MOST_EVERY_S

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.now()
            except StoreUnavailable:
                pass  # callers of `now` get the error
            except Exception:
                log.exception("redis_topology_unknown")

    async def aclose(self) -> None:
        """Stop the queries."""
        tasks = [task for task in (self._task, self._asking, self._fresh, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
