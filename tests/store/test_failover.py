"""After a failover the old primary lives on as a replica, and connections to it stay open: they are closed, and made anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from relay.errors import NotPrimary, StoreUnavailable
from relay.store.server.blocking import StreamReader
from relay.store.server.connection import Store, StoreSettings
from tests.support.fault_proxy import FaultProxy
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.fault("B1")


@dataclass
class Pair:
    """Two servers behind one address, the second a replica of the first."""

    a: Redis
    b: Redis
    address: FaultProxy
    first: ValkeyServer
    second: ValkeyServer

    @property
    def url(self) -> str:
        return f"redis://{self.address.address}"

    async def fail_over(self) -> None:
        """The second is the primary, new connections lead to it, and the first is its replica. Nobody closes a connection."""
        await self.b.replicaof("no", "one")  # type: ignore[arg-type]
        self.address.upstream = ("127.0.0.1", self.second.port)
        await self.a.replicaof("127.0.0.1", str(self.second.port))


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        servers = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            servers.append(stack.enter_context(ValkeyServer(tmp_path / name, repl_diskless_sync_delay="0")))
        a, b = [await stack.enter_async_context(Redis.from_url(server.url, protocol=2)) for server in servers]
        address = await stack.enter_async_context(FaultProxy(("127.0.0.1", servers[0].port)))
        await b.replicaof("127.0.0.1", str(servers[0].port))
        await eventually(lambda: _is_in_step(b))
        yield Pair(a, b, address, *servers)


async def _is_in_step(replica: Redis) -> bool:
    return (await replica.info("replication"))["master_link_status"] == "up"


async def _has_settled(store: Store) -> bool:
    """Return whether commands of every kind reach a primary."""
    with suppress(StoreUnavailable):
        await store.check()
        await store.command("SET", "k", 1)
        async with store.durable() as vault:
            await vault.execute("SET", "durable", 1)
            await vault.confirm()
        return True
    return False


async def test_after_a_failover_every_connection_leads_to_the_new_primary(pair: Pair) -> None:
    async with Store(StoreSettings(url=pair.url)) as store:
        await _busy(store)
        streams = store.streams()
        reading = asyncio.create_task(_read_on(streams))
        assert await _has_settled(store)
        await pair.fail_over()
        with pytest.raises(NotPrimary):
            await store.command("SET", "k", 2)
        await eventually(lambda: _has_settled(store))
        await pair.b.xadd("s", {"said": "here"})
        assert await reading
        await eventually(lambda: _is_left(pair))
        await streams.aclose()


async def test_durable_writes_alone_find_the_new_primary_too(pair: Pair) -> None:
    async with Store(StoreSettings(url=pair.url)) as store:
        assert await _writes_durably(store)
        await pair.fail_over()
        with pytest.raises(NotPrimary):
            await _writes_durably(store)
        assert await _writes_durably(store)


async def test_who_only_reads_is_told_by_the_history_of_another_server(pair: Pair) -> None:
    async with Store(StoreSettings(url=pair.url)) as store:
        before = await store.identity(0)
        await pair.fail_over()
        assert (await store.identity(0)).role == "slave"
        after = await store.identity(0)
        assert (after.role, after.replid != before.replid) == ("master", True)


async def test_a_replica_that_nobody_replaces_is_not_flooded_with_connections(pair: Pair) -> None:
    async with Store(StoreSettings(url=pair.url)) as store:
        await pair.a.replicaof("127.0.0.1", "1")
        await store.ping()
        before = pair.address.accepted
        for _ in range(200):
            with pytest.raises(NotPrimary):
                await store.command("SET", "k", 1)
        assert pair.address.accepted - before <= 20, "anew twice a second at most"


async def test_a_replica_is_told_of_once_until_there_is_a_primary_again(pair: Pair) -> None:
    async with Store(StoreSettings(url=pair.url)) as store:
        with capture_logs() as told:
            for times in (1, 2):
                await pair.a.replicaof("127.0.0.1", "1")
                before = pair.address.accepted
                await eventually(partial(_has_connected_anew, pair, store, before + 3))
                assert [line["event"] for line in told].count("store_reconnected") == times
                await pair.a.replicaof("no", "one")  # type: ignore[arg-type]
                await store.identity(0)
                await store.identity(0)


async def _has_connected_anew(pair: Pair, store: Store, connections: int) -> bool:
    """Return whether so many were made, with a command that the replica refuses on each."""
    with suppress(NotPrimary):
        await store.command("SET", "k", 1)
    return pair.address.accepted >= connections


async def _busy(store: Store) -> None:
    """Has several connections of the pool open."""
    await asyncio.gather(*(store.command("SET", f"k{n}", n) for n in range(10)))


async def _writes_durably(store: Store) -> bool:
    async with store.durable() as vault:
        await vault.execute("SET", "durable", 1)
        await vault.confirm()
    return True


async def _read_on(streams: StreamReader) -> object:
    """Read as a reader of `changes` does: again and again, from where it stands."""
    while True:
        with suppress(StoreUnavailable):
            if reply := await streams.read({b"s": b"0"}, timedelta(milliseconds=200)):
                return reply
        await asyncio.sleep(0.02)


async def _is_left(pair: Pair) -> bool:
    """Return whether the first server has no connection but the test's own, and those of its replication."""
    clients = await pair.a.client_list(_type="normal")
    return len(clients) == 1
