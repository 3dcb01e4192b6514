"""Takes a client's events and lets a test wait for what it expects among them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from suite.client import PresenceClient

E = TypeVar("E")

PATIENCE_S = 15


class Recorder:
    def __init__(self, client: PresenceClient) -> None:
        self.client = client
        self.seen: list[object] = []
        self.error: BaseException | None = None
        self._news = asyncio.Event()
        self._at = 0

    async def __aenter__(self):
        self._task = asyncio.create_task(self._record())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _record(self) -> None:
        try:
            async for event in self.client.events():
                self.seen.append(event)
                self._news.set()
        except Exception as error:
            self.error = error
        self._news.set()

    async def next(self, kind: type[E], where: Callable[[E], object] = lambda _: True) -> E:
        """The next event of this kind that has not been asked for yet, skipping others."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                while self._at < len(self.seen):
                    event = self.seen[self._at]
                    self._at += 1
                    if isinstance(event, kind) and where(event):
                        return event
                if self._task.done():
                    raise AssertionError(f"no {kind.__name__} came; the client stopped with {self.error!r}")
                self._news.clear()
                await self._news.wait()

    async def stopped(self) -> BaseException | None:
        await asyncio.wait_for(asyncio.shield(self._task), PATIENCE_S)
        return self.error

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.seen if isinstance(event, kind)]
