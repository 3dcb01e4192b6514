"""The changed names that one console has not been sent yet. A slow console gets the newest state of each, and delays no other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from suite.names import Key


class Changes:
    """The changed names that one console has not been sent yet."""

    def __init__(self) -> None:
        self._changed: dict[Key, None] = {}
        self._news = asyncio.Event()

    def note(self, keys: Iterable[Key]) -> None:
        """Record that these names changed."""
        self._changed.update(dict.fromkeys(keys))
        if self._changed:
            self._news.set()

    def wake(self) -> None:
        """Make `wait` return although no name changed."""
        self._news.set()

    def take(self) -> list[Key]:
        """Return the names that changed since the last call, each once."""
        changed, self._changed = list(self._changed), {}
        self._news.clear()
        return changed

    async def wait(self) -> None:
        """Wait for a change."""
        await self._news.wait()
