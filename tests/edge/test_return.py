"""Suites that come back together, as after the end of an edge: none waits for all the others, one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import grpc
import pytest
from redis.asyncio import Redis

from relay.edge.hub.coalesced import Coalesced
from relay.edge.interest import LocalInterest
from relay.edge.server import EdgeServer
from relay.edge.settings import EdgeSettings
from relay.edge.weighted_semaphore import WeightedSemaphore
from relay.errors import TooManyUsers
from relay.ops.clock import SYSTEM
from relay.store.presence.interest import Interest
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from tests.edge.suite import SuiteStream
from tests.edge.worker import TENANT, name
from tests.support.fault_proxy import Delay, FaultProxy
from tests.support.ring import PUBLIC_MARKS
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

SUITES = 40
EACH = 5


async def calls(raw: Redis, command: str) -> int:
    """Return how often the store has carried out a command."""
    stats: dict[str, Any] = await raw.info("commandstats")
    return stats.get(f"cmdstat_{command}", {}).get("calls", 0)


async def checks_of(raw: Redis) -> int:
    """Return how often the store was asked for its history; snapshots ask as well."""
    return await calls(raw, "info") - await calls(raw, "evalsha_ro")


def of_suite(number: int) -> list[str]:
    return [name(n) for n in range(number * EACH, (number + 1) * EACH)]


@pytest.mark.fault("V12")
async def test_suites_that_come_back_together_are_checked_together(worker, suite, edge, raw) -> None:
    await worker.users(SUITES * EACH)
    checks = await checks_of(raw)
    streams = [suite().open(*of_suite(number)) for number in range(SUITES)]
    await asyncio.gather(*(stream.ready() for stream in streams))
    assert await checks_of(raw) - checks < SUITES / 2


@pytest.mark.fault("V12")
async def test_streams_that_wait_for_their_names_have_them_registered_in_one_step(store, raw) -> None:
    interest = LocalInterest(Interest(store), "edge", timedelta(minutes=1), lambda _: asyncio.sleep(0, 1_000), SYSTEM)
    asked = [of_suite(number) for number in range(SUITES)]
    for names in asked:
        interest.want(TENANT, names)
    before = await calls(raw, "pexpire")
    await asyncio.gather(*(interest.sync(TENANT, names) for names in asked))
    assert await calls(raw, "pexpire") - before == 2, "the first had nobody to take along"
    assert await raw.scard(keys.interest(TENANT, "edge")) == SUITES * EACH


@pytest.mark.fault("V12")
async def test_whose_names_are_too_many_is_refused_alone_among_those_who_wait(store, raw) -> None:
    interest = LocalInterest(
        Interest(store), "edge", timedelta(minutes=1), lambda _: asyncio.sleep(0, 3 * EACH), SYSTEM
    )
    asked = [of_suite(0), of_suite(1), [name(n) for n in range(100, 100 + 3 * EACH)], of_suite(2)]
    for names in asked:
        interest.want(TENANT, names)
    outcomes = await asyncio.gather(*(interest.sync(TENANT, names) for names in asked), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), TooManyUsers, type(None)]
    assert await raw.scard(keys.interest(TENANT, "edge")) == 3 * EACH


@pytest.mark.fault("V12")
async def test_turns_go_by_weight_and_in_order_and_survive_who_gives_up() -> None:
    turns, had = WeightedSemaphore(10), list[str]()
    leave = asyncio.Event()

    async def take(who: str, weight: int) -> None:
        async with turns.taken(weight):
            had.append(who)
            await leave.wait()

    tasks = {who: asyncio.create_task(take(who, weight)) for who, weight in [("a", 6), ("b", 99), ("c", 2), ("d", 2)]}
    await asyncio.sleep(0)
    assert had == ["a"], "c and d would fit in, and wait behind b"
    tasks["b"].cancel()
    await eventually(lambda: had == ["a", "c", "d"])
    leave.set()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    async with asyncio.timeout(30), turns.taken(10):
        pass


@pytest.mark.fault("V12")
async def test_many_who_ask_at_once_wait_for_one_run_that_began_after_they_asked() -> None:
    began, may_end = 0, asyncio.Event()

    async def work() -> None:
        nonlocal began
        began += 1
        await may_end.wait()

    together = Coalesced(work, "work")
    first = asyncio.create_task(together.run())
    await eventually(lambda: began)
    later = [asyncio.create_task(together.run()) for _ in range(10)]
    await asyncio.sleep(0)
    later[0].cancel()
    may_end.set()
    await asyncio.gather(first, *later[1:])
    assert began == 2


@pytest.fixture
async def far_edge(valkey: ValkeyServer, raw: Redis) -> AsyncIterator[EdgeServer]:
    """An edge with a round trip of 200 ms to the store, in plain text."""
    async with FaultProxy(("127.0.0.1", valkey.port)) as proxy:
        proxy.delay_s = Delay(up=0.1, down=0.1)
        url = valkey.url.replace(str(valkey.port), str(proxy.port))
        async with Store(StoreSettings(url=url, operation_timeout=timedelta(seconds=5))) as store:
            settings = EdgeSettings(host="127.0.0.1", port=0, drain_delay=timedelta(0), grace=timedelta(0))
            async with EdgeServer(settings, store, PUBLIC_MARKS) as edge:
                yield edge


@pytest.mark.soak
@pytest.mark.fault("V12")
async def test_suites_that_come_back_together_to_a_far_store_are_served_soon(worker, key, far_edge) -> None:
    """With a lock for each, they took 25 s."""
    await worker.users(SUITES * EACH)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{far_edge.port}") as channel, AsyncExitStack() as stack:
        began = asyncio.get_running_loop().time()
        streams = [SuiteStream(channel, key).open(*of_suite(number)) for number in range(SUITES)]
        for stream in streams:
            stack.push_async_callback(stream.kill)
        await asyncio.gather(*(stream.until(lambda stream=stream: stream.complete, 60) for stream in streams))
        took_s = asyncio.get_running_loop().time() - began
    assert took_s < 3
