"""Refreshes what others say of the servers: asks at the first use, then about once a second, and at once when needed."""

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
"""Asking at once is no reason to ask more often, however many commands fail."""


class Refresher:
    """Runs one question again and again, one at a time, as long as it is open."""

    def __init__(self, ask: Callable[[], Awaitable[None]], name: str) -> None:
        """Make a refresher; nothing is asked before `begun` or `now`.

        Args:
            ask: asks once, and keeps what it learns; raises StoreUnavailable when it learns nothing.
            name: of its task.
        """
        self._ask = ask
        self._name = name
        self._asking: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._has_learned = False
        self._error: StoreUnavailable | None = None
        self._turn = asyncio.Lock()  # questions do not overlap: the last answer is that to the last question
        self._fresh: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def begun(self) -> None:
        """Return when something was learned, once and for all.

        Raises:
            StoreUnavailable: nothing was.
        """
        if not self._has_learned:
            await self.now()

    async def now(self) -> None:
        """Ask at once, or join who asks already; not more often than `AT_MOST_EVERY_S`.

        Raises:
            StoreUnavailable: nothing was learned.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_in_turn(), name=f"{self._name}-question")
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self._name)
        await asyncio.shield(self._asking)
        if self._error is not None:
            raise StoreUnavailable(str(self._error))

    async def fresh(self) -> None:
        """Return when a question was answered that was asked after this call, whether something was learned or not.

        All who call before it is asked share it.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._ask_after(), name=f"{self._name}-fresh")
        await asyncio.shield(self._next)

    async def _ask_after(self) -> None:
        async with self._turn:
            self._fresh, self._next = asyncio.current_task(), None  # whoever comes from now on waits for another
            with suppress(StoreUnavailable):
                await self._ask()

    async def _ask_in_turn(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._not_before - loop.time())
        try:
            async with self._turn:
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
                pass  # whoever needs an answer is told
            except Exception:
                log.exception("redis_topology_unknown")

    async def aclose(self) -> None:
        """Stop asking."""
        tasks = [task for task in (self._task, self._asking, self._fresh, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
