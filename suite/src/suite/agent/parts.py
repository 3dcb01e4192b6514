"""The parts of an agent that run by its settings: sources of presence, feeds, servers, the follower of notes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Settings = TypeVar("_Settings")


class RunningPart(Protocol):
    """Something that runs until it is cancelled, and puts its things in order before it ends."""

    async def run(self) -> None:
        """Run until cancelled. What it raises ends the agent."""


@runtime_checkable
class AdjustablePart(Protocol):
    """A part that goes on with other settings by itself."""

    def adjust(self, settings: Any) -> bool:
        """Go on with other settings; return False if it must be begun anew."""


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
        """Run a part with these settings. One that runs with others is stopped before, unless it can adjust itself.

        Args:
            name: of the part. Two parts have two names.
            settings: equal ones leave the part as it is.
            make: returns the part for these settings.
            is_wanted: False when no such part is to run.
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
        """Raise what ended a part that was to run on."""
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
