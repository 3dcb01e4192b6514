"""Redis Sentinel at work: failovers, a primary that wakes after its replica was promoted, and sentinels that are wrong."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from relay.core.revision import is_of
from relay.errors import NotSaved, StoreUnavailable
from relay.store.presence.leases import Leases
from relay.store.presence.presences import Presences
from relay.store.server.connection import Store, StoreSettings
from tests.support.topology import SERVICE, SentinelService, until
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

SECOND = timedelta(seconds=1)
NAME = "relay"
"""The name that connections of the store have at the servers."""
LOOKS = 50
"""At a woken primary, which goes on for ten seconds: until the sentinels make it a replica."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelService]:
    """A primary, two replicas and three sentinels that fail over as tests have them."""
    with SentinelService(tmp_path_factory.mktemp("failing-over")) as service:
        yield service


@pytest.fixture
def primary(service: SentinelService) -> Iterator[ValkeyServer]:
    """The primary at the start of a test; all servers are in step, and are so again at the end."""
    until(service.is_settled)
    yield service.primary()
    service.heal()


@pytest.fixture
async def store(service: SentinelService, primary: ValkeyServer) -> AsyncIterator[Store]:
    async with Store(
        StoreSettings(url=f"{service.url}?client_name={NAME}", replicas=1, operation_timeout=SECOND)
    ) as store:
        await store.command("SET", "known", 1)
        yield store


@asynccontextmanager
async def custody_under_load(store: Store) -> AsyncIterator[set[str]]:
    """Four writers of custody, and the keys that were acknowledged to them."""
    acknowledged = set[str]()

    async def write(writer: int) -> None:
        number = 0
        while True:
            number += 1
            key = f"w{writer}:{number}"
            with suppress(StoreUnavailable, NotSaved):
                async with store.durable() as vault:
                    await vault.execute("SET", key, 1)
                    await vault.confirm()
                acknowledged.add(key)
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as tasks:
        writers = [tasks.create_task(write(number)) for number in range(4)]
        await eventually(lambda: len(acknowledged) > 20)
        yield acknowledged
        for writer in writers:
            writer.cancel()


async def fail_over(service: SentinelService) -> None:
    """Promote a replica without waiting for it: what it lacks is lost."""
    before = service.primary()
    service.sentinels[0].command(f"SENTINEL FAILOVER {SERVICE}")
    await eventually(lambda: service.primary() is not before)


async def moved_on(acknowledged: set[str], by: int = 20) -> None:
    """Return when so many more writes were acknowledged."""
    before = len(acknowledged)
    await eventually(lambda: len(acknowledged) >= before + by, timeout=60)


async def survivors(store: Store, keys: set[str]) -> set[str]:
    names = sorted(keys)
    return {
        name for name, value in zip(names, await store.many([("GET", name) for name in names]), strict=True) if value
    }


@pytest.mark.parametrize("times", [1, pytest.param(100, marks=[pytest.mark.soak, pytest.mark.timeout(3000)])])
async def test_no_acknowledged_write_of_custody_is_lost_by_a_plain_failover(
    store: Store, service: SentinelService, times: int
) -> None:
    for _ in range(times):
        await asyncio.to_thread(service.heal)
        await eventually(lambda: asyncio.to_thread(service.is_settled), timeout=60)
        async with custody_under_load(store) as acknowledged:
            await fail_over(service)
            await moved_on(acknowledged)
        assert await survivors(store, acknowledged) == acknowledged


async def test_when_the_primary_is_killed_another_one_takes_its_place(
    store: Store, service: SentinelService, primary: ValkeyServer
) -> None:
    streams = store.streams()
    assert await streams.read({b"stream": b"0"}, timedelta(milliseconds=10)) == []
    async with custody_under_load(store) as acknowledged:
        primary.kill()
        await moved_on(acknowledged)
    assert await survivors(store, acknowledged) == acknowledged
    (node,) = await store.topology.presence.nodes()
    assert node.place != f"127.0.0.1:{primary.port}"
    await eventually(_works(lambda: store.command("XADD", "stream", "*", "f", "v")))
    await eventually(_works(lambda: streams.read({b"stream": b"0"}, timedelta(milliseconds=10))))
    await streams.aclose()


def _works(call: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
    async def works() -> object:
        with suppress(StoreUnavailable):
            return await call()
        return None

    return works


async def test_a_primary_that_wakes_after_a_promotion_is_neither_written_to_nor_believed(
    store: Store, service: SentinelService, primary: ValkeyServer
) -> None:
    lease = await Leases(store).acquire(17, "worker-1", timedelta(minutes=5))
    assert lease is not None
    epoch = await Presences(store).renew_epoch(lease)
    before = await store.identity(17)
    await eventually(lambda: all("lag=0" in line or "lag=1" in line for line in _replicas(primary)))
    primary.tell(signal.SIGSTOP)
    await eventually(lambda: service.primary() is not primary)
    # Whoever did nothing meanwhile hears of it all the same.
    await eventually(lambda: _leads_elsewhere(store, primary))
    primary.tell(signal.SIGCONT)
    looks = 0
    while looks < LOOKS and "role:master" in await asyncio.to_thread(primary.ask, "INFO replication"):
        await eventually(_works(lambda: store.command("SET", "after", 1)))
        assert (await store.identity(17)).replid != before.replid
        assert f"name={NAME} " not in await asyncio.to_thread(primary.ask, "CLIENT LIST")
        assert "$-1" in await asyncio.to_thread(primary.ask, "GET after")
        looks += 1
        await asyncio.sleep(0.01)
    assert looks, "it was demoted before anything could be seen"
    histories = await Presences(store).histories([17])
    assert not is_of(epoch, histories[17].replid), "the history of the former primary is not the new one's"


def _replicas(primary: ValkeyServer) -> list[str]:
    return [line for line in primary.ask("INFO replication").splitlines() if line.startswith("slave")]


async def _leads_elsewhere(store: Store, server: ValkeyServer) -> bool:
    (node,) = await store.topology.presence.nodes()
    return node.place != f"127.0.0.1:{server.port}"


async def test_what_a_cut_off_replica_never_had_is_known_to_be_lost_when_it_is_promoted(
    store: Store, service: SentinelService, primary: ValkeyServer
) -> None:
    presences = Presences(store)
    lease = await Leases(store).acquire(18, "worker-1", timedelta(minutes=5))
    assert lease is not None
    epoch = await presences.renew_epoch(lease)
    for replica in service.servers:
        if replica is not primary:
            replica.command("REPLICAOF 127.0.0.1 1")  # cut off: it has nothing of what follows
    await store.command("SET", "presence", "newer")
    async with store.durable() as vault:
        await vault.execute("SET", "grant", 1)
        with pytest.raises(NotSaved):  # an acknowledged grant is there, or was never acknowledged
            await vault.confirm()
    primary.kill()
    await eventually(_works(lambda: store.command("SET", "works", 1)), timeout=60)
    assert await store.many([("GET", "presence"), ("GET", "grant")]) == [None, None]
    assert not is_of(epoch, (await presences.histories([18]))[18].replid)
