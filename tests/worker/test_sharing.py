"""Several workers share the partitions: fairly, one move at a time, and without anything that a suite could notice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from relay.core.shares import TOLERATED, ShareTable, shares
from relay.store.presence.workers import Workers
from relay.store.server import keys
from relay.worker.worker import Worker
from tests.support.clock import SteppedClock
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually
from tests.worker.conftest import SETTINGS, SHORT_LEASES, Relay, WebhookTls
from tests.worker.test_push import ADA, BEN, hooked

pytestmark = pytest.mark.long

MINUTES = replace(SETTINGS, lease=timedelta(minutes=1), lease_renewal=timedelta(seconds=20))
"""Leases and looks so far apart that whoever waited for one would not be in time."""


def owned(*workers: Worker) -> list[int]:
    return sorted(partition for worker in workers for partition in worker.partitions)


async def fair(*workers: Worker) -> None:
    """Wait until these own all partitions, each once, and none has more or less than is tolerated."""
    mean = keys.PARTITIONS / len(workers)

    def is_fair() -> bool:
        counts = [len(worker.partitions) for worker in workers]
        near = all(mean * (1 - TOLERATED) <= count <= mean * (1 + TOLERATED) for count in counts)
        return near and owned(*workers) == list(range(keys.PARTITIONS))

    await eventually(is_fair, explain=lambda: [len(worker.partitions) for worker in workers])


@asynccontextmanager
async def watched_table(relay: Relay) -> AsyncIterator[list[ShareTable]]:
    """All tables that there were meanwhile, as far as one who looks again and again sees them."""
    seen: list[ShareTable] = []

    async def watch() -> None:
        workers = Workers(relay.store)
        while True:
            seen.append(await workers.table())

    watching = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@pytest.mark.fault("V12")
async def test_workers_that_start_together_share_all_partitions_and_a_newcomer_gets_its_part_one_by_one(relay: Relay):
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(relay.working(name, MINUTES)) for name in ("one", "two")]
        await fair(one, two)
        async with watched_table(relay) as tables:
            three = await stack.enter_async_context(relay.working("three", MINUTES))
            await fair(one, two, three)
        assert max(len(table.free) for table in tables) <= 2, "each giver has one on its way at most"
        table = await Workers(relay.store).table()
        assert max(share.of_mean for share in shares(table).values()) <= 1 + TOLERATED


@pytest.mark.fault("V12")
async def test_a_clean_stop_gives_each_of_the_others_its_part_at_once(relay: Relay):
    async with AsyncExitStack() as stack:
        async with relay.working("leaves", MINUTES) as leaves:
            await eventually(lambda: owned(leaves) == list(range(keys.PARTITIONS)))
            one, two = [await stack.enter_async_context(relay.working(name, MINUTES)) for name in ("one", "two")]
            await eventually(lambda: one.partitions and two.partitions)
        await fair(one, two)
        assert (await Workers(relay.store).table()).workers.keys() == {"one", "two"}


@pytest.mark.fault("V9", "V12")
async def test_the_partitions_of_a_worker_that_vanishes_are_shared_and_it_claims_none_when_it_is_back(
    relay: Relay, valkey: ValkeyServer
):
    async with AsyncExitStack() as stack:
        line = await stack.enter_async_context(FaultProxy(("127.0.0.1", valkey.port)))
        lost = await stack.enter_async_context(relay.working("lost", SHORT_LEASES, through=line.port))
        await eventually(lambda: owned(lost) == list(range(keys.PARTITIONS)))
        await line.become(Fault.BLACK_HOLE)
        one, two = [await stack.enter_async_context(relay.working(name, SHORT_LEASES)) for name in ("one", "two")]
        await fair(one, two)
        assert not lost.partitions
        async with watched_table(relay) as tables:
            await line.become(Fault.NONE)
            line.reset()
            await eventually(lambda: lost.partitions)
        back = next(table for table in tables if "lost" in table.workers)
        assert set(back.owners.values()) == {"one", "two"}


@pytest.mark.fault("V12")
async def test_a_partition_is_handed_over_with_its_subscription_and_comes_back_with_it(
    relay: Relay, webhook_tls: WebhookTls
):
    """The partition of the only tenant is the dearest, so it is the first to move."""
    async with hooked(relay, webhook_tls, lease=MINUTES.lease, lease_renewal=MINUTES.lease_renewal) as push:
        tenant = await relay.onboard()
        partition = keys.partition_of(tenant)
        async with relay.working("first", push.settings) as first:
            await relay.watch(tenant, ADA, BEN)
            await push.covers(tenant, 2)
            async with relay.working("second", push.settings) as second:
                await eventually(lambda: partition in second.partitions)
                assert partition not in first.partitions
                relay.microsoft.act(ADA, "call")
                await push.shows(tenant, ADA, "Busy")
            await eventually(lambda: partition in first.partitions)
            relay.microsoft.act(ADA, "hang_up")
            await push.shows(tenant, ADA, "Available")
        assert len(push.lives) == 1
        assert not any(entry.method == "DELETE" for entry in relay.microsoft.journal)


@pytest.mark.fault("V9")
async def test_a_partition_whose_lease_key_another_program_wrote_is_told_and_costs_that_partition_only(
    relay: Relay, raw: Redis
):
    tenant = await relay.onboard()
    await relay.watch(tenant, ADA)
    blocked = (keys.partition_of(tenant) + 1) % keys.PARTITIONS
    await raw.rpush(keys.lease(blocked), "x")
    with capture_logs() as lines:
        async with relay.working("one", SHORT_LEASES) as one, relay.working("two", SHORT_LEASES) as two:
            await eventually(lambda: owned(one, two) == sorted(set(range(keys.PARTITIONS)) - {blocked}))
            await eventually(lambda: relay.sees(tenant, ADA, "Available"))
            told = [line for line in lines if line["event"] == "partition_blocked"]
            assert {line["partition"] for line in told} == {blocked}
            assert all(keys.lease(blocked).decode() in line["keys"] for line in told)
            await raw.delete(keys.lease(blocked))
            await eventually(lambda: owned(one, two) == list(range(keys.PARTITIONS)))
    assert not [line for line in lines if line["event"] in ("task_failed", "partition_failed")]


async def test_clocks_that_are_an_hour_apart_change_nothing(relay: Relay):
    tenant = await relay.onboard()
    await relay.watch(tenant, ADA)
    ahead = SteppedClock(wall=datetime.now(UTC) + timedelta(hours=1))
    behind = SteppedClock(wall=datetime.now(UTC) - timedelta(hours=1))
    async with relay.working("ahead", SHORT_LEASES, clock=ahead) as one:
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        async with relay.working("behind", SHORT_LEASES, clock=behind) as two:
            await eventually(lambda: two.partitions)
            relay.microsoft.set_presence(ADA, "Busy")
            await eventually(lambda: relay.sees(tenant, ADA, "Busy"))
            table = await Workers(relay.store).table()
            assert table.workers.keys() == {"ahead", "behind"}
            assert max(each.age for each in table.workers.values()) < timedelta(minutes=10)
        await eventually(lambda: owned(one) == list(range(keys.PARTITIONS)))
