"""Partitions on the nodes of a cluster: every question goes to the node that has the key, and what spans several is asked of each."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
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
from tests.support.topology import ValkeyCluster, share_of
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

MINUTE = timedelta(minutes=1)
NODES = range(3)
HERE, THERE = (next(n for n in range(keys.PARTITIONS) if share_of(keys.lease(n)) == node) for node in (0, 1))
"""A partition of the first node, and one of the second."""


@pytest.fixture
async def clients(cluster: ValkeyCluster) -> AsyncIterator[list[Redis]]:
    """A client of each primary, all emptied."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Redis.from_url(node.url, protocol=2)) for node in cluster.primaries]
        for client in clients:
            await client.flushall()
        yield clients


@pytest.fixture
def topology() -> str:
    return "cluster"


@pytest.fixture
async def store(cluster: ValkeyCluster, clients: list[Redis]) -> AsyncIterator[Store]:
    """A store on the cluster."""
    async with Store(StoreSettings(url=cluster.url, operation_timeout=timedelta(seconds=2))) as store:
        yield store


@contextmanager
def paused(node: ValkeyServer) -> Iterator[None]:
    """A node that says nothing for a while."""
    node.tell(signal.SIGSTOP)
    try:
        yield
    finally:
        node.tell(signal.SIGCONT)


async def test_each_partition_is_where_the_topology_says(store: Store, clients: list[Redis]) -> None:
    look = await Leases(store).take([HERE, THERE], "worker-1", MINUTE)
    assert {one.lease.partition for one in look.taken} == {HERE, THERE}
    for client, partition in zip(clients, (HERE, THERE), strict=False):
        assert sorted(await client.keys("*:lease")) == [keys.lease(partition)]
    held = await Leases(store).renew([one.lease for one in look.taken], MINUTE)
    assert len(held) == 2


async def test_replies_of_two_servers_come_in_the_order_of_the_commands(store: Store) -> None:
    commands = [("SET", keys.lease(n), n) for n in range(keys.PARTITIONS)]
    assert await store.many(commands) == [True] * keys.PARTITIONS
    found = await store.many([("GET", keys.lease(n)) for n in range(keys.PARTITIONS)])
    assert found == [str(n).encode() for n in range(keys.PARTITIONS)]


async def test_a_command_without_a_key_runs_where_the_others_of_its_call_do(store: Store, clients: list[Redis]) -> None:
    for client in clients:
        await client.config_resetstat()
    for partition, client in zip((HERE, THERE), clients, strict=False):
        await store.many([("GET", keys.cursor(partition)), ("TIME",)])
        assert (await client.info("commandstats"))["cmdstat_time"]["calls"] == 1


async def test_who_a_server_is_is_asked_for_each_partition(store: Store, clients: list[Redis]) -> None:
    expected = [(await client.info("replication"))["master_replid"] for client in clients]
    found = [await store.identity(partition) for partition in (HERE, THERE)]
    assert [one.replid for one in found] == expected[:2]
    assert len(set(expected)) == len(NODES)


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


async def test_of_a_node_that_is_silent_no_partition_has_a_history_and_all_others_have_theirs(
    store: Store, cluster: ValkeyCluster
) -> None:
    everywhere = set(range(keys.PARTITIONS))
    assert set(await Presences(store).histories(list(everywhere))) == everywhere
    silent = {n for n in everywhere if share_of(keys.lease(n)) == 1}
    with paused(cluster.primaries[1]):
        assert set(await Presences(store).histories(list(everywhere))) == everywhere - silent
        with pytest.raises(StoreUnavailable):
            await store.check()
    await store.check()


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


async def test_a_node_that_is_silent_costs_no_lease_at_another(store: Store, cluster: ValkeyCluster) -> None:
    leases = Leases(store)
    first = await leases.take([HERE, THERE], "worker-1", MINUTE)
    parts = await leases.together([one.lease for one in first.taken])
    assert [[lease.partition for lease in part] for part in parts] == [[HERE], [THERE]]
    everywhere = [n for n in range(keys.PARTITIONS) if n not in (HERE, THERE)]
    with paused(cluster.primaries[1]):
        assert await leases.renew(parts[0], MINUTE) == set(parts[0])
        with pytest.raises(StoreUnavailable):
            await leases.renew(parts[1], MINUTE)
        taken = {one.lease.partition for one in (await leases.take(everywhere, "worker-1", MINUTE)).taken}
        assert taken == {n for n in everywhere if share_of(keys.lease(n)) != 1}
    rest = await leases.take([n for n in everywhere if n not in taken], "worker-1", MINUTE)
    assert {one.lease.partition for one in rest.taken} == set(everywhere) - taken


