"""Polls a world with one worker, then a world of twice the size with two, and so on; compares the work and cost of a worker.

The users of a tenant fit into one read a second. Each added worker takes its fair share of partitions from the others; after that,
reads are counted at the local cloud.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import trustme

from bench import report
from bench.load import rig, world
from bench.load.world import organisations
from bench.processes import cpu_s, valkey
from bench.takeover.run import StoreView, worker
from relay.core.shares import shares
from relay.store.presence.workers import Workers
from relay.store.sealing.keyring import make_ring
from relay.store.server.connection import Store, StoreSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

USERS: Final = 600
"""Users of a tenant: nearly a full page of Graph's."""
INTERVAL: Final = timedelta(seconds=1)
MOST_OF_MEAN: Final = 1.3
"""Maximum share of a worker, as a multiple of the mean."""
_READY_S: Final = 60.0
_SETTLE_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersOptions:
    """The options of the workers benchmark.

    Attributes:
        workers: numbers of workers, in turn.
        tenants: number of tenants for each worker.
        seconds: duration of one measurement.
    """

    workers: Sequence[int] = (1, 2, 4)
    tenants: int = 30
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a number of workers: users read in a second, the 99th percentile of gaps between two reads, CPU, and the largest share."""

    users_a_second: float
    gap_p99_s: float
    cores: float
    of_mean: float

    @property
    def us_of_user(self) -> float:
        """CPU microseconds of the workers for one user's read."""
        return 1e6 * self.cores / self.users_a_second


def run(options: WorkersOptions) -> int:
    """Measure; return the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    found = {count: _measure(count, options) for count in options.workers}
    rows = [
        [count, count * options.tenants * USERS, round(work.users_a_second), work.gap_p99_s, work.cores, work.us_of_user, work.of_mean]
        for count, work in found.items()
    ]  # fmt: skip
    head = [
        "workers",
        "users",
        "users read a second",
        "p99 of gaps, s",
        "cores",
        "CPU us of a user",
        "largest share, of the mean",
    ]
    report.table(f"each user is read once in {INTERVAL.total_seconds():g} s", head, rows)
    verdict, (first, *more) = report.Verdict("workers"), found.items()
    for count, work in more:
        grown = work.users_a_second / first[1].users_a_second / (count / first[0])
        verdict.ratios[f"{count} workers: users a second, of {count / first[0]:g} times one's"] = round(grown, 2)
        verdict.must[f"{count} workers read {count / first[0]:g} times the users"] = grown >= 0.95
        verdict.must[f"{count} workers: no share over {MOST_OF_MEAN} times the mean"] = work.of_mean <= MOST_OF_MEAN
    return verdict.say()


def _measure(count: int, options: WorkersOptions) -> Work:
    with (
        rig.cloud(organisations([USERS] * (count * options.tenants))) as site,
        ExitStack() as stack,
    ):
        url, _ = stack.enter_context(valkey(site.folder))
        ring = make_ring("bench", now_s=0)
        tokens = [world.consents(site.control, each) for each in site.world]
        asyncio.run(rig._admit(StoreSettings(url=url), ring, site, tokens, world.CLIENT_ID))
        given = rig._given(url, ring, site, trustme.CA(), world.CLIENT_ID)
        given["poll"] = {"interval": INTERVAL}
        return asyncio.run(_work(site, url, given, count, options.seconds))


async def _work(site: rig.Site, url: str, given: Mapping[str, Mapping[str, Any]], count: int, seconds: float) -> Work:
    async with Store(StoreSettings(url=url)) as store, asyncio.TaskGroup() as tasks:
        seen = StoreView(site, store)
        await seen.watch()
        renewing = tasks.create_task(seen.stay())
        with ExitStack() as workers:
            pids = [workers.enter_context(worker(given)).pid for _ in range(count)]
            await seen.until_fair(count)
            await asyncio.sleep(_SETTLE_S)
            site.control.put("gaps", json={"enabled": True}).raise_for_status()
            before, began = sum(cpu_s(pids).values()), time.monotonic()
            await asyncio.sleep(seconds)
            took_s, cpu = time.monotonic() - began, sum(cpu_s(pids).values()) - before
            gaps = site.control.get("gaps").raise_for_status().json()
            most = max(share.of_mean for share in shares(await Workers(store).table()).values())
        renewing.cancel()
    return Work(gaps["count"] / took_s, gaps["p99_s"], cpu / took_s, most)
