"""One run: waves of faults over a whole relay, each followed by a calm in which all must be right, and the verdict on its record.

edge ×2, worker ×3, webhook ×2 ──► proxies ──► Redis;  ──► two proxies (Graph, Entra) ──► the local cloud ──► proxy ──► webhooks
suites ──► a proxy for each edge
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from relay.store.server.connection import Store, StoreSettings
from tests.chaos import lives as rules
from tests.chaos import record as lines
from tests.chaos.clocks import SteppedClock
from tests.chaos.custodian import Custodian
from tests.chaos.processes import at_work
from tests.chaos.record import Record
from tests.chaos.scene import CONTOSO, FABRIKAM, LEASE_S, MARKER, NEWCOMER, RECONCILE_S, SETTINGS, SPEED, Scene
from tests.chaos.schedule import BadHour
from tests.chaos.topologies import TOPOLOGIES
from tests.chaos.troubles import Troubles
from tests.chaos.validators import judge
from tests.support.fault_proxy import FaultProxy
from tests.support.valkey import free_port

RIGHT_AGAIN_S: Final = 45.0
"""After the last fault: the longest pause after refusals is 30 s, then comes a read, and an answer that was under way."""
_BACK_S: Final = 40.0
_SETTLED_S: Final = RECONCILE_S + 1.0
"""Within which a change is shown when nothing is wrong: the interval in force, and a second."""
_STAYS_S: Final = 1.5
"""How long views are looked at once they are right: what is still under way must not make them wrong again."""
_SINGLE_S: Final = 20.0
_CHANGE_EVERY_S: Final = 0.4
_AVAILABILITIES: Final = ("Available", "Busy", "Away", "DoNotDisturb", "Offline")


@dataclass(kw_only=True)
class Verdict:
    """What came of a run; `faults` is empty when all guarantees held."""

    hour: BadHour
    faults: list[str]
    record: Record
    right_s: Sequence[float] = field(default=())
    """Of each wave: seconds from its last fault until all was right."""

    def __str__(self) -> str:
        right = ", ".join(f"{each:.1f}" for each in self.right_s)
        acknowledged = len(self.record.of(lines.Acknowledged))
        return (
            f"seed {self.hour.seed}, {self.hour.topology}: right again after {right} s, {len(self.record.of(lines.Truth))} "
            f"changes, {len(self.record.of(lines.Shown))} shown, {len(self.record.of(lines.Told))} claims to be fresh, "
            f"{acknowledged} writes of custody, {len(self.record.of(lines.Request))} requests; {len(self.faults)} faults"
        )


class Run:
    """Carries one bad hour out."""

    def __init__(self, scene: Scene, hour: BadHour, troubles: Troubles, slack_s: float) -> None:
        self._scene = scene
        self._hour = hour
        self._troubles = troubles
        self._slack_s = slack_s
        self._chance = random.Random(hour.seed)
        self._marks = 0
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._faults: list[str] = []
        self._right_s: list[float] = []

    async def __call__(self, by_lines: Store) -> Verdict:
        """Every wave, and what came of it.

        Args:
            by_lines: a store with the run's faults before it, for custody.
        """
        scene, record = self._scene, self._scene.record
        await scene.begin()
        custodian = Custodian(by_lines, record, self._hour.seed)
        tasks = [asyncio.create_task(self._change()), asyncio.create_task(custodian.work())]
        try:
            for number, wave in enumerate(self._hour.waves, 1):
                await asyncio.gather(*(self._troubles.suffer(each) for each in wave))
                await self._be_calm(f"wave {number}")
                if self._faults:
                    break
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        self._faults += [f"the run's own: {end!r}" for end in ends if isinstance(end, Exception)]
        if not self._faults:
            self._faults += await self._until_single()
        for name in list(scene.consoles):
            await scene.go(name)
        await custodian.note_found(scene.relay.store)
        await scene.note_graph()
        await scene.note_outputs()
        return Verdict(hour=self._hour, faults=[*self._faults, *judge(record)], record=record, right_s=self._right_s)

    async def _change(self) -> None:
        """People go on; every presence is another one, so that each is known by itself."""
        while True:
            await asyncio.sleep(self._chance.expovariate(1 / _CHANGE_EVERY_S))
            await self._goes_on.wait()
            await self._show_another(self._chance.choice([*CONTOSO, *FABRIKAM]))

    async def _show_another(self, who: str) -> None:
        self._marks += 1
        await self._scene.show(who, self._chance.choice(_AVAILABILITIES), f"{MARKER}{self._marks}")

    # After the faults

    async def _be_calm(self, wave: str) -> None:
        """All becomes right again; then changes, and a name that was not watched, take as long as they do when nothing is wrong."""
        self._goes_on.clear()
        healed = time.time()
        await self._scene.relay.ask("DELETE", "faults")
        if not await self._become_right(wave, healed, RIGHT_AGAIN_S + self._slack_s):
            return
        self._right_s.append(time.time() - healed)
        for who in (CONTOSO[0], self._chance.choice(CONTOSO[1:]), self._chance.choice(FABRIKAM)):
            await self._show_another(who)
        await self._scene.subscribe("console", NEWCOMER)
        if await self._become_right(wave, time.time(), _SETTLED_S + self._slack_s):
            await self._scene.unsubscribe("console", NEWCOMER)
            self._note_memory()
            self._goes_on.set()

    async def _become_right(self, wave: str, since: float, within_s: float) -> bool:
        """Wait until all is right, note the calm, and see that it stays so."""
        back_by = since + _BACK_S + self._slack_s
        while away := await self._scene.not_back():
            if time.time() > back_by or any(each.died() for each in self._scene.relay.processes.values()):
                self._faults.append(f"{wave}: {away}")
                return False
            await asyncio.sleep(0.1)
        while True:
            # Longer than is promised, so that the record shows how much longer it took.
            while (wrong := self._scene.wrong()) and time.time() < since + within_s + 10:  # noqa: ASYNC110  other processes
                await asyncio.sleep(0.05)
            right = time.time()
            # A request that was under way while Microsoft failed may still fail now, and is told; that is no fault before the time is up.
            if await self._stays_right() or time.time() > since + within_s:
                break
        self._scene.record.note(lines.Calm(since, right, time.time(), within_s))
        self._faults += [f"{wave}: never shown: {each}" for each in wrong]
        return not wrong

    async def _stays_right(self) -> bool:
        until = time.time() + _STAYS_S
        while time.time() < until:
            await asyncio.sleep(0.05)
            if self._scene.wrong():
                return False
        return True

    def _note_memory(self) -> None:
        scene = self._scene
        users = len({name for names in scene.watched.values() for name in names})
        for name in scene.relay.ops:
            pid = scene.relay.processes[name].pid
            memory = psutil.Process(pid).memory_info().rss
            scene.record.note(lines.Memory(time.time(), name, pid, memory, users, len(scene.consoles)))

    async def _until_single(self) -> list[str]:
        """Soon after healing no subscription is doubled or left over."""
        deadline = time.monotonic() + _SINGLE_S + self._slack_s
        while True:
            live = [each for each in await self._scene.lives() if each.ended_s is None]
            faults = [*rules.two_at_once(live), *rules.in_two_at_once(live)]
            if not faults or time.monotonic() > deadline:
                return faults
            await asyncio.sleep(0.5)


async def run(
    folder: Path, hour: BadHour, slack_s: float, custody_store: Callable[[StoreSettings], Store] = Store
) -> Verdict:
    """Carry a bad hour out in an empty folder; its record is `record.jsonl` there.

    Args:
        folder: where the processes write.
        hour: the run.
        slack_s: what a busy machine may add to each promised time.
        custody_store: makes the store by which custody is written.
    """
    hooks = [free_port() for role in hour.roles.values() if role == "webhook"]
    edges = [free_port() for role in hour.roles.values() if role == "edge"]
    cloud_port = free_port()
    record = Record(file=folder / "record.jsonl")
    record.note(lines.Begun(hour.seed, hour.topology, slack_s, tuple(str(hour).splitlines())))
    async with AsyncExitStack() as stack:
        stack.callback(record.close)
        servers = await stack.enter_async_context(TOPOLOGIES[hour.topology](folder, slack_s))
        proxies = {
            name: await stack.enter_async_context(FaultProxy(upstream, others=others, seed=hour.seed))
            for name, (upstream, *others) in {
                "cloud": [("127.0.0.1", cloud_port)],
                "entra": [("127.0.0.1", cloud_port)],
                "hook": [("127.0.0.1", port) for port in hooks],
                **{f"suites-{number}": [("127.0.0.1", port)] for number, port in enumerate(edges, 1)},
            }.items()
        }
        clocks = {name: SteppedClock(folder / f"{name}.clock") for name in hour.stepped}
        settings = {
            **SETTINGS,
            "RELAY_REDIS_URL": servers.url_by_lines,
            # A process that waits for a core longer than its lease loses it.
            "RELAY_WORKER_LEASE": f"{LEASE_S + slack_s / 10:g}s",
            "RELAY_CLOUD_GRAPH_URL": f"https://{proxies['cloud'].address}",
            "RELAY_CLOUD_AUTHORITY_URL": f"https://{proxies['entra'].address}",
            "RELAY_WEBHOOK_URL": f"https://{proxies['hook'].address}",
        }
        relay = await stack.enter_async_context(
            at_work(
                folder, speed=SPEED, switches=hour.switches, settings=settings, roles=hour.roles, cloud_port=cloud_port,
                servers=servers, own=_own(hour, edges, hooks, clocks), weakened=hour.weakened,
            )
        )  # fmt: skip
        by_lines = await stack.enter_async_context(
            custody_store(StoreSettings(url=servers.url_by_lines, replicas=servers.replicas))
        )
        scene = Scene(relay, record, [proxy.address for name, proxy in proxies.items() if "suites" in name])
        return await Run(scene, hour, Troubles(scene, {**proxies, **servers.lines}, clocks, hour.weakened), slack_s)(
            by_lines
        )


def _own(
    hour: BadHour, edges: Sequence[int], hooks: Sequence[int], clocks: dict[str, SteppedClock]
) -> dict[str, dict[str, str]]:
    """Return what each process alone has: its port, and a clock of its own."""
    ports = {"edge": iter(edges), "webhook": iter(hooks)}
    own: dict[str, dict[str, str]] = {}
    for name, role in hour.roles.items():
        port = {f"RELAY_{role.upper()}_PORT": str(next(ports[role]))} if role in ports else {}
        own[name] = {**port, **(clocks[name].environment if name in clocks else {})}
    return own
