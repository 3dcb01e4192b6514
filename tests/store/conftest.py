"""A store for each test, empty.

`make test` runs every test on one real Valkey, and those marked `each_topology` on every topology: for each subject of the store
the tests whose course depends on which node has which key. `make topologies` runs all tests on every topology.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.store.presence.leases import Lease, Leases
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from tests.store.samples import TENANT
from tests.support.topology import DividedRedis, TwoNodes
from tests.support.valkey import ValkeyServer

TOPOLOGIES = ("standalone", "two-nodes")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "topology" in metafunc.fixturenames:
        metafunc.parametrize("topology", _topologies_of(metafunc), indirect=True)


def _topologies_of(metafunc: pytest.Metafunc) -> tuple[str, ...]:
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    # A test that takes the server itself is about that one too.
    if "one_server" in marks or "valkey" in metafunc.fixturenames:
        return TOPOLOGIES[:1]
    return TOPOLOGIES if "each_topology" in marks or metafunc.config.getoption("each_topology") else TOPOLOGIES[:1]


@pytest.fixture
def topology(request: pytest.FixtureRequest) -> str:
    """The name of the topology on which this test runs; of `TOPOLOGIES`."""
    return str(request.param)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ValkeyServer, ValkeyServer]]:
    """Two servers for all tests of a process."""
    with ExitStack() as stack:
        one, two = (stack.enter_context(ValkeyServer(tmp_path_factory.mktemp("valkey"))) for _ in range(2))
        yield one, two


@pytest.fixture
async def raw(topology: str, request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    """A client of the emptied server or servers, to look at what the relay wrote and to do what the relay never would."""
    if topology == "standalone":
        valkey: ValkeyServer = request.getfixturevalue("valkey")
        async with Redis.from_url(valkey.url, protocol=2) as client:
            await client.flushall()
            yield client
        return
    one, two = request.getfixturevalue("pair")
    async with Redis.from_url(one.url, protocol=2) as first, Redis.from_url(two.url, protocol=2) as second:
        divided = DividedRedis((first, second))
        await divided.flushall()
        yield divided


@pytest.fixture
async def store(topology: str, raw: Redis, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """The store, empty."""
    if topology == "standalone":
        made = Store(StoreSettings(url=request.getfixturevalue("valkey").url))
    else:
        one, two = request.getfixturevalue("pair")
        made = Store(StoreSettings(url=one.url), TwoNodes((one.url, two.url)))
    async with made as store:
        yield store


@pytest.fixture
async def lease(store: Store) -> Lease:
    """A lease of the partition of `TENANT`."""
    lease = await Leases(store).acquire(keys.partition_of(TENANT), "worker-1", timedelta(minutes=1))
    assert lease is not None
    return lease
