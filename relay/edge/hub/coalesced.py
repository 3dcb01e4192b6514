"""One run of a function for all concurrent callers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Coalesced:
    """Runs a function once at a time for any number of callers, with at most one further run waiting.

    Every caller gets the outcome of a run that began after its call, so the outcome is as recent as that of a run of
    its own. So a thousand streams that reconnect together wait for two runs at most; with a lock each would wait for
    all before it.
    """

    def __init__(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        """Prepare it; nothing runs yet.

        Args:
            work: the function to run.
            name: of its tasks.
        """
        self._work = work
        self._name = name
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Return after a run that begins from now on; raise what it raises. Cancelling a caller does not cancel the run."""
        if self._next is None:
            self._next = asyncio.create_task(self._run_after(self._running), name=self._name)
            self._next.add_done_callback(_seen)
        await asyncio.shield(self._next)

    async def finish(self) -> None:
        """Return when the run under way, if any, has ended or failed."""
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
        # Later callers need another run: this one may already have read the store.
        self._running, self._next = self._next, None
        await self._work()


def _seen(task: asyncio.Task[None]) -> None:
    """Retrieve the error, so that asyncio does not log it: there may be no caller left to get it."""
    if not task.cancelled():
        task.exception()
