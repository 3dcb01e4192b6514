"""One run: a schedule is carried out over a whole relay, faults heal, and what came of it is judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from relay.core.consent.tenant import TenantEvent
from relay.store.custody.tenants import Tenants
from suite.values import Source
from tests.chaos import lives as rules
from tests.chaos import record as lines
from tests.chaos.processes import ROLES, at_work
from tests.chaos.record import Record
from tests.chaos.scene import CONTOSO, FABRIKAM, LEASE_S, RECONCILE_S, SETTINGS, SPEED, Scene
from tests.chaos.validators import judge
from tests.soak.schedule import Schedule

_LATE_S = 1.5
"""How long views are looked at once they are right: what is still under way must not make them wrong again."""
_GONE_S = 12.0
"""How long the last subscription of a tenant that is not read may live on: linger, a sweep, a pause after a refusal."""
_TAKE_OVER_S = LEASE_S + 2.0
_ALWAYS = (*CONTOSO[:4], *FABRIKAM)
"""Who is watched from the beginning to the end."""


@dataclass(kw_only=True)
class Report:
    """What came of a run; `faults` is empty when all rules held."""

    seed: int
    faults: list[str]
    converged_s: float
    gone_s: float
    changes: int
    seen: int
    lives: int
    notified: int

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: converged {self.converged_s:.2f} s after healing, {self.changes} changes, {self.seen} seen "
            f"({self.notified} by notification), {self.lives} subscriptions, the last gone after {self.gone_s:.1f} s; "
            f"{len(self.faults)} faults"
        )


class Run:
    """Carries one schedule out."""

    def __init__(self, scene: Scene, schedule: Schedule, slack_s: float) -> None:
        self._scene = scene
        self._relay = scene.relay
        self._schedule = schedule
        self._slack_s = slack_s
        self._restarts: list[asyncio.Task[None]] = []
        self._killed: list[tuple[str, float, float]] = []  # process, world's seconds, monotonic
        self._faults: list[str] = []

    async def __call__(self) -> Report:
        await self._scene.begin()
        begun = time.monotonic()
        for step in self._schedule.steps:
            await asyncio.sleep(max(0.0, begun + step.at_s - time.monotonic()))
            await getattr(self, f"_{step.what}")(**step.how)
        await self._heal()
        converged_s = await self._converge()
        stopped = time.time()
        gone_s = await self._end()
        return await self._judge(converged_s, gone_s, stopped)

    # After the faults

    async def _heal(self) -> None:
        """All that was wrong ends: from now on the promised time counts."""
        await self._relay.ask("DELETE", "notifications/faults")
        await asyncio.gather(*self._restarts)
        await self._relay.ready()
        deadline = time.monotonic() + 10
        while not all(console.is_connected for console in self._scene.consoles.values()):
            assert time.monotonic() < deadline, "a suite did not come back"
            await asyncio.sleep(0.02)
        lease_over = max((at for name, _, at in self._killed if ROLES[name] == "worker"), default=0.0) + LEASE_S
        await asyncio.sleep(max(0.0, lease_over - time.monotonic()))

    async def _converge(self) -> float:
        """Wait until every suite shows what there is to see, and see that it stays so; the seconds it took."""
        healed = time.time()
        most_s = RECONCILE_S + 1.0 + self._slack_s
        while (wrong := self._scene.wrong()) and time.time() < healed + most_s + 10:  # noqa: ASYNC110  other processes
            await asyncio.sleep(0.02)
        right = time.time()
        self._faults += [f"never shown: {each}" for each in wrong]
        await asyncio.sleep(_LATE_S)
        self._scene.record.note(lines.Calm(healed, right, time.time(), most_s))
        return right - healed

    async def _end(self) -> float:
        """Contoso is read no longer, for one reason or another, and Fabrikam's suites leave; seconds until none is left."""
        began = time.monotonic()
        scene, tenants, ending = self._scene, Tenants(self._relay.store), self._schedule.ending
        # What suites of an edge that was killed watched is watched until its interest expires, for longer than a run lasts.
        is_held = any(name == "edge" for name, _, _ in self._killed)
        if ending == "removed" or (is_held and ending == "nobody watches"):
            await tenants.remove(scene.contoso)
        elif ending == "suspended":
            await tenants.happened(scene.contoso, TenantEvent.SUSPENDED)
        if is_held:
            await tenants.remove(scene.fabrikam)
        for name in list(scene.consoles):
            if ending == "nobody watches" or name == "fabrikam":
                await scene.go(name)
        while any(life.ended_s is None for life in await scene.lives()):
            if time.monotonic() - began > _GONE_S + self._slack_s:
                break
            await asyncio.sleep(0.1)
        gone_s = time.monotonic() - began
        for name in list(scene.consoles):
            await scene.go(name)
        return gone_s

    async def _judge(self, converged_s: float, gone_s: float, stopped: float) -> Report:
        scene, record = self._scene, self._scene.record
        await scene.note_graph()
        await scene.note_outputs()
        lives = await scene.lives()
        self._faults += [*judge(record), *await self._judged(lives, stopped)]
        return Report(
            seed=self._schedule.seed, faults=self._faults, converged_s=converged_s, gone_s=gone_s,
            changes=len(record.of(lines.Truth)), seen=len(record.of(lines.Shown)), lives=len(lives),
            notified=sum(console.sources[Source.NOTIFICATION] for console in scene.gone),
        )  # fmt: skip

    async def _judged(self, lives: Sequence[rules.Life], stopped: float) -> list[str]:
        """Judge the subscriptions."""
        scene = self._scene
        now_s = (await self._relay.ask("GET", "clock"))["now_s"]
        entries = (await self._relay.ask("GET", "journal", path="getPresencesByUserId", limit=20_000))["entries"]
        worker_kills = [at for name, at, _ in self._killed if ROLES[name] == "worker"]
        excused = [(at, at + _TAKE_OVER_S * SPEED) for at in worker_kills]
        always = {scene.ids[name].lower() for name in _ALWAYS}
        within_s = RECONCILE_S + 1.0 + self._slack_s + (_TAKE_OVER_S if worker_kills else 0.0)
        kept = [replace(life, users=life.users & always) for life in lives]
        return [
            *rules.two_at_once(lives),
            *rules.unrenewed(lives, now_s, excused=excused),
            *rules.left(lives, scene.contoso, now_s),
            *rules.left(lives, scene.fabrikam, now_s),
            *rules.unread(kept, rules.reads_of(entries), within_s=within_s, now=stopped),
        ]

    # Steps

    async def _show(self, who: str, availability: str, activity: str) -> None:
        await self._scene.show(who, availability, activity)

    async def _leave_and_return(self, who: str, activity: str) -> None:
        before = self._scene.truth(who)
        await self._show(who, "Busy" if before[0] != "Busy" else "Away", activity)
        await self._show(who, *before)

    async def _fault(self, kind: str, *, only: bool, **how: Any) -> None:
        tenant = {"tenant": self._scene.contoso} if only else {}
        await self._relay.ask("POST", "notifications/faults", {"kind": kind, **tenant, **how})

    async def _remove_faults(self) -> None:
        await self._relay.ask("DELETE", "notifications/faults")

    async def _end_one(self, haunts_s: float) -> None:
        if live := await self._a_live_one():
            with suppress(httpx.HTTPStatusError):  # it ended meanwhile
                await self._relay.ask("DELETE", f"subscriptions/{live}", haunts_s=haunts_s)

    async def _challenge_one(self) -> None:
        if live := await self._a_live_one():
            with suppress(httpx.HTTPStatusError):
                await self._relay.ask("POST", f"subscriptions/{live}/challenge")

    async def _a_live_one(self) -> str | None:
        lives = await self._scene.lives()
        live = sorted((life for life in lives if life.ended_s is None), key=lambda life: life.created_s)
        return live[self._schedule.seed % len(live)].id if live else None

    async def _kill(self, name: str, away_s: float) -> None:
        began = time.time()
        self._relay.processes[name].kill()
        now_s = (await self._relay.ask("GET", "clock"))["now_s"]
        self._killed.append((name, now_s, time.monotonic()))
        self._restarts.append(asyncio.create_task(self._restart(name, away_s, began)))

    async def _restart(self, name: str, away_s: float, began: float) -> None:
        await asyncio.sleep(away_s)
        self._relay.processes[name].start()
        await self._relay.ready(name)
        self._scene.record.note(lines.Trouble(began, time.time(), f"kill {name}"))

    async def _come(self, suite: str, users: tuple[str, ...]) -> None:
        await self._scene.come(suite, users)

    async def _go(self, suite: str) -> None:
        await self._scene.go(suite)

    async def _subscribe(self, who: str) -> None:
        await self._scene.subscribe("console", who)

    async def _unsubscribe(self, who: str) -> None:
        await self._scene.unsubscribe("console", who)


async def run(folder: Path, which: Schedule, slack_s: float) -> Report:
    """Carry a schedule out in an empty folder; its record is `record.jsonl` there.

    Args:
        folder: where the processes write.
        which: the schedule.
        slack_s: what a busy machine may add to each promised time.
    """
    record = Record(file=folder / "record.jsonl")
    record.note(lines.Begun(which.seed, "standalone", slack_s, tuple(map(str, which.steps))))
    try:
        async with at_work(folder, speed=SPEED, switches=which.switches, settings=SETTINGS) as relay:
            return await Run(Scene(relay, record, [relay.address]), which, slack_s)()
    finally:
        record.close()
