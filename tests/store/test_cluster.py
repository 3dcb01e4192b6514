"""A Redis Cluster at work: slots that move, nodes that fail, and a primary that wakes after its replica was promoted."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from redis.crc import key_slot

from relay.errors import NotSaved, StoreUnavailable
from relay.store.presence.presences import Presences
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.scripting import Script
from tests.support.topology import ClusterNode, ValkeyCluster, name_of, share_of, until
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

HERE, THERE = (next(n for n in range(keys.PARTITIONS) if share_of(keys.lease(n)) == node) for node in (0, 1))
"""A partition of the first primary at the start, and one of the second."""
A, B = keys.lease(HERE), keys.epoch(HERE)
SLOT = key_slot(A)
TWO_KEYS = Script(
    "two",
    text="-- Count in two keys.\nlocal a = KEYS[1]\nlocal b = KEYS[2]\n\nredis.call('INCR', a)\nreturn redis.call('INCR', b)",
)
NAME = "relay"
LOOKS = 20


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """Three primaries, each with a replica, that fail over."""
    with ValkeyCluster(tmp_path_factory.mktemp("cluster"), replicas=1) as cluster:
        yield cluster


@pytest.fixture
async def store(cluster: ValkeyCluster) -> AsyncIterator[Store]:
    settings = StoreSettings(
        url=f"{cluster.url}?client_name={NAME}", replicas=1, operation_timeout=timedelta(seconds=3)
    )
    async with Store(settings) as store:
        await store.command("GET", A)
        yield store


class Counting:
    """Runs of a script that must not run twice, and durable writes, one after the other."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.runs = self.done = self.failed = 0
        self.acknowledged = set[bytes]()

    async def go_on(self) -> None:
        while True:
            self.runs += 1
            try:
                await self.store.run_once(TWO_KEYS(a=A, b=B))
                self.done += 1
                key = b"{p%02d}:written:%d" % (HERE, self.runs)
                async with self.store.durable() as vault:
                    await vault.execute("SET", key, 1)
                    await vault.confirm()
                self.acknowledged.add(key)
            except (StoreUnavailable, NotSaved):
                self.failed += 1
            await asyncio.sleep(0.002)

    async def moved_on(self, by: int = 20) -> None:
        """Return when so many more writes were acknowledged."""
        before = len(self.acknowledged)
        await eventually(lambda: len(self.acknowledged) >= before + by, timeout=60)

    async def judge(self) -> None:
        """Nothing that was acknowledged is lost, and nothing ran twice."""
        counts = [int(value) for value in await self.store.many([("GET", A), ("GET", B)])]
        assert self.done <= counts[0] == counts[1] <= self.runs
        assert all(await self.store.many([("GET", key) for key in self.acknowledged]))


@asynccontextmanager
async def counting(store: Store) -> AsyncIterator[Counting]:
    """Have runs and writes under way."""
    work = Counting(store)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work.go_on())
        await work.moved_on()
        yield work
        task.cancel()


async def test_a_slot_that_moves_at_once_fails_nothing(store: Store, cluster: ValkeyCluster) -> None:
    source, target = cluster.primaries[0], cluster.primaries[1]
    streams = store.streams()
    async with counting(store) as work:
        reading = asyncio.create_task(streams.read({keys.inbox(HERE): b"0", keys.inbox(THERE): b"0"}))
        await asyncio.sleep(0)
        source.command(f"CLUSTER MIGRATESLOTS SLOTSRANGE {SLOT} {SLOT} NODE {name_of(target)}")
        await eventually(lambda: _has(target))
        await work.moved_on()
        with suppress(StoreUnavailable):
            await reading
        await store.command("XADD", keys.inbox(HERE), "*", "f", "v")
        ((stream, _),) = await streams.read({keys.inbox(HERE): b"0", keys.inbox(THERE): b"0"})
        assert stream == keys.inbox(HERE)
    assert work.failed == 0
    await work.judge()
    await streams.aclose()


