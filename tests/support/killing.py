"""Processes that are killed with -9 at each of their writes and answers, and proxies on either side that see these.

    person ──TLS──► HttpGate ──► the process ──► StoreGate ──► Valkey       (tests/support/kill_gates.py)

Nothing in the process knows of it. A point is a write or an answer, before or after; points are numbered in the order in which
they come. `at_each_point` runs a story once for each point that leaves something else behind than the next one does.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

# A fork of a process that has imported this before takes a hundredth of the time that an import takes.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.onboarding.killable", "tests.onboarding.preloaded", "tests.store.killable"])


@dataclass
class Killer:
    """Counts points, and kills at one of them.

    Attributes:
        target: the number of the point to kill at; None only counts.
        points: those that were reached, by name.
        killed: set once the process was killed.
        kill: kills it.
    """

    target: int | None = None
    points: list[str] = field(default_factory=list)
    killed: asyncio.Event = field(default_factory=asyncio.Event)
    kill: Callable[[], None] = lambda: None

    def aim(self, target: int | None) -> None:
        """Count from the first point again, and kill at another one."""
        self.target, self.points = target, []
        self.killed.clear()

    def reached(self, point: str) -> bool:
        """Note a point, and return whether the process was killed at it."""
        if self.killed.is_set():
            return False
        self.points.append(point)
        if self.target != len(self.points) - 1:
            return False
        self.kill()
        self.killed.set()
        return True


async def at_each_point(killer: Killer, run: Callable[[], Awaitable[None]]) -> list[str]:
    """Run a story twice undisturbed, then killed at each decisive point, and return these points.

    Raises:
        AssertionError: a point was not reached, or the story's own.
    """
    for _ in range(2):  # the server knows the scripts after the first, and then every run sends the same commands
        killer.aim(None)
        await run()
    points = killer.points
    for number in decisive(points):
        killer.aim(number)
        await run()
        assert killer.killed.is_set(), f"{points[number]} was not reached"
    return [points[number] for number in decisive(points)]


def decisive(points: Sequence[str]) -> list[int]:
    """Return the numbers of the points that leave something else behind than the next one does.

    Between the end of a write or an answer and the beginning of the next one, the store and the person hold the same. What the
    process itself knew meanwhile is gone either way, so a kill at the beginning shows what a kill at that end would.
    """
    last = len(points) - 1
    return [
        n for n, point in enumerate(points) if point.startswith("before") or n == last or points[n + 1][:5] == "after"
    ]


class Killable:
    """A process of the test's own, forked: it is given a pipe and these arguments. It may be started again once it has ended."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self._target, self._arguments = target, arguments
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def start(self) -> None:
        """Start the process."""
        self._pipe, theirs = _processes.Pipe()
        self._process = _processes.Process(target=self._target, args=(theirs, *self._arguments))
        self._process.start()
        theirs.close()

    async def received(self) -> Any:
        """Return what the process sends next; None when it ended first."""
        assert self._pipe is not None
        try:
            return await asyncio.to_thread(self._pipe.recv)
        except EOFError:
            return None

    @property
    def is_running(self) -> bool:
        """Return whether the process was started and neither killed nor waited for since."""
        return self._process is not None

    def kill(self) -> None:
        """Kill -9, unless it is dead already."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def strike(self) -> None:
        """Kill -9, and leave it to `ended` to wait for the end."""
        assert self._process is not None
        self._process.kill()

    async def ended(self) -> bool:
        """Wait for the end, and return whether the process was killed; no other failure may end it."""
        assert self._process is not None
        await asyncio.to_thread(self._process.join)
        code = self._process.exitcode
        assert code in (0, -signal.SIGKILL)
        self._end()
        return code != 0

    def _end(self) -> None:
        assert self._process is not None
        assert self._pipe is not None
        self._process.join()
        self._process.close()
        self._pipe.close()
        self._process = None
