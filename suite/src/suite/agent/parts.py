"""The parts of an agent that run by its settings: sources of presence, feeds, servers, the follower of notes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Settings = TypeVar("_Settings")


class RunningPart(Protocol):
    """A part that runs until it is cancelled, and cleans up before it ends."""

    async def run(self) -> None:
        """Run until cancelled. An exception ends the agent."""


@runtime_checkable
class AdjustablePart(Protocol):
    """A part that can apply new settings without a restart."""

    def adjust(self, settings: Any) -> bool:
        """Apply new settings; return False if the part must be restarted."""


@dataclass(slots=True)
class _Running:
    settings: object
    part: RunningPart
    task: asyncio.Task[None]


class Parts:
    """The parts that run now, each a task of its own."""

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}

    def __iter__(self) -> Iterator[RunningPart]:
        """Iterate over the parts that run, in the order in which they began."""
        return iter([each.part for each in self._running.values()])

    async def use(
        self, name: str, settings: _Settings, make: Callable[[_Settings], RunningPart], *, is_wanted: bool = True
    ) -> None:
        """Run a part with these settings. A running part with other settings is adjusted, or else restarted.

        Args:
            name: unique name of the part.
            settings: equal settings leave the part as it is.
            make: returns the part for these settings.
            is_wanted: False to stop the part.
        """
        running = self._running.get(name)
        if running is not None and is_wanted and running.settings == settings:
            return
        if running is not None and is_wanted and not running.task.done():
            part = running.part
            if isinstance(part, AdjustablePart) and part.adjust(settings):
                running.settings = settings
                return
        if running is not None:
            await self._stop(name)
        if is_wanted:
            part = make(settings)
            self._running[name] = _Running(settings, part, asyncio.create_task(part.run(), name=name))

    def check(self) -> None:
        """Raise the exception of a part that failed."""
        for running in self._running.values():
            if running.task.done() and not running.task.cancelled():
                running.task.result()

    async def close(self) -> None:
        """Stop all parts, the newest first."""
        for name in reversed(list(self._running)):
            await self._stop(name)

    async def _stop(self, name: str) -> None:
        task = self._running[name].task
        task.cancel()
        await asyncio.wait({task})
        del self._running[name]