async def test_all_partitions_are_read_over_one_connection_to_each_node(store: Store, clients: list[Redis]) -> None:
    inbox, everywhere = Inbox(store), range(keys.PARTITIONS)
    positions = dict.fromkeys(everywhere, START_ID)
    assert await inbox.read(positions, timedelta(milliseconds=1)) == []
    for client in clients:
        reading = [one for one in await client.client_list() if one["cmd"] in ("xread", "client|tracking")]
        assert len(reading) == 1
    for partition in everywhere:
        await inbox.append(hints.TenantChanged(tenant_in(partition)))
    found = set[int]()
    while found != set(everywhere):
        for entry in await inbox.read(positions):
            assert entry.partition not in found
            positions[entry.partition] = entry.position
            found.add(entry.partition)
    await inbox.aclose()


async def test_what_is_written_while_streams_are_read_is_read_next(store: Store) -> None:
    streams = store.streams()
    quiet = {keys.inbox(n): START_ID for n in range(keys.PARTITIONS)}

    async def write() -> None:
        for n in range(300):
            await store.command("XADD", keys.inbox(n % keys.PARTITIONS), "*", "n", n)

    writing = asyncio.create_task(write())
    seen = list[tuple[bytes, bytes, int]]()
    while len({number for _, _, number in seen}) < 300:
        for stream, entries in await streams.read(quiet, count=3):
            seen += [(stream, entry_id, int(fields[1])) for entry_id, fields in entries]
            quiet[stream] = entries[-1][0]
    await writing
    assert {number for _, _, number in seen} == set(range(300))
    assert len(set(seen)) == len(seen), (
        "no entry is read twice; one may be written twice, when an answer comes too late"
    )
    await streams.aclose()


async def test_a_read_at_several_nodes_is_woken_and_its_connections_are_kept(
    store: Store, clients: list[Redis]
) -> None:
    inbox = Inbox(store)
    for _ in range(2):
        reading = asyncio.create_task(inbox.read({HERE: START_ID, THERE: START_ID}))
        await eventually(lambda: _tracked(clients, 2))
        await inbox.wake()
        assert await reading == []
    assert await _tracking(clients) == 2
    await inbox.aclose()


async def test_a_cancelled_read_at_several_nodes_leaves_no_connection(store: Store, clients: list[Redis]) -> None:
    inbox = Inbox(store)
    reading = asyncio.create_task(inbox.read({HERE: START_ID, THERE: START_ID}))
    await eventually(lambda: _tracked(clients, 2))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await eventually(lambda: _tracked(clients, 0))
    await inbox.aclose()


async def _tracking(clients: list[Redis]) -> int:
    return sum([(await client.info("clients"))["tracking_clients"] for client in clients])


async def _tracked(clients: list[Redis], number: int) -> bool:
    return await _tracking(clients) == number


async def test_while_one_node_is_silent_the_others_are_read(store: Store, cluster: ValkeyCluster) -> None:
    inbox = Inbox(store)
    assert await inbox.read({HERE: START_ID, THERE: START_ID}, timedelta(milliseconds=1)) == []
    with paused(cluster.primaries[1]):
        await inbox.append(hints.TenantChanged(tenant_in(HERE)))
        (entry,) = await inbox.read({HERE: START_ID, THERE: START_ID})
        assert entry.partition == HERE
    await inbox.aclose()


# ------------------------------------------------------------------ custody


def tenant_and_key_apart(text: str) -> bool:
    """Return whether a suite key is on another server than its tenant's partition."""
    return share_of(keys.suite_key(text)) != share_of(keys.lease(HERE))


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
    store: Store, clients: list[Redis]
) -> None:
    await clients[0].config_set("appendonly", "no")
    try:
        async with store.durable() as vault:
            await vault.execute("SET", keys.lease(HERE), 1)
            with pytest.raises(NotSaved):
                await vault.execute("SET", keys.lease(THERE), 1)
        assert await store.command("GET", keys.lease(THERE)) is None
    finally:
        await clients[0].config_set("appendonly", "yes")
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


async def test_the_preflight_speaks_of_each_server(store: Store, clients: list[Redis], cluster: ValkeyCluster) -> None:
    assert await store.preflight() == []
    await clients[1].config_set("maxmemory-policy", "allkeys-lru")
    try:
        (fault,) = await store.preflight()
    finally:
        await clients[1].config_set("maxmemory-policy", "noeviction")
    assert str(cluster.primaries[1].port) in fault


async def test_what_travels_together_is_divided_too(cluster: ValkeyCluster, clients: list[Redis]) -> None:
    async with PipeliningStore(StoreSettings(url=cluster.url)) as store:
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
