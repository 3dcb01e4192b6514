"""The names that changed and have not been sent to one console: a slow console gets the newest state of each, and delays nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from suite.names import Key


class Changes:
    """The names that one console is still to be sent."""

    def __init__(self) -> None:
        self._changed: dict[Key, None] = {}
        self._news = asyncio.Event()

    def note(self, keys: Iterable[Key]) -> None:
        """Note that these changed."""
        self._changed.update(dict.fromkeys(keys))
        if self._changed:
            self._news.set()

    def wake(self) -> None:
        """Let `wait` return although no name changed."""
        self._news.set()

    def take(self) -> list[Key]:
        """Return the names that changed since the last call, each once."""
        changed, self._changed = list(self._changed), {}
        self._news.clear()
        return changed

    async def wait(self) -> None:
        """Wait until something changed."""
        await self._news.wait()
