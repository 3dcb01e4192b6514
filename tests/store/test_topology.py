"""Partitions on two servers: every question goes to the server that has the key, and what spans both is asked of both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.core.presence import TenantId
from relay.errors import NotSaved, StoreUnavailable
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.presence import hints
from relay.store.presence.leases import Leases
from relay.store.presence.pipes import Changes, Inbox
from relay.store.presence.presences import Presences
from relay.store.server import keys
from relay.store.server.blocking import START_ID
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.pipelining import PipeliningStore
from tests.store.samples import NOW, tenant_in
from tests.support.ring import MARKS
from tests.support.topology import TwoNodes, half_of
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

MINUTE = timedelta(minutes=1)
HERE, THERE = (next(n for n in range(keys.PARTITIONS) if half_of(keys.lease(n)) == half) for half in (0, 1))
"""A partition of each server."""


@pytest.fixture
async def clients(pair: tuple[ValkeyServer, ValkeyServer]) -> AsyncIterator[tuple[Redis, Redis]]:
    """A client of each server, both emptied."""
    one, two = pair
    async with Redis.from_url(one.url, protocol=2) as first, Redis.from_url(two.url, protocol=2) as second:
        await first.flushall()
        await second.flushall()
        yield first, second


@pytest.fixture
async def store(pair: tuple[ValkeyServer, ValkeyServer], clients: tuple[Redis, Redis]) -> AsyncIterator[Store]:
    """A store on two servers."""
    one, two = pair
    async with Store(StoreSettings(url=one.url), TwoNodes((one.url, two.url))) as store:
        yield store


async def test_each_partition_is_where_the_topology_says(store: Store, clients: tuple[Redis, Redis]) -> None:
    look = await Leases(store).take([HERE, THERE], "worker-1", MINUTE)
    assert {one.lease.partition for one in look.taken} == {HERE, THERE}
    for client, partition in zip(clients, (HERE, THERE), strict=True):
        assert sorted(await client.keys("*:lease")) == [keys.lease(partition)]
    held = await Leases(store).renew([one.lease for one in look.taken], MINUTE)
    assert len(held) == 2


async def test_replies_of_two_servers_come_in_the_order_of_the_commands(store: Store) -> None:
    commands = [("SET", keys.lease(n), n) for n in range(keys.PARTITIONS)]
    assert await store.many(commands) == [True] * keys.PARTITIONS
    found = await store.many([("GET", keys.lease(n)) for n in range(keys.PARTITIONS)])
    assert found == [str(n).encode() for n in range(keys.PARTITIONS)]


async def test_a_command_without_a_key_runs_where_the_others_of_its_call_do(
    store: Store, clients: tuple[Redis, Redis]
) -> None:
    for client in clients:
        await client.config_resetstat()
    for partition, client in zip((HERE, THERE), clients, strict=True):
        await store.many([("GET", keys.cursor(partition)), ("TIME",)])
        assert (await client.info("commandstats"))["cmdstat_time"]["calls"] == 1


async def test_who_a_server_is_is_asked_for_each_partition(store: Store, clients: tuple[Redis, Redis]) -> None:
    expected = [(await client.info("replication"))["master_replid"] for client in clients]
    found = await store.identities(range(keys.PARTITIONS))
    assert [found[partition].replid for partition in (HERE, THERE)] == expected
    assert expected[0] != expected[1]


async def test_an_epoch_is_of_the_history_of_its_own_server(store: Store) -> None:
    presences = Presences(store)
    taken = (await Leases(store).take([HERE, THERE], "worker-1", MINUTE)).taken
    epochs = await presences.renew_epochs({one.lease: [] for one in taken})
    histories = await presences.histories([HERE, THERE])
    for lease, epoch in epochs.items():
        tenant_id = tenant_in(lease.partition)
        assert histories[lease.partition].epoch == epoch
        # The script compares the epoch with the history of the server that it runs on.
        await presences.accept(lease, tenant_id, [], epoch)


async def test_of_a_server_that_is_a_replica_no_partition_has_a_history(
    store: Store, clients: tuple[Redis, Redis]
) -> None:
    await clients[1].execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        assert set(await Presences(store).histories([HERE, THERE])) == {HERE}
        with pytest.raises(StoreUnavailable, match="is a replica"):
            await store.check()
    finally:
        await clients[1].execute_command("REPLICAOF", "NO", "ONE")


# ----------------------------------------------------------------- blocking reads


async def test_one_read_returns_what_either_server_has(store: Store) -> None:
    inbox = Inbox(store)
    positions = {HERE: START_ID, THERE: START_ID}
    for partition in (THERE, HERE):
        reading = asyncio.create_task(inbox.read(positions))
        await asyncio.sleep(0)
        await inbox.append(hints.TenantChanged(tenant_in(partition)))
        (entry,) = await reading
        assert entry.partition == partition
        positions[partition] = entry.position
    await inbox.append(hints.TenantChanged(tenant_in(HERE, 1)))
    await inbox.append(hints.TenantChanged(tenant_in(THERE, 1)))

    found = set[int]()
    while found != {HERE, THERE}:
        for entry in await inbox.read(positions):
            positions[entry.partition] = entry.position
            found.add(entry.partition)
    await inbox.aclose()


async def test_a_read_at_two_servers_is_woken_and_its_connections_are_kept(
    store: Store, clients: tuple[Redis, Redis]
) -> None:
    inbox = Inbox(store)
    blocked = 0

    async def both_are_blocked() -> bool:
        return [(await client.info("clients"))["blocked_clients"] for client in clients] == [1, 1]

    for _ in range(2):
        reading = asyncio.create_task(inbox.read({HERE: START_ID, THERE: START_ID}))
        await eventually(both_are_blocked)
        await inbox.wake()
        assert await reading == []
        blocked += 1
    assert blocked == 2
    await inbox.aclose()


async def test_a_cancelled_read_at_two_servers_leaves_nobody_blocked(
    store: Store, clients: tuple[Redis, Redis]
) -> None:
    inbox = Inbox(store)

    async def blocked() -> int:
        return sum([(await client.info("clients"))["blocked_clients"] for client in clients])

    async def nobody() -> bool:
        return await blocked() == 0

    async def both() -> bool:
        return await blocked() == 2

    reading = asyncio.create_task(inbox.read({HERE: START_ID, THERE: START_ID}))
    await eventually(both)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await eventually(nobody)
    await inbox.aclose()


async def test_while_one_server_is_away_the_other_is_read(
    pair: tuple[ValkeyServer, ValkeyServer], clients: tuple[Redis, Redis], tmp_path
) -> None:
    with ValkeyServer(tmp_path) as doomed:
        topology = TwoNodes((pair[0].url, doomed.url), timedelta(seconds=1))
        async with Store(StoreSettings(url=pair[0].url), topology) as store:
            inbox = Inbox(store)
            assert await inbox.read({HERE: START_ID, THERE: START_ID}, timedelta(milliseconds=1)) == []
            doomed.kill()
            await inbox.append(hints.TenantChanged(tenant_in(HERE)))
            (entry,) = await inbox.read({HERE: START_ID, THERE: START_ID})
            assert entry.partition == HERE
            with pytest.raises(StoreUnavailable):
                await inbox.read({HERE: entry.position, THERE: START_ID})
            await inbox.aclose()


# ------------------------------------------------------------------ custody


def tenant_and_key_apart(text: str) -> bool:
    """Return whether a suite key is on another server than its tenant's partition."""
    return half_of(keys.suite_key(text)) != half_of(keys.lease(HERE))


