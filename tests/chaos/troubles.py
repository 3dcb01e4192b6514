"""Carries out what a schedule says: each fault is a method, which returns when it is over."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Collection, Mapping
from typing import Any

from tests.chaos import record as lines
from tests.chaos.clocks import SteppedClock
from tests.chaos.scene import Scene
from tests.chaos.schedule import PlannedTrouble
from tests.chaos.servers import for_a_while
from tests.support.fault_proxy import Delay, Fault, FaultProxy


class Troubles:
    """The faults of a run.

    Args:
        scene: whom they meet.
        proxies: line -> what stands in it.
        clocks: process -> its clock, of those whose clocks are stepped.
        weakened: the processes that break a rule.
    """

    def __init__(
        self,
        scene: Scene,
        proxies: Mapping[str, FaultProxy],
        clocks: Mapping[str, SteppedClock],
        weakened: Collection[str],
    ) -> None:
        self._scene = scene
        self._relay = scene.relay
        self._proxies = proxies
        self._clocks = clocks
        self._weakened = weakened

    async def suffer(self, trouble: PlannedTrouble) -> None:
        """Wait until it begins, and return when it is over."""
        await asyncio.sleep(trouble.at_s)
        began = time.time()
        try:
            await getattr(self, f"_{trouble.what}")(trouble.lasts_s, **trouble.how)
        finally:
            self._scene.record.note(lines.Trouble(began, time.time(), str(trouble)))

    # Processes

    async def _kill(self, lasts_s: float, name: str) -> None:
        self._relay.processes[name].kill()
        await asyncio.sleep(lasts_s)
        self._relay.processes[name].start()

    async def _kill_workers(self, lasts_s: float) -> None:
        names = [name for name in self._relay.ops if name.startswith("worker")]
        await asyncio.gather(*(self._kill(lasts_s, name) for name in names))

    async def _terminate(self, lasts_s: float, name: str) -> None:
        process = self._relay.processes[name]
        if process.died():
            return  # which is noted at the end
        try:
            code = await asyncio.to_thread(process.terminate)
        except subprocess.TimeoutExpired:
            process.kill()
            code = -1
        if code != 0:
            self._scene.record.note(lines.Output(name, f"it ended with {code} when it was told to stop"))
        await asyncio.sleep(lasts_s)
        process.start()

    async def _freeze(self, lasts_s: float, name: str) -> None:
        await for_a_while(self._relay.processes[name].tell, lasts_s)

    async def _weaken(self, lasts_s: float) -> None:
        """Those that are to break a rule begin to."""
        for name in self._weakened:
            self._relay.processes[name].tell(signal.SIGUSR1)
        await asyncio.sleep(lasts_s)

    async def _step_clock(self, lasts_s: float, name: str, by_s: float) -> None:
        self._clocks[name].step(by_s)
        await asyncio.sleep(lasts_s)
        self._clocks[name].step(0)

    # Redis and the lines

    async def _redis(self, lasts_s: float, trouble: str) -> None:
        await self._relay.servers.suffer(trouble, lasts_s)

    async def _break_line(self, lasts_s: float, name: str, fault: Fault) -> None:
        line = self._proxies[name]
        await line.become(fault)
        await asyncio.sleep(lasts_s)
        await line.become(Fault.NONE)
        line.reset()  # what was lost on these connections stays lost

    async def _delay_line(self, lasts_s: float, name: str, delay_s: float) -> None:
        self._proxies[name].delay_s = Delay(delay_s, delay_s)
        await asyncio.sleep(lasts_s)
        self._proxies[name].delay_s = Delay()

    async def _reset_line(self, lasts_s: float, name: str) -> None:
        until = time.monotonic() + lasts_s
        while time.monotonic() < until:
            self._proxies[name].reset()
            await asyncio.sleep(0.3)

    # The clouds, and suites

    async def _cloud_fault(self, lasts_s: float, **how: Any) -> None:
        await self._relay.ask("POST", "faults", {**how, "for_s": lasts_s})
        await asyncio.sleep(lasts_s)

    async def _ask(self, lasts_s: float, who: str) -> None:
        """A suite watches somebody else too."""
        await self._scene.subscribe("console", who)
        await asyncio.sleep(lasts_s)

    async def _reconnect(self, lasts_s: float) -> None:
        """Every suite leaves, and comes back at the other edge."""
        await asyncio.sleep(lasts_s)
        who = {name: tuple(self._scene.watched[name]) for name in self._scene.consoles}
        for name in who:
            await self._scene.go(name)
        self._scene.addresses.reverse()
        for name, users in who.items():
            await self._scene.come(name, users)
