"""One run: a schedule is carried out over a whole relay, faults heal, and what came of it is judged."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from relay.core.consent.tenant import TenantEvent
from relay.store.custody.tenants import Tenants
from suite.backoff import Backoff
from suite.client import PresenceClient
from suite.errors import Refused
from suite.events import Changed, Connected, Disconnected, Event, Progress, SnapshotComplete, TenantStatus
from suite.values import Status
from tests.soak import lives as rules
from tests.soak.processes import ROLES, Relay, at_work
from tests.soak.schedule import CONTOSO, FABRIKAM, SPEED, Schedule
from tests.soak.views import Claim, Seen, Truth, backwards

POLL_S, RECONCILE_S, LEASE_S = 1.0, 3.0, 2.0
SETTINGS = {
    "RELAY_POLL_INTERVAL": f"{POLL_S}s",
    "RELAY_POLL_RECONCILE_INTERVAL": f"{RECONCILE_S}s",
    "RELAY_WORKER_LEASE": f"{LEASE_S}s",
    "RELAY_WATCH_LINGER": "1s",
    "RELAY_SUBSCRIPTION_USERS": "3",
    # Graph takes the 50 minutes for the world's, which are 10 seconds; 4.5 to 5.4 are 22 to 27 of its minutes.
    "RELAY_SUBSCRIPTION_RENEW_AFTER": "4500ms",
    "RELAY_SUBSCRIPTION_GATHER": "200ms",
    "RELAY_SUBSCRIPTION_REMAKE_SOON": "1s",
    "RELAY_SUBSCRIPTION_REMAKE_LATE": "1500ms",
    "RELAY_SUBSCRIPTION_RETRY_LEAST": "500ms",
    "RELAY_SUBSCRIPTION_RETRY_MOST": "2s",
    "RELAY_SUBSCRIPTION_LOOK_AFTER": "500ms",
    "RELAY_SUBSCRIPTION_ANNOUNCED_WITHIN": "2s",
    "RELAY_SUBSCRIPTION_SILENT_PAUSE": "3s",
}
_PROGRESS_S = 1.0
_LATE_S = 1.5
"""How long views are looked at once they are right: what is still under way must not make them wrong again."""
_GONE_S = 12.0
"""How long the last subscription of a tenant that is not read may live on: linger, a sweep, a pause after a refusal."""
_TAKE_OVER_S = LEASE_S + 2.0
_ALWAYS = (*CONTOSO[:4], *FABRIKAM)
"""Who is watched from the beginning to the end."""


class Console:
    """A suite and everything it was told."""

    def __init__(self, name: str, client: PresenceClient) -> None:
        self.name = name
        self.client = client
        self.events: list[tuple[float, Event]] = []
        self.claims: list[Claim] = []
        self.is_connected = False
        self._is_well = self._is_complete = False
        self._listening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self.client.__aenter__()
        self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        await self.client.__aexit__(None, None, None)
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        with suppress(Refused):
            async for event in self.client.events():
                self.events.append((time.time(), event))
                if isinstance(event, Connected | Disconnected):
                    self.is_connected = isinstance(event, Connected)
                    self._is_well = self._is_complete = False
                elif isinstance(event, SnapshotComplete):
                    self._is_complete = True
                elif isinstance(event, TenantStatus):
                    self._is_well = event.status is Status.NONE
                if isinstance(event, TenantStatus | Progress) and self._is_well and self._is_complete:
                    self._claimed(event)

    def _claimed(self, event: TenantStatus | Progress) -> None:
        """The suite was told that what it shows is fresh: before the snapshot is complete, what it missed is still to come."""
        if event.contact_time is None:
            return
        shown = {
            user: (answer.presence.raw_availability, answer.presence.raw_activity)
            for user, answer in self.client.answers.items()
            if answer.presence is not None and not answer.is_uncertain
        }
        every_s = event.poll_interval.total_seconds() if event.poll_interval is not None else 0.0
        self.claims.append(Claim(time.time(), self.name, event.contact_time.timestamp(), every_s, shown))

    def shows(self, name: str) -> tuple[str, str] | str:
        """Availability and activity as Microsoft says them, or why there is none."""
        resolution, answer = self.client.find(name)
        if answer is None or answer.presence is None:
            return str(answer.status if answer is not None else resolution)
        return answer.presence.raw_availability, answer.presence.raw_activity

    def seen(self) -> list[Seen]:
        return [
            Seen(
                at, self.name, event.user_id, event.presence.raw_availability, event.presence.raw_activity,
                event.presence.sequence_number,
            )
            for at, event in self.events
            if isinstance(event, Changed) and event.presence is not None
        ]  # fmt: skip


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

    def __init__(self, relay: Relay, schedule: Schedule, slack_s: float) -> None:
        self._relay = relay
        self._schedule = schedule
        self._slack_s = slack_s
        self._keys: dict[str, str] = {}
        self._consoles: dict[str, Console] = {}
        self._gone: list[Console] = []
        self._watched: dict[str, set[str]] = {}
        self._truth: dict[str, tuple[str, str]] = {}
        self._restarts: list[asyncio.Task[None]] = []
        self._killed: list[tuple[str, float, float]] = []  # process, world's seconds, monotonic
        self._faults: list[str] = []
        self._addresses = [relay.address]

    async def __call__(self) -> Report:
        begun = await self._begin()
        for step in self._schedule.steps:
            await asyncio.sleep(max(0.0, begun + step.at_s - time.monotonic()))
            await getattr(self, f"_{step.what}")(**step.how)
        await self._heal()
        converged_s = await self._converge()
        stopped = time.time()
        gone_s = await self._end()
        return await self._judge(converged_s, gone_s, stopped)

    # Before and after

    async def _begin(self) -> float:
        relay = self._relay
        self._contoso = await relay.onboard("presence-relay@contoso.example")
        await relay.onboard("ben@contoso.example")
        self._fabrikam = await relay.onboard("presence-relay@fabrikam.example")
        self._keys = {
            "contoso": await relay.suite_key(self._contoso),
            "fabrikam": await relay.suite_key(self._fabrikam),
        }
        people = (await relay.ask("GET", "people"))["people"]
        self._ids = {each["upn"]: each["id"] for each in people}
        self._truth = {each["upn"]: (each["availability"], each["activity"]) for each in people}
        self._first = {
            each["id"]: Truth(each["availability"], each["activity"], each["sequence_number"]) for each in people
        }
        await relay.ask("PUT", "history", {"enabled": True})
        await relay.ask("PUT", "journal", {"keep_ids": True})
        await self._come("console", CONTOSO)
        await self._come("second", CONTOSO[2:7])
        await self._come("fabrikam", FABRIKAM, of="fabrikam")
        deadline = time.monotonic() + 20
        while not self._are_right():
            assert time.monotonic() < deadline, f"the relay did not begin: {self._wrong()}"
            await asyncio.sleep(0.05)
        return time.monotonic()

    async def _heal(self) -> None:
        """All that was wrong ends: from now on the promised time counts."""
        await self._relay.ask("DELETE", "notifications/faults")
        await asyncio.gather(*self._restarts)
        await self._relay.ready()
        deadline = time.monotonic() + 10
        while not all(console.is_connected for console in self._consoles.values()):
            assert time.monotonic() < deadline, "a suite did not come back"
            await asyncio.sleep(0.02)
        lease_over = max((at for name, _, at in self._killed if ROLES[name] == "worker"), default=0.0) + LEASE_S
        await asyncio.sleep(max(0.0, lease_over - time.monotonic()))

    async def _converge(self) -> float:
        """Wait until every suite shows what there is to see, and see that it stays so; the seconds it took."""
        healed = time.monotonic()
        most_s = RECONCILE_S + 1.0 + self._slack_s
        while wrong := self._wrong():
            if time.monotonic() - healed > most_s + 10:
                self._faults += [f"never shown: {each}" for each in wrong]
                break
            await asyncio.sleep(0.02)
        took_s = time.monotonic() - healed
        if took_s > most_s:
            self._faults.append(f"suites showed what there is only after {took_s:.2f} s")
        late = time.monotonic() + _LATE_S
        while time.monotonic() < late and not self._faults:
            self._faults += [f"wrong again: {each}" for each in self._wrong()]
            await asyncio.sleep(0.05)
        return took_s

    async def _end(self) -> float:
        """Contoso is read no longer, for one reason or another, and Fabrikam's suites leave; seconds until none is left."""
        began = time.monotonic()
        tenants, ending = Tenants(self._relay.store), self._schedule.ending
        # What suites of an edge that was killed watched is watched until its interest expires, for longer than a run lasts.
        is_held = any(name == "edge" for name, _, _ in self._killed)
        if ending == "removed" or (is_held and ending == "nobody watches"):
            await tenants.remove(self._contoso)
        elif ending == "suspended":
            await tenants.happened(self._contoso, TenantEvent.SUSPENDED)
        if is_held:
            await tenants.remove(self._fabrikam)
        for name in list(self._consoles):
            if ending == "nobody watches" or name == "fabrikam":
                await self._go(name)
        while any(life.ended_s is None for life in await self._lives()):
            if time.monotonic() - began > _GONE_S + self._slack_s:
                break
            await asyncio.sleep(0.1)
        gone_s = time.monotonic() - began
        for name in list(self._consoles):
            await self._go(name)
        return gone_s

    async def _judge(self, converged_s: float, gone_s: float, stopped: float) -> Report:
        relay = self._relay
        lives = await self._lives()
        now_s = (await relay.ask("GET", "clock"))["now_s"]
        changes = (await relay.ask("GET", "history", limit=20_000))["changes"]
        entries = (await relay.ask("GET", "journal", path="getPresencesByUserId", limit=20_000))["entries"]
        history = {user: [first] for user, first in self._first.items()}
        for each in changes:
            history[each["person"]].append(Truth(each["availability"], each["activity"], each["sequence_number"]))
        seen = [each for console in self._gone for each in console.seen()]
        worker_kills = [at for name, at, _ in self._killed if ROLES[name] == "worker"]
        excused = [(at, at + _TAKE_OVER_S * SPEED) for at in worker_kills]
        always = {self._ids[name].lower() for name in _ALWAYS}
        within_s = RECONCILE_S + 1.0 + self._slack_s + (_TAKE_OVER_S if worker_kills else 0.0)
        self._faults += backwards(history, seen)
        self._faults += rules.two_at_once(lives)
        self._faults += rules.unrenewed(lives, now_s, excused=excused)
        self._faults += rules.left(lives, self._contoso, now_s) + rules.left(lives, self._fabrikam, now_s)
        kept = [replace(life, users=life.users & always) for life in lives]
        self._faults += rules.unread(kept, rules.reads_of(entries), within_s=within_s, now=stopped)
        for process in relay.processes.values():
            self._faults += [process.died()] if process.died() else []
            if "Traceback" in process.log.read_text(errors="replace"):
                self._faults.append(f"{process.log.name} has a traceback")
        sources = [
            event.presence.source.name
            for console in self._gone
            for _, event in console.events
            if isinstance(event, Changed) and event.presence is not None
        ]
        return Report(
            seed=self._schedule.seed, faults=self._faults, converged_s=converged_s, gone_s=gone_s, changes=len(changes),
            seen=len(seen), lives=len(lives), notified=sources.count("NOTIFICATION"),
        )  # fmt: skip

    async def _lives(self) -> list[rules.Life]:
        told = await self._relay.ask("GET", "subscriptions", limit=20_000)
        return [rules.life_of(each) for each in told["subscriptions"]]

    def _are_right(self) -> bool:
        return not self._wrong()

    def _wrong(self) -> list[str]:
        """Who is shown otherwise than there is to see."""
        return [
            f"{console.name} shows {name} as {shown}, and there is {self._truth[name]}"
            for console in self._consoles.values()
            for name in self._watched[console.name]
            if (shown := console.shows(name)) != self._truth[name]
        ]

    # Steps

    async def _show(self, who: str, availability: str, activity: str) -> None:
        body = {"availability": availability, "activity": activity}
        self._truth[who] = (availability, activity)
        await self._relay.ask("PUT", f"people/{who}/presence", body)

    async def _leave_and_return(self, who: str, activity: str) -> None:
        before = self._truth[who]
        await self._show(who, "Busy" if before[0] != "Busy" else "Away", activity)
        await self._show(who, *before)

    async def _fault(self, kind: str, *, only: bool, **how: Any) -> None:
        tenant = {"tenant": self._contoso} if only else {}
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
        live = sorted((life for life in await self._lives() if life.ended_s is None), key=lambda life: life.created_s)
        return live[self._schedule.seed % len(live)].id if live else None

    async def _kill(self, name: str, away_s: float) -> None:
        self._relay.processes[name].kill()
        now_s = (await self._relay.ask("GET", "clock"))["now_s"]
        self._killed.append((name, now_s, time.monotonic()))
        self._restarts.append(asyncio.create_task(self._restart(name, away_s)))

    async def _restart(self, name: str, away_s: float) -> None:
        await asyncio.sleep(away_s)
        self._relay.processes[name].start()
        await self._relay.ready(name)

    async def _come(self, suite: str, users: tuple[str, ...], of: str = "contoso") -> None:
        client = PresenceClient(
            self._addresses[len(self._consoles) % len(self._addresses)],
            self._keys[of],
            ca_pem=self._relay.ca_pem,
            proxy="",
            users=users,
            progress_interval=timedelta(seconds=_PROGRESS_S),
            backoff=Backoff(lambda _, high: min(high, 0.2)),
        )
        console = self._consoles[suite] = Console(suite, client)
        self._watched[suite] = set(users)
        await console.open()

    async def _go(self, suite: str) -> None:
        console = self._consoles.pop(suite)
        await console.close()
        self._gone.append(console)

    async def _subscribe(self, who: str) -> None:
        self._watched["console"].add(who)
        await self._consoles["console"].client.subscribe([who])

    async def _unsubscribe(self, who: str) -> None:
        self._watched["console"].discard(who)
        await self._consoles["console"].client.unsubscribe([who])


async def run(folder: Path, which: Schedule, slack_s: float) -> Report:
    """Carry a schedule out in an empty folder.

    Args:
        folder: where the processes write.
        which: the schedule.
        slack_s: what a busy machine may add to each promised time.
    """
    async with at_work(folder, speed=SPEED, switches=which.switches, settings=SETTINGS) as relay:
        return await Run(relay, which, slack_s)()
