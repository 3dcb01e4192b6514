"""Keeps several processes running: starts them, restarts those that end, and stops all cleanly.

start    all at once. If one ends before all were ready, the supervisor stops: the cause affects all of them
run      a process that ends is restarted after a pause (restarts.py); a hung one (half a minute) is killed first
stop     each is asked to stop and drains; one that exceeds the time limit is killed
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from relay.errors import RelayError
from relay.processes.child import Child, in_words
from relay.processes.restarts import FIRST_PAUSE, WELL_AFTER_S, Restarts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

_log = structlog.get_logger(__name__)

_READY_LOOK_S: Final = 0.1
_LIVE_LOOK_S: Final = 5.0
_MOST_SILENT_LOOKS: Final = 6
"""Checks in a row without an answer, half a minute, after which a process counts as hung. Kubernetes would not restart
it sooner."""


class ProcessesFailed(RelayError):
    """The processes cannot be kept running.

    Attributes:
        exit_code: the supervisor's exit code.
    """

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class Supervisor:
    """The processes and their state.

    Attributes:
        children: place -> its process; None while there is none.
        starts: place -> the number of starts.
    """

    def __init__(
        self,
        count: int,
        command: Callable[[int, Path], Sequence[str]],
        stop_within: timedelta,
        first_pause: timedelta = FIRST_PAUSE,
    ) -> None:
        """Prepare a supervisor; no process runs yet.

        Args:
            count: of processes.
            command: returns the program and its arguments for a place and the path of its ops socket.
            stop_within: time limit for a process to stop.
            first_pause: before a process is restarted; it doubles while restarts fail.
        """
        self.children: dict[int, Child | None] = dict.fromkeys(range(1, count + 1))
        self.starts: dict[int, int] = dict.fromkeys(self.children, 0)
        self._command = command
        self._stop_within_s = stop_within.total_seconds()
        self._first_pause_s = first_pause.total_seconds()
        self._ready: set[int] = set()  # places whose process was ready at least once
        self._stopping = asyncio.Event()

    @property
    def is_running(self) -> bool:
        """Return whether every place has had a ready process, and no stop was requested."""
        return len(self._ready) == len(self.children) and not self._stopping.is_set()

    async def run(self, stop: asyncio.Event, announce: Callable[[], None] | None = None) -> None:
        """Keep the processes running until `stop` is set, then stop them. Cancelling kills them.

        Args:
            stop: ends the run, at any moment.
            announce: called once, when all are ready.

        Raises:
            ProcessesFailed: a process keeps ending, or did not stop cleanly.
        """
        with tempfile.TemporaryDirectory(prefix="presence-relay-") as folder:
            places = [asyncio.create_task(self._keep(n, Path(folder), announce)) for n in self.children]
            stopped = asyncio.create_task(stop.wait())
            try:
                done, _ = await asyncio.wait({stopped, *places}, return_when=asyncio.FIRST_COMPLETED)
                self._stop()
                await asyncio.wait(places)
            finally:
                for task in (stopped, *places):
                    task.cancel()
                await asyncio.gather(stopped, *places, return_exceptions=True)
        ends = [*(place for place in places if place in done), *places]  # the first failure is the cause
        failures = [error for place in ends if (error := place.exception()) is not None]
        if failures:
            raise failures[0]

    def _stop(self) -> None:
        _log.info("processes_stopping")
        self._stopping.set()
        for child in filter(None, self.children.values()):
            child.stop()

    async def _keep(self, number: int, folder: Path, announce: Callable[[], None] | None) -> None:
        """Keep a process running in one place until all must stop."""
        loop, restarts = asyncio.get_running_loop(), Restarts(self._first_pause_s)
        while not self._stopping.is_set():
            began = loop.time()
            self.starts[number] += 1
            socket = folder / f"{number}.{self.starts[number]}"  # never the socket of the previous process
            child = await Child.start(number, self._command(number, socket), socket)
            self.children[number] = child
            _log.info("process_started", process=number, pid=child.pid)
            code = await self._ended(child, announce)
            self.children[number] = None
            if self._stopping.is_set():
                # A signal to the supervisor may reach all processes, this one before it listened.
                if code not in (0, -signal.SIGTERM):
                    raise ProcessesFailed(f"Process {number} did not stop cleanly: {in_words(code)}.", 1)
                return
            await self._judge(number, code, restarts.pause_after(loop.time() - began))

    async def _judge(self, number: int, code: int, pause_s: float | None) -> None:
        """Wait before a process is restarted.

        Raises:
            ProcessesFailed: it must not be restarted.
        """
        if len(self._ready) < len(self.children):
            text = f"Process {number} ended before it was ready: {in_words(code)}. Its log has the reason."
            raise ProcessesFailed(text, max(1, code))
        if pause_s is None:
            text = (
                f"Process {number} ended {self.starts[number]} times, each within {WELL_AFTER_S:g} s: {in_words(code)}."
            )
            raise ProcessesFailed(f"{text} Its log has the reason.", 1)
        _log.error("process_ended", process=number, how=in_words(code), again_in_s=pause_s)
        await self._stopping_within(pause_s)

    async def _ended(self, child: Child, announce: Callable[[], None] | None) -> int:
        """Return the exit code of a process when it has ended or was stopped."""
        ended = asyncio.create_task(child.ended())
        looking = asyncio.create_task(self._look_after(child, announce))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await asyncio.wait({ended}, timeout=self._stop_within_s)
            if not ended.done():
                _log.error("process_killed", process=child.number, reason="it did not stop in time")
                child.kill()
            await asyncio.wait({ended})
            return ended.result()
        except asyncio.CancelledError:
            child.kill()
            await asyncio.wait({ended})
            raise
        finally:
            for task in (looking, stopping):
                task.cancel()

    async def _look_after(self, child: Child, announce: Callable[[], None] | None) -> None:
        """Record when a process is ready; after that, kill it when it stops answering."""
        while not child.is_up:
            await asyncio.sleep(_READY_LOOK_S)
            child.is_up = await _answers(child, "/readyz")
        was_running = self.is_running
        self._ready.add(child.number)
        if self.is_running and not was_running:
            _log.info("processes_ready", processes=len(self.children))
            if announce is not None:
                announce()
        silent = 0
        while silent < _MOST_SILENT_LOOKS:
            await asyncio.sleep(_LIVE_LOOK_S)
            silent = 0 if await _answers(child, "/livez") else silent + 1
        _log.error("process_killed", process=child.number, reason="it does not answer")
        child.kill()

    async def _stopping_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass


async def _answers(child: Child, path: str) -> bool:
    """Return whether a process answers a request with 200."""
    try:
        return (await child.ask(path))[0] == 200
    except (OSError, TimeoutError, ValueError):
        return False