async def test_a_suite_key_on_another_server_than_its_tenant_is_made_told_and_ended(store: Store) -> None:
    tenant_id = tenant_in(HERE)
    await Tenants(store).put(Tenant(tenant_id=tenant_id, created=NOW))
    suite_keys = SuiteKeys(store, MARKS)
    issued = [await suite_keys.issue(tenant_id, f"suite {n}") for n in range(8)]
    apart = next(one for one in issued if tenant_and_key_apart(one.key_id))
    assert (await suite_keys.verify(apart.text)).tenant_id == tenant_id
    assert await suite_keys.revoke(apart.key_id)
    assert await suite_keys.ended([one.key_id for one in issued]) == {apart.key_id}
    assert len(await suite_keys.list(tenant_id)) == 8


async def test_a_durable_write_is_confirmed_by_one_server_before_the_next_is_written(
    pair: tuple[ValkeyServer, ValkeyServer], clients: tuple[Redis, Redis], tmp_path
) -> None:
    with ValkeyServer(tmp_path, appendonly="no") as forgetful:
        async with Store(StoreSettings(url=pair[0].url), TwoNodes((forgetful.url, pair[0].url))) as store:
            async with store.durable() as vault:
                await vault.execute("SET", keys.lease(HERE), 1)
                with pytest.raises(NotSaved):
                    await vault.execute("SET", keys.lease(THERE), 1)
            assert await store.command("GET", keys.lease(THERE)) is None
            async with store.durable() as vault:
                await vault.execute("SET", keys.lease(THERE), 1)
                await vault.confirm()


async def test_many_durable_writes_to_both_servers_do_not_wait_for_each_other_for_ever(store: Store) -> None:
    async def write(first: int, second: int) -> None:
        async with store.durable() as vault:
            await vault.execute("SET", keys.lease(first), 1)
            await vault.execute("SET", keys.lease(second), 1)
            await vault.confirm()

    writes = [write(HERE, THERE) if n % 2 else write(THERE, HERE) for n in range(100)]
    async with asyncio.timeout(60):
        await asyncio.gather(*writes)


async def test_a_scan_sees_the_keys_of_both_servers(store: Store) -> None:
    names = {f"flow:{n}".encode() for n in range(50)}
    await store.many([("SET", name, 1) for name in names], vault=True)
    assert {name async for found in store.vault_scan("flow:*") for name in found} == names


async def test_the_preflight_speaks_of_each_server(pair: tuple[ValkeyServer, ValkeyServer], clients, tmp_path) -> None:
    with ValkeyServer(tmp_path, appendonly="no") as forgetful:
        async with Store(StoreSettings(url=pair[0].url), TwoNodes((pair[0].url, forgetful.url))) as store:
            (fault,) = await store.preflight()
    assert str(forgetful.port) in fault


async def test_what_travels_together_is_divided_too(pair: tuple[ValkeyServer, ValkeyServer], clients) -> None:
    one, two = pair
    async with PipeliningStore(StoreSettings(url=one.url), TwoNodes((one.url, two.url))) as store:
        tenant_ids = [TenantId(tenant_in(n)) for n in (HERE, THERE)]
        for tenant_id in tenant_ids:
            await Tenants(store).put(Tenant(tenant_id=tenant_id, created=NOW))
        found = await asyncio.gather(*(Tenants(store).load(tenant_id) for tenant_id in tenant_ids))
        assert [one.tenant_id for one in found if one is not None] == tenant_ids
        assert [tenant.tenant_id for tenant in await Tenants(store).list()] == sorted(tenant_ids)


async def test_ended_entries_reach_the_partition_of_their_tenant(store: Store) -> None:
    changes = Changes(store)
    await changes.tenant_removed(tenant_in(THERE))
    histories = await Presences(store).histories([HERE, THERE])
    assert histories[HERE].last == 0
    assert histories[THERE].last > 0
