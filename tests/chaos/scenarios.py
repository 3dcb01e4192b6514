"""What operators are promised, measured on a town: `python -m tests.chaos scenario NAME`.

worker-killed      kill -9 of each worker in turn: no change waits for more than ten seconds
edge-killed        kill -9 of each edge in turn: each suite has resumed within two seconds of finding another, and missed nothing
rolling-restart    every process is stopped and started in turn: nobody is shown unknown, and Graph is asked one per cent more at most
redis-failover     the primary is killed: presence moves again within 30 seconds
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.chaos import record as lines
from tests.chaos.record import Record
from tests.chaos.schedule import ROLES
from tests.chaos.town import WHOLE, Size, Town, town
from tests.chaos.validators import judge

GAP_S: Final = 10.0
RESUMED_S: Final = 2.0
MOVES_S: Final = 30.0
MORE_REQUESTS: Final = 0.01
ROLL_S: Final = 600.0
_WATCHED_S: Final = 20.0
"""How long changes are looked at after a process was killed."""
_CALM_S: Final = 62.0
"""The interval in force of users whose changes are announced, a second, and a second for a change under way."""


@dataclass
class Outcome:
    """What a scenario measured; `faults` is empty when all promises held."""

    figures: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def measured(self, what: str, value: float, most: float, unit: str) -> None:
        """Take a figure in, and the promise that it is judged by."""
        self.figures.append(f"{what}: {value:.2f} {unit} (at most {most:g})")
        if value > most:
            self.faults.append(f"{what}: {value:.2f} {unit}, more than {most:g}")


Scenario = Callable[[Town, Outcome, float], Awaitable[None]]


async def worker_killed(at: Town, outcome: Outcome, slack_s: float) -> None:
    """Kill each worker in turn, and look how long changes waited."""
    await asyncio.sleep(_WATCHED_S)
    for name in _named("worker"):
        killed = time.time()
        await _kill(at, name, _WATCHED_S)
        await at.rest(_CALM_S + slack_s)
        outcome.figures.append(f"{name} killed at {killed:.1f}")
    await _ended(at)
    kills = [trouble.at for trouble in at.record.of(lines.Trouble)]
    gaps = waits(at.record)
    usual = [gap for changed, gap in gaps if changed < kills[0] - GAP_S]
    outcome.figures.append(
        f"usually a change waits {sum(usual) / max(1, len(usual)):.2f} s, at most {max(usual):.2f} s"
    )
    for name, killed in zip(_named("worker"), kills, strict=True):
        own = [
            gap for changed, gap in gaps if killed - GAP_S <= changed <= killed + _WATCHED_S and changed + gap >= killed
        ]
        outcome.measured(f"longest wait of a change, {name} killed", max(own), GAP_S + slack_s, "s")


async def edge_killed(at: Town, outcome: Outcome, slack_s: float) -> None:
    """Kill each edge in turn, and look how long its suites took to resume."""
    for name in _named("edge"):
        await _kill(at, name, _WATCHED_S)
        await at.rest(_CALM_S + slack_s)
    await _ended(at)
    for name, trouble in zip(_named("edge"), at.record.of(lines.Trouble), strict=True):
        took = [seconds for when, seconds in resumes(at.record) if trouble.at <= when <= trouble.until]
        outcome.figures.append(f"{name} killed: {len(took)} suites resumed")
        outcome.measured(f"longest resume, {name} killed", max(took, default=0.0), RESUMED_S + slack_s, "s")


async def rolling_restart(at: Town, outcome: Outcome, slack_s: float, roll_s: float = ROLL_S) -> None:
    """Restart every process in order, one after the other, and compare with as long a time before."""
    await asyncio.sleep(30.0)  # subscriptions are made
    before = time.time()
    await asyncio.sleep(roll_s)
    began = time.time()
    for number, name in enumerate(ROLES, 1):
        process = at.relay.processes[name]
        code = await asyncio.to_thread(process.terminate)
        if code:
            outcome.faults.append(f"{name} ended with {code}")
        process.start()
        await at.relay.ready(name)
        await asyncio.sleep(max(0.0, began + number * roll_s / len(ROLES) - time.time()))
    ended = time.time()
    await at.rest(_CALM_S + slack_s)
    await at.asked.gather(at.relay)
    await _ended(at)
    measure_roll(at, outcome, before, began, ended)


def measure_roll(at: Town, outcome: Outcome, before: float, began: float, ended: float) -> None:
    """Measure what suites and Graph saw while processes were replaced, from `began` to `ended`, beside the time from `before` on."""
    unknown = {
        (line.suite, line.user, line.status)
        for line in at.record.of(lines.Shown)
        if began <= line.at <= ended and line.status
    }
    outcome.measured("users shown unknown", len(unknown), 0, "users")
    outcome.figures += [str(each) for each in sorted(unknown)[:5]]
    usual, now = at.asked.counts(before, began), at.asked.counts(began, ended)
    part = (ended - began) / (began - before)
    outcome.figures += [
        f"{kind}: {usual[kind] * part:.0f} requests before, {now[kind]} meanwhile" for kind in sorted({*usual, *now})
    ]
    expected = (usual.total() - usual["names"]) * part
    more = (now.total() - now["names"] - expected) / max(1.0, expected)
    outcome.measured("more requests to Graph", more * 100, MORE_REQUESTS * 100, "%")
    early = [name for at_s, name in at.asked.early if at_s >= began]
    outcome.measured("names asked for before their time", len(early), 0, "names")
    own = [gap for changed, gap in waits(at.record) if began <= changed <= ended]
    outcome.figures.append(f"longest wait of a change meanwhile: {max(own):.2f} s")


async def redis_failover(at: Town, outcome: Outcome, slack_s: float) -> None:
    """Kill the primary, and look when presence moved again."""
    await asyncio.sleep(_WATCHED_S)
    killed = time.time()
    await at.relay.servers.suffer("kill", MOVES_S)
    at.record.note(lines.Trouble(killed, time.time(), "the primary is killed"))
    await at.rest(_CALM_S + slack_s)
    await _ended(at)
    changed = {truth.activity: truth.at for truth in at.record.of(lines.Truth)}
    moved = min(line.at for line in at.record.of(lines.Shown) if changed.get(line.activity, 0.0) > killed)
    outcome.measured("presence moved again after", moved - killed, MOVES_S + slack_s, "s")


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "worker-killed": worker_killed,
    "edge-killed": edge_killed,
    "rolling-restart": rolling_restart,
    "redis-failover": redis_failover,
}


async def play(folder: Path, name: str, topology: str, slack_s: float, size: Size = WHOLE) -> Outcome:
    """Play a scenario in an empty folder, and judge its record by every guarantee."""
    outcome = Outcome()
    async with town(folder, topology, size, slack_s) as at:
        await SCENARIOS[name](at, outcome, slack_s)
        outcome.faults += judge(at.record)
    return outcome


def waits(record: Record) -> Sequence[tuple[float, float]]:
    """Return (time, seconds) of each change and each suite that was shown it: how long it took.

    A change that another one of the same user followed may be skipped; then the later one counts from the first on.
    """
    own: dict[str, list[lines.Truth]] = {}
    for truth in record.of(lines.Truth):
        own.setdefault(truth.user, []).append(truth)
    places = {truth.activity: (truths, place) for truths in own.values() for place, truth in enumerate(truths)}
    last: dict[tuple[str, str], int] = {}
    found = []
    for line in record.of(lines.Shown):
        if line.status or line.activity not in places or not line.activity:
            continue
        truths, place = places[line.activity]
        first = last.get((line.suite, line.user), place - 1) + 1
        last[line.suite, line.user] = max(place, first - 1)
        if first <= place and truths[first].at:
            found.append((truths[first].at, line.at - truths[first].at))
    return found


def resumes(record: Record) -> Sequence[tuple[float, float]]:
    """Return (time, seconds) of each stream: how long it took from its begin to the end of its snapshot."""
    began: dict[str, float] = {}
    found = []
    for line in record:
        if isinstance(line, lines.Connected):
            began[line.suite] = line.at
        elif isinstance(line, lines.Complete) and line.suite in began:
            found.append((line.at, line.at - began.pop(line.suite)))
    return found


def _named(role: str) -> list[str]:
    return [name for name, of in ROLES.items() if of == role]


async def _kill(at: Town, name: str, away_s: float) -> None:
    began = time.time()
    at.relay.processes[name].kill()
    await asyncio.sleep(away_s)
    at.relay.processes[name].start()
    await at.relay.ready(name)
    at.record.note(lines.Trouble(began, time.time(), f"kill {name}"))


async def _ended(at: Town) -> None:
    await at.end()
    for name, process in at.relay.processes.items():
        if why := process.died():
            at.record.note(lines.Output(name, why))
        if "Traceback" in process.log.read_text(errors="replace"):
            at.record.note(lines.Output(name, "the log has a traceback"))
