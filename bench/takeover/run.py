"""Workers start, are killed, and stop cleanly: the time until shares are fair, partitions are taken over, and suites are up to date."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import trustme

from bench import report
from bench.load import rig, world
from bench.load.world import Organisation
from bench.processes import Child, valkey
from bench.takeover.lagging import lagging
from relay.core.names import normalise
from relay.core.presence import Presence
from relay.core.shares import TOLERATED, shares
from relay.settings.roles import Role
from relay.store.presence.interest import Interest
from relay.store.presence.values import unpack
from relay.store.presence.workers import Workers
from relay.store.sealing.keyring import make_ring
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from relay.wire.encode import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

EDGE: Final = "bench"
_PATIENCE_S: Final = 200.0
_LOOK_S: Final = 0.05
_GLANCE_S: Final = 0.005
_RENEW_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverOptions:
    """The options of the takeover benchmark."""

    round_trips_ms: Sequence[float]


@dataclass(frozen=True, slots=True)
class Joined:
    """A worker that joined: seconds until shares were fair, partitions that moved, and the longest time without an owner."""

    fair: float
    moves: int
    longest_gap: float


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds until all 64 partitions were owned, and until all users' presence was shown as in Graph."""

    owned: float
    shown: float


def run(options: TakeoverOptions) -> int:
    """Measure; return the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    organisations = one_for_each_partition()
    rows: list[list[object]] = []
    verdict = report.Verdict("takeover")
    with rig.cloud(organisations) as site:
        for round_trip in options.round_trips_ms:
            started, joined, killed, stopped = _measure(site, round_trip / 1000)
            times = [
                started.shown, joined.fair, joined.moves, joined.longest_gap,
                killed.owned, killed.shown, stopped.owned, stopped.shown,
            ]  # fmt: skip
            rows.append([f"{round_trip:g} ms", *times])
            report.say(f"round trip {round_trip:g} ms: {started}, {joined}, killed: {killed}, stopped: {stopped}")
            verdict.ratios[f"{round_trip:g}"] = times
            if round_trip <= 60:
                verdict.must[f"{round_trip:g} ms: read within 8 s of a kill"] = killed.shown <= 8
                verdict.must[f"{round_trip:g} ms: owned within 1 s of a stop"] = stopped.owned <= 1
            if round_trip <= 20:
                verdict.must[f"{round_trip:g} ms: fair within 10 s of a join"] = joined.fair <= 10
            if round_trip <= 400:
                verdict.must[f"{round_trip:g} ms: all shown within 20 s of the start"] = started.shown <= 20
    head = [
        "round trip", "start: all shown", "join: fair", "moves", "longest gap", "kill -9: all owned", "all read",
        "SIGTERM: all owned", "all read",
    ]  # fmt: skip
    report.table("seconds, 64 partitions with a tenant each", head, rows)
    return verdict.say()


def one_for_each_partition() -> list[Organisation]:
    """Return tenants of one user, one in each partition."""
    found: dict[int, Organisation] = {}
    number = 0
    while len(found) < keys.PARTITIONS:
        each = Organisation(number, 1)
        found.setdefault(keys.partition_of(each.tenant_id), each)
        number += 1
    return list(found.values())


def _measure(site: rig.Site, round_trip_s: float) -> tuple[Took, Joined, Took, Took]:
    folder = site.folder / f"{round_trip_s:g}"
    folder.mkdir()
    ring = make_ring("bench", now_s=0)
    with ExitStack() as stack:
        url, _ = stack.enter_context(valkey(folder))
        tokens = [world.consents(site.control, each) for each in site.world]
        asyncio.run(rig._admit(StoreSettings(url=url), ring, site, tokens, world.CLIENT_ID))
        port = stack.enter_context(lagging(urlsplit(url).port or 0, round_trip_s))
        given = rig._given(f"redis://127.0.0.1:{port}", ring, site, trustme.CA(), world.CLIENT_ID)
        return asyncio.run(_lives(site, url, given))


async def _lives(site: rig.Site, url: str, given: Mapping[str, Mapping[str, Any]]) -> tuple[Took, Joined, Took, Took]:
    async with Store(StoreSettings(url=url)) as store:
        seen = StoreView(site, store)
        seen.set_all("Available")
        await seen.watch()
        with ExitStack() as workers:
            begun = time.monotonic()
            first = workers.enter_context(worker(given))
            started = await seen.until_taken_over(begun, {}, "Available")
            of_first = set((await seen.owners()).values())
            second = workers.enter_context(worker(given))
            joined = await seen.until_fair(2)
            killed = await seen.after(lambda: os.kill(first.pid, signal.SIGKILL), of_first, "Busy")
            of_second = set((await seen.owners()).values())
            workers.enter_context(worker(given))
            await seen.until_fair(2)
            stopped = await seen.after(lambda: os.kill(second.pid, signal.SIGTERM), of_second, "Away")
    return started, joined, killed, stopped


@contextmanager
def worker(given: Mapping[str, Mapping[str, Any]]) -> Iterator[Child]:
    """Run a worker in a separate process."""
    with Child(rig._relay, given, [Role.WORKER], False) as child:  # noqa: FBT003 - a process takes no keywords
        yield child


class StoreView:
    """A view of owners and users in the store, over a separate connection that is not slow."""

    def __init__(self, site: rig.Site, store: Store) -> None:
        self._site = site
        self._store = store
        self._interest = Interest(store)
        self._workers = Workers(store)

    async def watch(self) -> None:
        """Watch all users, as an edge does."""
        for each in self._site.world:
            names = [name for spelling in each.names if (name := normalise(spelling))]
            await self._interest.add(each.tenant_id, EDGE, names)

    async def stay(self) -> None:
        """Continue watching until cancelled."""
        while True:
            await self._interest.renew([each.tenant_id for each in self._site.world], EDGE)
            await asyncio.sleep(_RENEW_S)

    def set_all(self, availability: str) -> None:
        """Set the availability of all users at Microsoft."""
        for each in self._site.world:
            for name in each.names:
                body = {"availability": availability, "activity": availability}
                self._site.control.put(f"people/{name}/presence", json=body).raise_for_status()

    async def until_fair(self, workers: int) -> Joined:
        """Wait until `workers` workers are alive with sufficiently equal shares; time counts from when all are alive."""
        begun, moves, longest = 0.0, 0, 0.0
        before, ownerless = await self.owners(), dict[int, float]()
        while True:
            table, now, owners = await self._workers.table(), time.monotonic(), await self.owners()
            lives = len(table.workers) == workers
            begun = begun or (now if lives else 0.0)
            moves += sum(before.get(partition) not in (None, owner) for partition, owner in owners.items())
            for partition in range(keys.PARTITIONS):
                since = (
                    ownerless.setdefault(partition, now) if partition not in owners else ownerless.pop(partition, now)
                )
                longest = max(longest, now - since)
            before = {**before, **owners}
            found = [share.of_mean for share in shares(table).values()]
            if lives and not table.free and max(abs(share - 1) for share in found) <= TOLERATED:
                return Joined(round(now - begun, 2), moves, round(longest, 3))
            if begun and now - begun > _PATIENCE_S:
                return Joined(float("inf"), moves, round(longest, 3))
            await asyncio.sleep(_GLANCE_S)

    async def after(self, happens: Callable[[], None], ended: Collection[bytes], shows: str) -> Took:
        """Measure a takeover: the owners `ended` end, and all users' presence changes at the same moment."""
        theirs = {partition: owner for partition, owner in (await self.owners()).items() if owner in ended}
        begun = time.monotonic()
        happens()
        self.set_all(shows)
        return await self.until_taken_over(begun, theirs, shows)

    async def until_taken_over(self, begun: float, before: Mapping[int, bytes], shows: str) -> Took:
        """Wait until each partition has another owner than `before`, and all users' presence is `shows`."""

        async def is_owned() -> bool:
            owners = await self.owners()
            return len(owners) == keys.PARTITIONS and all(before.get(n) != owner for n, owner in owners.items())

        async def is_shown() -> bool:
            return await self._shown(shows) == len(self._site.world)

        owned = await self._until(begun, is_owned)
        return Took(owned, await self._until(begun, is_shown))

    async def _until(self, begun: float, holds: Callable[[], Awaitable[bool]]) -> float:
        renewed = 0.0
        while not await holds():
            now = time.monotonic()
            if now - begun > _PATIENCE_S:
                return float("inf")
            if now - renewed > _RENEW_S:
                renewed = now
                await self._interest.renew([each.tenant_id for each in self._site.world], EDGE)
            await asyncio.sleep(_LOOK_S)
        return round(time.monotonic() - begun, 2)

    async def owners(self) -> dict[int, bytes]:
        """Return partition -> the worker that owns it; free ones are absent."""
        values = await self._store.many([("GET", keys.lease(n)) for n in range(keys.PARTITIONS)])
        return {n: value.split(b":", 2)[2] for n, value in enumerate(values) if value is not None}

    async def _shown(self, availability: str) -> int:
        """Return the number of tenants whose user has this presence."""
        found = await self._store.many([("HGETALL", keys.answers(each.tenant_id)) for each in self._site.world])
        answers = [decode(unpack(value).item) for each in found for value in each.values()]
        return sum(isinstance(answer, Presence) and answer.raw_availability == availability for answer in answers)
