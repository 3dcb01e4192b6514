"""The table of workers: one round trip, the store's clock, and nothing in it that could stop a worker."""

from __future__ import annotations

from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.core.shares import PartitionLoad
from relay.store.presence.leases import Leases
from relay.store.presence.workers import SharesChanged, Workers
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.support.waiting import eventually

MINUTE = timedelta(minutes=1)
TABLE = (keys.WORKERS_LIVE, keys.WORKERS_OWNERS, keys.WORKERS_LOADS)


async def test_everybody_reads_who_lives_what_they_own_and_what_it_costs(store: Store) -> None:
    workers = Workers(store)
    load = PartitionLoad(users=1_200, notifications=30)
    await workers.beat("worker-1", MINUTE, {7: load, 9: None}, announce=False)
    seen = await workers.beat("worker-2", MINUTE, {3: PartitionLoad()}, announce=False)
    for table in (seen, await workers.table()):
        assert table.workers.keys() == {"worker-1", "worker-2"}
        assert table.owners == {7: "worker-1", 9: "worker-1", 3: "worker-2"}
        assert table.loads == {7: load, 3: PartitionLoad()}
        assert timedelta(seconds=50) < table.workers["worker-1"].expires_in <= MINUTE
        assert len(table.free) == keys.PARTITIONS - 3


@pytest.mark.each_topology
async def test_what_a_worker_gave_up_is_free_and_its_cost_is_remembered(store: Store) -> None:
    workers = Workers(store)
    load = PartitionLoad(users=1_200)
    await workers.beat("worker-1", MINUTE, {7: load, 9: load}, announce=False)
    table = await workers.beat("worker-1", MINUTE, {9: None}, announce=False)
    assert table.owners == {9: "worker-1"}
    assert table.loads == {7: load, 9: load}
    # Whoever has taken a partition meanwhile is not robbed of it by the one that had it before.
    await workers.beat("worker-2", MINUTE, {9: None}, announce=False)
    assert (await workers.beat("worker-1", MINUTE, {}, announce=False)).owners == {9: "worker-2"}
    await workers.leave("worker-2")
    table = await workers.table()
    assert table.owners == {}
    assert table.workers.keys() == {"worker-1"}


async def test_a_worker_that_says_nothing_any_more_is_dead_after_its_lease_by_the_stores_clock(store: Store) -> None:
    workers = Workers(store)
    await workers.beat("worker-1", timedelta(milliseconds=50), {7: None}, announce=False)
    await workers.beat("worker-2", MINUTE, {}, announce=False)

    async def is_dead() -> bool:
        table = await workers.table()
        return table.workers.keys() == {"worker-2"} and 7 in table.free

    await eventually(is_dead)
    assert (await workers.beat("worker-2", MINUTE, {}, announce=False)).workers.keys() == {"worker-2"}


async def test_garbage_and_what_another_release_wrote_is_survived(store: Store, raw: Redis) -> None:
    now_ms = int((await raw.time())[0]) * 1000
    registrations = {
        "newer": f"{now_ms + 60_000} {now_ms} 60000 zone-b",  # a later release says more
        "clock-was-set-back": f"{now_ms + 3_600_000} {now_ms} 6000",
        "dead": f"{now_ms - 1} {now_ms} 6000",
        "garbage": "\x00\xff",
        "huge": f"{'9' * 400} 0 0",
    }
    await raw.hset(keys.WORKERS_LIVE, mapping=registrations)
    await raw.hset(
        keys.WORKERS_OWNERS, mapping={"1": "newer", "64": "newer", "-1": "x", "07": "x", "": "x", "2": b"\xff"}
    )
    await raw.hset(keys.WORKERS_LOADS, mapping={"1": "500 6 0.7", "2": "many", "3": "-5 1", "99": "1 1"})
    workers = Workers(store)
    for table in (await workers.table(), await workers.beat("us", MINUTE, {5: None}, announce=False)):
        assert table.workers.keys() - {"us"} == {"newer"}
        assert {1: "newer"}.items() <= table.owners.items()
        assert table.owners.keys() <= {1, 2, 5}
        assert table.loads == {1: PartitionLoad(users=500, notifications=6)}
        assert 2 in table.free
    assert await raw.hlen(keys.WORKERS_LIVE) == 2, "the rest was dropped"


async def test_a_key_of_another_type_is_made_anew(store: Store, raw: Redis) -> None:
    for key in (*TABLE, keys.WORKERS_CHANGED):
        await raw.rpush(key, "x")
    changed = SharesChanged(store)
    table = await Workers(store).beat("worker-1", MINUTE, {7: PartitionLoad(1, 2)}, announce=True)
    assert table.owners == {7: "worker-1"}
    assert table.loads == {7: PartitionLoad(1, 2)}
    assert await changed.wait()
    await changed.aclose()


@pytest.mark.each_topology
async def test_whoever_waits_hears_of_each_change_and_of_nothing_else(store: Store) -> None:
    workers, changed = Workers(store), SharesChanged(store)
    await workers.beat("worker-1", MINUTE, {7: None}, announce=True)
    assert await changed.wait()
    await workers.beat("worker-1", MINUTE, {7: None}, announce=False)
    assert not await changed.wait()
    await workers.leave("worker-1")
    assert await changed.wait()
    await changed.aclose()


@pytest.mark.parametrize("value", ["list", "string", "counter"])
async def test_a_partition_whose_keys_another_program_wrote_is_blocked_and_no_other_is(
    store: Store, raw: Redis, value: str
) -> None:
    leases = Leases(store)
    [held] = [await leases.acquire(3, "worker-1", MINUTE)]
    match value:
        case "list":
            await raw.delete(keys.lease(3))
            await raw.rpush(keys.lease(3), "x")
        case "string":
            await raw.set(keys.lease(3), "x")
        case "counter":
            await raw.delete(keys.lease(3))
            await raw.set(keys.fence(3), "many")
    assert held is not None
    other = await leases.acquire(4, "worker-1", MINUTE)
    assert other is not None
    assert await leases.renew([held, other], MINUTE) == {other}
    found = await leases.take([3, 5], "worker-1", MINUTE)
    assert [taken.lease.partition for taken in found.taken] == [5]
    assert found.blocked == {3}
    await leases.release(held)
    await raw.delete(keys.lease(3), keys.fence(3))
    assert await leases.acquire(3, "worker-1", MINUTE) is not None
