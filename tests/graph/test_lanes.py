"""Places that slow callers cannot take all of."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from weakref import WeakSet

import pytest

from emulator import Cloud
from emulator.faults import Fault
from relay.errors import SourceUnreachable
from relay.graph.client import GraphClient
from relay.graph.lanes import EXTRA, Lanes
from tests.graph.conftest import Tokens, settings_for

QUICK_S = 0.05


@pytest.mark.fault("B17")
async def test_no_more_calls_than_places_and_extra_places_are_under_way():
    lanes, under_way, most = Lanes(3, set(), QUICK_S), 0, 0

    async def call(number: int) -> None:
        nonlocal under_way, most
        async with lanes.place(number):
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(10 * QUICK_S)
            under_way -= 1

    await asyncio.gather(*(call(number) for number in range(40)))
    assert most == 3 * (1 + EXTRA)
    async with asyncio.timeout(30), lanes.place("one"), lanes.place("two"), lanes.place("three"):
        pass  # all places are free again


@pytest.mark.fault("B17")
async def test_whoever_was_slow_leaves_places_to_the_others():
    lanes, hang = Lanes(4, set(), QUICK_S), asyncio.Event()

    async def slow(number: int) -> None:
        async with lanes.place(f"slow {number}"):
            await hang.wait()

    # Four turn slow and get extra places; four more fill the places again, and of twenty that were slow before two may have one.
    first = [asyncio.create_task(slow(number)) for number in range(4)]
    await asyncio.sleep(3 * QUICK_S)
    hang.set()
    await asyncio.gather(*first)
    hang.clear()
    again = [asyncio.create_task(slow(number % 4)) for number in range(20)]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        for _ in range(20):
            async with lanes.place("quick"):
                await asyncio.sleep(0)
    assert not any(task.done() for task in again)
    hang.set()
    await asyncio.gather(*again)


async def test_whoever_gives_up_waiting_takes_no_place():
    lanes, hang = Lanes(1, set(), 60), asyncio.Event()

    async def call() -> None:
        async with lanes.place("x"):
            await hang.wait()

    holder = asyncio.create_task(call())
    await asyncio.sleep(0)
    waiter = asyncio.create_task(call())
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    hang.set()
    await holder
    async with asyncio.timeout(30), lanes.place("y"):
        pass


@pytest.mark.fault("B17")
async def test_tenants_whose_reads_hang_keep_connections_free_for_the_others(cloud: Cloud):
    hang_s = 4 * QUICK_S
    settings = settings_for(cloud, max_connections=2, read_timeout=timedelta(seconds=hang_s))
    async with GraphClient(settings) as client:
        client._lanes = Lanes(2, WeakSet(), QUICK_S)
        hanging = [Tokens(cloud) for _ in range(8)]
        cloud.add_fault(Fault(path="/v1.0/me", latency_ms=3_000))

        async def read(source: Tokens) -> None:
            with contextlib.suppress(SourceUnreachable):
                await client.get(source, "/v1.0/me")

        await asyncio.gather(*map(read, hanging))  # now they are known to be slow
        reads = [asyncio.create_task(read(source)) for source in hanging for _ in range(10)]
        await asyncio.sleep(QUICK_S / 2)
        async with asyncio.timeout(30):
            for _ in range(5):
                await client.get(Tokens(cloud), "/v1.0/users?$top=1")
        assert sum(task.done() for task in reads) < len(reads) / 2, "the others waited for those that hang"
        for task in reads:
            task.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
