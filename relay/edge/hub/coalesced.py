"""One run of a piece of work for all that ask for it at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Coalesced:
    """One run at a time, and at most one that waits for it, however many ask.

    Every caller gets the outcome of a run that began after the call: it is as new as a run of its own. So a thousand streams
    that come back together wait for two runs at most, where with a lock each would wait for all before it.
    """

    def __init__(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        """Make it; nothing runs yet.

        Args:
            work: the piece of work.
            name: of its tasks.
        """
        self._work = work
        self._name = name
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Have the work done once from now on; raise what it raises. A caller that is cancelled only stops waiting."""
        if self._next is None:
            self._next = asyncio.create_task(self._run_after(self._running), name=self._name)
            self._next.add_done_callback(_seen)
        await asyncio.shield(self._next)

    async def finish(self) -> None:
        """Return when the run under way is over, if there is one, however it ends."""
        if self._running is not None:
            await asyncio.wait({self._running})

    async def aclose(self) -> None:
        """Cancel the run under way and the one that waits."""
        tasks = [task for task in (self._running, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run_after(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        # A caller from here on needs another run: this one may have read already.
        self._running, self._next = self._next, None
        await self._work()


def _seen(task: asyncio.Task[None]) -> None:
    """Fetch the error: it is for callers that waited, of which there may be none any more."""
    if not task.cancelled():
        task.exception()
