"""All versions in the order of their arrival at this agent, for agents that follow it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from suite.agent.notes.values import VersionId


class NoteFeed:
    """The versions of one run of the agent. Each has a position, higher than all before it. Positions of different runs cannot be compared.

    Attributes:
        position: position of the newest version.
    """

    def __init__(self) -> None:
        self.position = 0
        self._positions: dict[VersionId, int] = {}
        self._followers: set[asyncio.Event] = set()

    def add(self, versions: Iterable[VersionId]) -> None:
        """Append versions."""
        for version_id in versions:
            self.position += 1
            self._positions[version_id] = self.position
        for news in self._followers:
            news.set()

    def remove(self, versions: Iterable[VersionId]) -> None:
        """Remove versions."""
        for version_id in versions:
            self._positions.pop(version_id, None)

    def since(self, position: int) -> list[tuple[int, VersionId]]:
        """Return the versions after a position, in order; 0 for all."""
        found: list[tuple[int, VersionId]] = []
        for version_id in reversed(self._positions):
            if self._positions[version_id] <= position:
                break
            found.append((self._positions[version_id], version_id))
        return found[::-1]

    @property
    def followers(self) -> int:
        """Return the number of agents that follow this one."""
        return len(self._followers)

    @contextmanager
    def following(self) -> Iterator[asyncio.Event]:
        """Yield an event that is set on each new version. The caller clears it."""
        news = asyncio.Event()
        self._followers.add(news)
        try:
            yield news
        finally:
            self._followers.discard(news)
