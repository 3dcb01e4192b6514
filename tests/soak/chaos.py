"""The second sweep: faults of processes, Valkey, both clouds and the lines between them, over a whole relay with two edges.

worker ×2, edge ×2, webhook ──► proxy ──► Valkey;  ──► two proxies (Graph, Entra) ──► the local cloud ──► proxy ──► webhook
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from bisect import bisect_left
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak import lives as rules
from tests.soak.processes import Relay, at_work
from tests.soak.run import SETTINGS, Run
from tests.soak.schedule import CONTOSO, FABRIKAM, SPEED, Schedule
from tests.soak.troubles import BadHour, Trouble
from tests.soak.views import Truth, backwards, stale_as_fresh
from tests.support.fault_proxy import Delay, Fault, FaultProxy
from tests.support.valkey import free_port

ROLES = {"edge": "edge", "edge-2": "edge", "worker-1": "worker", "worker-2": "worker", "webhook": "webhook"}
RIGHT_AGAIN_S = 45.0
"""After the last fault: the longest pause after refusals is 30 s, then comes a read, and an answer that was under way."""
_BACK_S = 40.0
_FRESH_SLACK_S = 3.0
_CHANGE_EVERY_S = 0.4
_LIMIT, _LIMIT_WINDOW_S = 1500, 30.0
_AVAILABILITIES = ("Available", "Busy", "Away", "DoNotDisturb", "Offline")


@dataclass(kw_only=True)
class ChaosReport:
    """What came of a run; `faults` is empty when all rules held."""

    seed: int
    faults: list[str]
    right_s: list[float]
    """Of each wave: seconds from its last fault until all was right."""
    fault_s: float
    changes: int = 0
    seen: int = 0
    claims: int = 0
    most_requests: int = 0
    told: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        right = ", ".join(f"{each:.1f}" for each in self.right_s)
        return (
            f"seed {self.seed}: {self.fault_s:.0f} s of faults, right again after {right} s, {self.changes} changes, "
            f"{self.seen} seen, {self.claims} claims to be fresh, at most {self.most_requests} requests of a tenant in 30 s; "
            f"{len(self.faults)} faults"
        )


class Chaos(Run):
    """Carries one bad hour out."""

    def __init__(self, relay: Relay, hour: BadHour, lines: dict[str, FaultProxy], edge_2: str, slack_s: float) -> None:
        super().__init__(relay, Schedule(seed=hour.seed, switches=hour.switches, steps=(), ending=""), slack_s)
        self._addresses.append(edge_2)
        self._hour = hour
        self._lines = lines
        self._chance = random.Random(hour.seed)
        self._marks = 0
        self._right_s: list[float] = []

    async def bad_hour(self) -> ChaosReport:
        """Every wave, and what came of it."""
        await self._begin()
        changing = asyncio.create_task(self._change())
        fault_s = 0.0
        try:
            for number, wave in enumerate(self._hour.waves):
                began = time.monotonic()
                await asyncio.gather(*(self._suffer(each) for each in wave))
                fault_s += time.monotonic() - began
                await self._be_right(f"wave {number + 1}")
                if self._faults:
                    break
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)
        return await self._judged(fault_s)

    async def _change(self) -> None:
        """People go on; every presence is another one, so that each is known by itself."""
        while True:
            await asyncio.sleep(self._chance.expovariate(1 / _CHANGE_EVERY_S))
            if self._is_paused:
                continue
            self._marks += 1
            who = self._chance.choice([*CONTOSO, *FABRIKAM])
            await self._show(who, self._chance.choice(_AVAILABILITIES), f"m{self._marks}")

    _is_paused = False

    async def _suffer(self, trouble: Trouble) -> None:
        await asyncio.sleep(trouble.at_s)
        await getattr(self, f"_{trouble.what}")(trouble.lasts_s, **trouble.how)

    async def _be_right(self, wave: str) -> None:
        """All processes are ready, all suites connected, and all show what there is."""
        self._is_paused = True
        healed = time.monotonic()
        await self._relay.ask("DELETE", "faults")
        while wrong := await self._not_back():
            if time.monotonic() - healed > _BACK_S + self._slack_s or self._died():
                self._faults += [f"{wave}: {each}" for each in (wrong, *self._died())]
                return
            await asyncio.sleep(0.1)
        while missing := self._wrong():
            if time.monotonic() - healed > RIGHT_AGAIN_S + self._slack_s:
                self._faults += [f"{wave}: never shown: {each}" for each in missing]
                break
            await asyncio.sleep(0.05)
        self._right_s.append(time.monotonic() - healed)
        self._is_paused = False

    async def _not_back(self) -> str:
        for name in self._relay.ops:
            if not await self._relay.is_ready(name):
                return f"{name} is not ready"
        away = [name for name, console in self._consoles.items() if not console.is_connected]
        return f"{away} are not connected" if away else ""

    def _died(self) -> list[str]:
        return [why for process in self._relay.processes.values() if (why := process.died())]

    async def _judged(self, fault_s: float) -> ChaosReport:
        relay = self._relay
        if not self._faults:
            self._faults += await self._until_single()
        for name in list(self._consoles):
            await self._go(name)
        changes = (await relay.ask("GET", "history", limit=20_000))["changes"]
        history = {user: [first] for user, first in self._first.items()}
        for each in changes:
            truth = Truth(each["availability"], each["activity"], each["sequence_number"], each["utc"])
            history[each["person"]].append(truth)
        seen = [each for console in self._gone for each in console.seen()]
        claims = [each for console in self._gone for each in console.claims]
        requests = (await relay.ask("GET", "journal", path="/v1.0/", limit=20_000))["entries"]
        most = _most_in_window(requests)
        self._faults += backwards(history, seen)
        self._faults += stale_as_fresh(history, claims, slack_s=_FRESH_SLACK_S + self._slack_s)
        self._faults += [f"{most} requests of a tenant within 30 s"] if most > _LIMIT else []
        self._faults += [each for each in self._died() if each not in self._faults]
        for process in relay.processes.values():
            log = process.log.read_text(errors="replace")
            self._faults += [f"{process.log.name} says {word}" for word in ("Traceback", " broke") if word in log]
        return ChaosReport(
            seed=self._hour.seed, faults=self._faults, right_s=self._right_s, fault_s=fault_s, changes=len(changes),
            seen=len(seen), claims=len(claims), most_requests=most,
        )  # fmt: skip

    async def _until_single(self) -> list[str]:
        """Soon after healing no subscription is doubled or left over."""
        deadline = time.monotonic() + 20 + self._slack_s
        while True:
            live = [each for each in await self._lives() if each.ended_s is None]
            faults = [*rules.two_at_once(live), *rules.in_two_at_once(live)]
            if not faults or time.monotonic() > deadline:
                return faults
            await asyncio.sleep(0.5)

    # Processes

    async def _kill(self, lasts_s: float, name: str) -> None:  # type: ignore[override]
        self._relay.processes[name].kill()
        await asyncio.sleep(lasts_s)
        self._relay.processes[name].start()

    async def _kill_workers(self, lasts_s: float) -> None:
        await asyncio.gather(self._kill(lasts_s, "worker-1"), self._kill(lasts_s, "worker-2"))

    async def _terminate(self, lasts_s: float, name: str) -> None:
        process = self._relay.processes[name]
        if why := process.died():
            self._faults.append(why)
            return
        code = await asyncio.to_thread(process.terminate)
        if code != 0:
            self._faults.append(f"{name} ended with {code} when it was told to stop")
        await asyncio.sleep(lasts_s)
        process.start()

    async def _freeze(self, lasts_s: float, name: str) -> None:
        await _for_a_while(self._relay.processes[name].tell, lasts_s)

    # Valkey

    async def _kill_valkey(self, lasts_s: float) -> None:
        self._relay.valkey.kill()
        await asyncio.sleep(lasts_s)
        await asyncio.to_thread(self._relay.valkey.start)

    async def _load_valkey(self, lasts_s: float) -> None:
        """It restarts, and refuses commands while it reads its file, which takes some time."""
        self._relay.valkey.kill()
        # Microseconds a command: a run has written some thousands when it comes to this.
        await asyncio.to_thread(self._relay.valkey.start, key_load_delay=str(int(200 * lasts_s)))

    async def _demote_valkey(self, lasts_s: float) -> None:
        """It becomes the replica of a server that is not there, and refuses to write; then it is a primary of another history."""
        self._relay.valkey.command("REPLICAOF 127.0.0.1 1")
        await asyncio.sleep(lasts_s)
        self._relay.valkey.command("REPLICAOF NO ONE")

    async def _freeze_valkey(self, lasts_s: float) -> None:
        await _for_a_while(self._relay.valkey.tell, lasts_s)

    async def _configure_valkey(self, lasts_s: float, setting: str, value: str, usual: str) -> None:
        self._relay.valkey.configure(setting, value)
        await asyncio.sleep(lasts_s)
        self._relay.valkey.configure(setting, usual)

    # Lines

    async def _break_line(self, lasts_s: float, name: str, fault: Fault) -> None:
        line = self._lines[name]
        await line.become(fault)
        await asyncio.sleep(lasts_s)
        await line.become(Fault.NONE)
        line.reset()  # what was lost on these connections stays lost

    async def _delay_line(self, lasts_s: float, name: str, delay_s: float) -> None:
        self._lines[name].delay_s = Delay(delay_s, delay_s)
        await asyncio.sleep(lasts_s)
        self._lines[name].delay_s = Delay()

    async def _reset_line(self, lasts_s: float, name: str) -> None:
        until = time.monotonic() + lasts_s
        while time.monotonic() < until:
            self._lines[name].reset()
            await asyncio.sleep(0.3)

    # The clouds, and suites

    async def _cloud_fault(self, lasts_s: float, **how: Any) -> None:
        await self._relay.ask("POST", "faults", {**how, "for_s": lasts_s})
        await asyncio.sleep(lasts_s)

    async def _reconnect(self, lasts_s: float) -> None:
        """Every suite leaves, and comes back at the other edge."""
        await asyncio.sleep(lasts_s)
        who = {name: tuple(self._watched[name]) for name in self._consoles}
        for name in who:
            await self._go(name)
        self._addresses.reverse()
        for name, users in who.items():
            await self._come(name, users, of="fabrikam" if name == "fabrikam" else "contoso")


async def _for_a_while(tell: Callable[[signal.Signals], None], lasts_s: float) -> None:
    tell(signal.SIGSTOP)
    try:
        await asyncio.sleep(lasts_s)
    finally:
        tell(signal.SIGCONT)


def _most_in_window(entries: list[dict[str, Any]]) -> int:
    """The most requests of one tenant at Graph within 30 s."""
    times: dict[str, list[float]] = {}
    for each in entries:
        times.setdefault(each["tenant"], []).append(each["utc"])
    return max(
        (place + 1 - bisect_left(own, at - _LIMIT_WINDOW_S) for own in times.values() for place, at in enumerate(own)),
        default=0,
    )


async def run_bad_hour(folder: Path, hour: BadHour, slack_s: float) -> ChaosReport:
    """Carry a bad hour out in an empty folder.

    Args:
        folder: where the processes write.
        hour: the run.
        slack_s: what a busy machine may add to each promised time.
    """
    ports = {name: free_port() for name in ("redis", "cloud", "hook")}
    ports["entra"] = ports["cloud"]
    edge_2 = free_port()
    async with AsyncExitStack() as stack:
        lines = {
            name: await stack.enter_async_context(FaultProxy(("127.0.0.1", port), seed=hour.seed))
            for name, port in ports.items()
        }
        settings = {
            **SETTINGS,
            "RELAY_REDIS_URL": f"redis://{lines['redis'].address}",
            "RELAY_CLOUD_GRAPH_URL": f"https://{lines['cloud'].address}",
            "RELAY_CLOUD_AUTHORITY_URL": f"https://{lines['entra'].address}",
            "RELAY_WEBHOOK_URL": f"https://{lines['hook'].address}",
            "RELAY_WEBHOOK_PORT": str(ports["hook"]),
        }
        relay = await stack.enter_async_context(
            at_work(
                folder, speed=SPEED, switches=hour.switches, settings=settings, roles=ROLES, cloud_port=ports["cloud"],
                redis_port=ports["redis"], own={"edge-2": {"RELAY_EDGE_PORT": str(edge_2)}},
            )
        )  # fmt: skip
        return await Chaos(relay, hour, lines, f"127.0.0.1:{edge_2}", slack_s).bad_hour()
