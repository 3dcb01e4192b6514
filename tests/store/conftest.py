"""A store for each test, empty.

`make test` runs every test on one real Valkey, and those marked `each_topology` on every topology: for each subject of the store
the tests whose course depends on which node has which key. `make topologies` runs all tests on every topology.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.store.presence.leases import Lease, Leases
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from tests.store.samples import TENANT
from tests.support.topology import DividedRedis, SentinelService, ValkeyCluster
from tests.support.valkey import ValkeyServer

STANDALONE, SENTINEL, CLUSTER = TOPOLOGIES = ("standalone", "sentinel", "cluster")


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
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelService]:
    """A primary, two replicas and three sentinels for all tests of a process. They fail over in no test, however busy the machine is."""
    with SentinelService(tmp_path_factory.mktemp("sentinel"), down_after_ms=60_000) as service:
        yield service


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """Three primaries, each with a replica, for all tests of a process. Their slots stay where they are, also when one is away."""
    with ValkeyCluster(tmp_path_factory.mktemp("cluster"), replicas=1, cluster_node_timeout="60000") as cluster:
        yield cluster


@pytest.fixture
def redis_url(topology: str, request: pytest.FixtureRequest) -> str:
    """The URL of the servers of the topology."""
    fixture = {STANDALONE: "valkey", SENTINEL: "sentinels", CLUSTER: "cluster"}[topology]
    servers: ValkeyServer | SentinelService | ValkeyCluster = request.getfixturevalue(fixture)
    return servers.url


@pytest.fixture
async def raw(topology: str, request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    """A client of the emptied server or servers, to look at what the relay wrote and to do what the relay never would."""
    async with AsyncExitStack() as stack:

        async def client_of(server: ValkeyServer) -> Redis:
            return await stack.enter_async_context(Redis.from_url(server.url, protocol=2))

        if topology == CLUSTER:
            cluster: ValkeyCluster = request.getfixturevalue("cluster")
            client: Redis = DividedRedis([await client_of(node) for node in cluster.primaries])
        elif topology == SENTINEL:
            client = await client_of(request.getfixturevalue("sentinels").servers[0])
        else:
            client = await client_of(request.getfixturevalue("valkey"))
        await client.flushall()
        yield client


@pytest.fixture
async def store(topology: str, redis_url: str, raw: Redis) -> AsyncIterator[Store]:
    """The store, empty."""
    async with Store(StoreSettings(url=redis_url, replicas=int(topology != STANDALONE))) as store:
        yield store


@pytest.fixture
async def lease(store: Store) -> Lease:
    """A lease of the partition of `TENANT`."""
    lease = await Leases(store).acquire(keys.partition_of(TENANT), "worker-1", timedelta(minutes=1))
    assert lease is not None
    return lease
