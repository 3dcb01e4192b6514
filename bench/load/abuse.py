"""One tenant abuses its suite key; a quiet tenant must see changes as fresh as before.

    rotation   a stream that swaps 10,000 names for 10,000 others in each message, 60,000 names a second
    made up    five streams that each request 100,000 names of people who do not exist, again as soon as they are refused

The quiet tenant's people change all the time. The age of a change when its suite receives it is measured without and with the abuse,
in one run and in turn, so that other load on the machine affects both.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import grpc
import psutil
from redis.asyncio import Redis

from bench import report
from bench.load.lateness import look_idly
from bench.load.rig import cloud, relay_beside
from bench.load.suites import Stream, channel, starts
from bench.load.world import organisations
from bench.processes import Child, cpu_s, message
from relay.ops import loop
from relay.store.server import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection

    from bench.load.lateness import Lateness
    from bench.load.rig import Relay, Site

_QUIET: Final = 200
"""People of the quiet tenant."""
_INTERVAL: Final = timedelta(seconds=1)
_ROTATED: Final = 10_000
_EACH: Final = 100_000
_STREAMS: Final = 5
_STATES: Final = (("Busy", "InACall"), ("Available", "Available"))
MOST_RATIO: Final = 1.1
QUIET_MS: Final = 50.0
"""If an idle process is later than this, the machine is too busy for a valid result."""
MOST_LATE_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AbuseOptions:
    """The options of the abuse benchmark.

    Attributes:
        rounds: number of measurements without and with the abuse.
        seconds: duration of each measurement.
        pause_s: time between two changes of the quiet tenant's people.
        names_a_second: rate that the rotation attempts.
    """

    rounds: int = 4
    seconds: float = 20.0
    pause_s: float = 0.05
    names_a_second: int = 60_000


@dataclass(slots=True)
class AbuseResult:
    """The result of the abuse benchmark.

    Attributes:
        alone: seconds until each change was shown, without abuse.
        beside: the same with abuse.
        lost: changes that were never shown.
        sent: names that the abuser could send.
        refused: streams of the abuser that the relay ended.
        leases: leases that changed their owner.
        grown: maximum growth of the relay's process, in bytes.
        store_grown: the same of Valkey.
        late: lateness of the relay's event loop under abuse.
        cores_alone: cores that the relay and Valkey use without abuse.
        cores_beside: the same with abuse.
        idle_ms: maximum lateness of an idle event loop.
    """

    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    lost: int = 0
    sent: int = 0
    refused: int = 0
    leases: int = 0
    grown: int = 0
    store_grown: int = 0
    late: list[Lateness] = field(default_factory=list)
    cores_alone: float = 0.0
    cores_beside: float = 0.0
    idle_ms: float = 0.0

    @property
    def late_ms(self) -> float:
        """Return the longest delay of the relay's event loop, in milliseconds."""
        return max((each.late_ms() for each in self.late), default=0.0)