async def test_while_a_slot_moves_key_by_key_scripts_of_two_keys_wait_until_both_are_there(
    store: Store, cluster: ValkeyCluster
) -> None:
    source, target = cluster.primaries[0], cluster.primaries[1]
    await store.run(TWO_KEYS(a=A, b=B))
    target.command(f"CLUSTER SETSLOT {SLOT} IMPORTING {name_of(source)}")
    source.command(f"CLUSTER SETSLOT {SLOT} MIGRATING {name_of(target)}")
    _migrate(source, target, A)
    # One key that has left, or that was never there, is found by asking; and is durable there.
    assert await store.command("GET", A) == b"1"
    assert await store.many([("GET", A), ("GET", B)]) == [b"1", b"1"]
    async with store.durable() as vault:
        await vault.execute("SET", keys.cursor(HERE), 1)
        await vault.confirm()
    running = asyncio.create_task(store.run_once(TWO_KEYS(a=A, b=B)))
    together = asyncio.create_task(store.run_many([TWO_KEYS(a=A, b=B)]))
    await asyncio.sleep(0.1)
    assert not running.done()
    _migrate(source, target, B)
    for node in (target, source):
        node.command(f"CLUSTER SETSLOT {SLOT} NODE {name_of(target)}")
    assert sorted([await running, *await together]) == [2, 3]


async def test_a_script_that_waits_too_long_for_its_keys_is_told_so(store: Store, cluster: ValkeyCluster) -> None:
    source, target = cluster.primaries[0], cluster.primaries[1]
    await store.run(TWO_KEYS(a=A, b=B))
    target.command(f"CLUSTER SETSLOT {SLOT} IMPORTING {name_of(source)}")
    source.command(f"CLUSTER SETSLOT {SLOT} MIGRATING {name_of(target)}")
    _migrate(source, target, A)
    target.command("CONFIG RESETSTAT")
    source.command("CONFIG RESETSTAT")
    with pytest.raises(StoreUnavailable, match="TRYAGAIN"):
        await store.run_once(TWO_KEYS(a=A, b=B))
    refused = sum(_rejected(node) for node in (source, target))
    assert 2 <= refused <= 10, "it is repeated, and not for ever"


async def test_a_clean_failover_loses_nothing_and_runs_nothing_twice(store: Store, cluster: ValkeyCluster) -> None:
    replica = cluster.replicas[0]
    async with counting(store) as work:
        replica.command("CLUSTER FAILOVER")
        await eventually(lambda: "role:master" in replica.ask("INFO replication"))
        await work.moved_on()
    await work.judge()


async def test_when_a_primary_is_killed_its_replica_goes_on_and_the_others_never_stopped(
    store: Store, cluster: ValkeyCluster
) -> None:
    everywhere = range(keys.PARTITIONS)
    others = {n for n in everywhere if share_of(keys.lease(n)) != 0}
    async with counting(store) as work:
        cluster.primaries[0].kill()
        seen = set[int]()
        while HERE not in seen:
            seen = set(await Presences(store).histories(list(everywhere)))
            assert others <= seen
        # It comes back as a replica; until then no replica confirms what is to last.
        cluster.primaries[0].start()
        await work.moved_on()
    await work.judge()


async def test_a_primary_that_wakes_after_a_promotion_is_neither_written_to_nor_believed(
    store: Store, cluster: ValkeyCluster
) -> None:
    primary, replica = cluster.primaries[0], cluster.replicas[0]
    before = await store.identity(HERE)
    primary.tell(signal.SIGSTOP)
    await eventually(lambda: "role:master" in replica.ask("INFO replication"))
    await eventually(lambda: _leads_to(store, replica))
    primary.tell(signal.SIGCONT)
    for _ in range(LOOKS):
        await store.command("SET", A, "after")
        assert (await store.identity(HERE)).replid != before.replid
        said = await asyncio.to_thread(primary.ask, "CLIENT LIST")
        assert f"name={NAME} " not in said or "role:slave" in await asyncio.to_thread(primary.ask, "INFO replication")
    until(lambda: "role:slave" in primary.ask("INFO replication"))
    assert await store.command("GET", A) == b"after"


async def _leads_to(store: Store, node: ClusterNode) -> bool:
    return (await store.topology.presence.node_of(A)).place == f"127.0.0.1:{node.port}"


def _has(node: ClusterNode) -> bool:
    """Return whether a node has the slot."""
    own = next(line for line in node.ask("CLUSTER NODES").splitlines() if "myself" in line)
    ranges = [word.split("-") for word in own.split()[8:] if "[" not in word]
    return any(int(one[0]) <= SLOT <= int(one[-1]) for one in ranges)


def _migrate(source: ClusterNode, target: ClusterNode, key: bytes) -> None:
    source.command(f"MIGRATE 127.0.0.1 {target.port} {key.decode()} 0 5000")


def _rejected(node: ClusterNode) -> int:
    """Return how many calls a node refused before they ran."""
    lines = [line for line in node.ask("INFO commandstats").splitlines() if line.startswith("cmdstat_evalsha:")]
    return sum(int(line.partition("rejected_calls=")[2].partition(",")[0]) for line in lines)