def run(options: AbuseOptions) -> int:
    """Measure; return the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    seen = measure(options)
    rows = [[name, len(each), report.median(each), report.quantile(each, 0.99), max(each)] for name, each in
            (("alone", seen.alone), ("beside the abuse", seen.beside))]  # fmt: skip
    report.table("seconds until the quiet tenant's suite has a change", ["", "changes", "p50", "p99", "max"], rows)
    report.table(
        "the abuse", ["", ""],
        [["names sent", seen.sent], ["streams refused", seen.refused], ["leases lost", seen.leases],
         ["relay grew by, MiB", seen.grown >> 20], ["Valkey grew by, MiB", seen.store_grown >> 20],
         ["event loop late, ms", round(seen.late_ms)],
         ["cores used alone and beside", f"{seen.cores_alone:.2f} {seen.cores_beside:.2f}"]],
    )  # fmt: skip
    for place, times in sum((each.places for each in seen.late), Counter[str]()).most_common(8):
        report.say(f"late {times} times: {place}")
    verdict = report.Verdict("abuse")
    p50 = report.median(seen.beside) / report.median(seen.alone)
    p99 = report.quantile(seen.beside, 0.99) / report.quantile(seen.alone, 0.99)
    verdict.ratios = {
        "p50": round(p50, 3), "p99": round(p99, 3), "late_ms": round(seen.late_ms), "grown_mib": seen.grown >> 20,
        "idle_late_ms": round(seen.idle_ms), "store_grown_mib": seen.store_grown >> 20, "leases_lost": seen.leases, "names_sent": seen.sent,
    }  # fmt: skip
    verdict.must["the machine is quiet enough"] = seen.idle_ms <= QUIET_MS
    verdict.must["every change is seen"] = not seen.lost
    verdict.must["no lease is lost"] = not seen.leases
    verdict.must[f"p50 beside the abuse is at most {MOST_RATIO:g} times that alone"] = p50 <= MOST_RATIO
    verdict.must[f"p99 beside the abuse is at most {MOST_RATIO:g} times that alone"] = p99 <= MOST_RATIO
    return verdict.say()


def measure(options: AbuseOptions) -> AbuseResult:
    """Measure with and without abuse, in turn."""
    world = organisations([_QUIET, 1])
    groups = {"poll": {"interval": _INTERVAL}}
    with (
        cloud(world) as site,
        relay_beside(site, watched=True, groups=groups) as relay,
        Child(_abuse, relay.address, relay.ca_pem, relay.suite_keys[1], options) as abuser,
        Child(look_idly) as idle,
    ):
        seen = loop.run(_measure(site, relay, world[0].names, abuser, options))
        seen.idle_ms = idle.ask("lateness").late_ms()
    return seen


async def _measure(site: Site, relay: Relay, names: Sequence[str], abuser: Child, options: AbuseOptions) -> AbuseResult:
    seen, stream = AbuseResult(), Stream()
    turns = itertools.cycle(random.sample(names, len(names)))
    async with channel(relay.address, relay.ca_pem) as connection, Redis.from_url(relay.redis_url) as redis:
        reading = asyncio.create_task(stream.run(connection, relay.suite_keys[0], starts(names)))
        await stream.until(lambda: len(stream.shown) == len(names))
        await _changes(site, stream, turns, 2 * _INTERVAL.total_seconds(), options.pause_s)
        fences = await _fences(redis)
        watching = asyncio.create_task(_watch_memory(relay, seen))
        for _ in range(options.rounds):
            began = _cpu_s(relay)
            alone, lost_alone = await _changes(site, stream, turns, options.seconds, options.pause_s)
            between = _cpu_s(relay)
            await asyncio.to_thread(relay.child.ask, "lateness")
            abuser.tell("on")
            beside, lost_beside = await _changes(site, stream, turns, options.seconds, options.pause_s)
            sent, refused = await asyncio.to_thread(abuser.ask, "off")
            seen.late.append(await asyncio.to_thread(relay.child.ask, "lateness"))
            took_s = options.rounds * options.seconds
            seen.cores_alone += (between - began) / took_s
            seen.cores_beside += (_cpu_s(relay) - between) / took_s
            seen.alone += alone
            seen.beside += beside
            seen.lost += lost_alone + lost_beside
            seen.sent, seen.refused = seen.sent + sent, seen.refused + refused
            await asyncio.sleep(2)  # until work in progress has ended
        seen.leases = sum(a != b for a, b in zip(fences, await _fences(redis), strict=True))
        for task in (watching, reading):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    return seen


def _has_begun(stream: Stream) -> bool:
    return bool(stream.token)


async def _changes(
    site: Site, stream: Stream, turns: Iterator[str], seconds: float, pause_s: float
) -> tuple[list[float], int]:
    """Change one person after the other; return the age of each change when it was shown, and the number never shown."""
    until, waiting, lost = time.monotonic() + seconds, set[asyncio.Task[float]](), 0
    while time.monotonic() < until:
        await asyncio.sleep(random.uniform(0, 2 * pause_s))
        waiting.add(asyncio.create_task(_change(site, stream, next(turns))))
    done = await asyncio.gather(*waiting, return_exceptions=True)
    lost = sum(isinstance(one, TimeoutError) for one in done)
    return [one for one in done if isinstance(one, float)], lost


async def _change(site: Site, stream: Stream, name: str) -> float:
    availability, activity = next(state for state in _STATES if state[0] != stream.shows(name))
    body = {"availability": availability, "activity": activity}
    began = time.monotonic()
    await asyncio.to_thread(site.control.put, f"people/{name}/presence", json=body)
    return await stream.until(lambda: stream.shows(name) == availability, MOST_LATE_S) - began


async def _fences(redis: Redis) -> list[object]:
    """Return the fences of all partitions: a lease that changes its owner, or is taken again, gets another."""
    return list(await redis.mget([keys.fence(partition) for partition in range(keys.PARTITIONS)]))


def _cpu_s(relay: Relay) -> float:
    return sum(cpu_s(relay.pids.values()).values())


async def _watch_memory(relay: Relay, seen: AbuseResult) -> None:
    of_relay, of_store = (psutil.Process(relay.pids[name]) for name in ("relay", "valkey"))
    relay_began, store_began = of_relay.memory_info().rss, of_store.memory_info().rss
    while True:
        seen.grown = max(seen.grown, of_relay.memory_info().rss - relay_began)
        seen.store_grown = max(seen.store_grown, of_store.memory_info().rss - store_began)
        await asyncio.sleep(0.2)


# ---- the abuser, a separate process


def _abuse(pipe: Connection, address: str, ca_pem: bytes, key: str, options: AbuseOptions) -> None:
    loop.run(_serve(pipe, address, ca_pem, key, options))


async def _serve(pipe: Connection, address: str, ca_pem: bytes, key: str, options: AbuseOptions) -> None:
    while True:
        await message(pipe)
        abuser = _Abuser(key, options)
        async with channel(address, ca_pem) as connection:
            tasks = [asyncio.create_task(abuser.rotate(connection))]
            tasks += [asyncio.create_task(abuser.make_up(connection, number)) for number in range(_STREAMS)]
            await message(pipe)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        pipe.send((abuser.sent, abuser.refused))


class _Abuser:
    """The counts of one abuse: `sent` names, and `refused` streams that the relay ended."""

    def __init__(self, key: str, options: AbuseOptions) -> None:
        self.sent = self.refused = 0
        self._key = key
        self._pause_s = 2 * _ROTATED / options.names_a_second
        self._tag = f"{random.getrandbits(32):08x}"

    async def rotate(self, connection: grpc.aio.Channel) -> None:
        """Swap names as fast as allowed."""
        while True:
            stream = Stream()
            running = asyncio.create_task(stream.run(connection, self._key, starts([])))
            old: list[str] = []
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await stream.until(partial(_has_begun, stream))
                for turn in itertools.count():
                    new = [f"r{turn}x{n}@{self._tag}.example" for n in range(_ROTATED)]
                    await stream.change(new, old)
                    self.sent, old = self.sent + len(new) + len(old), new
                    await asyncio.sleep(self._pause_s)
            await self._is_over(running)

    async def make_up(self, connection: grpc.aio.Channel, number: int) -> None:
        """Request people who do not exist."""
        while True:
            names = [f"m{number}x{n}@{self._tag}.example" for n in range(_EACH)]
            self.sent += len(names)
            running = asyncio.create_task(Stream().run(connection, self._key, starts(names)))
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await running
            await self._is_over(running)

    async def _is_over(self, running: asyncio.Task[None]) -> None:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        self.refused += 1
        await asyncio.sleep(0.1)
