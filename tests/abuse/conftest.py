"""What attacks are carried out on: pages and webhook as processes of their own; and a real Valkey, an edge over real TLS, and suites, as the
edge's own tests have them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import pytest
import trustme

from tests.abuse.edge_process import SHORT_TIMES, EdgeProcess, edge_process
from tests.abuse.measured import rss
from tests.abuse.roles import ROLES, Served, served
from tests.edge.conftest import (  # noqa: F401  fixtures
    channel,
    connect,
    edge,
    edge_store,
    key,
    start_edge,
    store,
    suite,
    worker,
)
from tests.edge.worker import PlayedWorker
from tests.support.valkey import ValkeyServer


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """A server apart from that of all other tests: edges that are processes of their own stand on it for the whole session."""
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def http_roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Served]]:
    """Pages and webhook, with small limits so that attacks on them are small too."""
    limits = {
        "RELAY_HTTP_CONNECTIONS": "150",
        "RELAY_HTTP_CONNECTIONS_PER_ADDRESS": "40",
        "RELAY_HTTP_HEAD_TIME": "3s",
    }
    with served(tmp_path_factory.mktemp("roles"), **limits) as roles:
        yield roles


@pytest.fixture(params=ROLES)
def role(http_roles: Mapping[str, Served], request: pytest.FixtureRequest) -> Served:
    """Each of the two that anybody can reach over HTTP."""
    return http_roles[request.param]


@pytest.fixture(scope="session")
def edge_apart(valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProcess]:
    with edge_process(valkey, tmp_path_factory.mktemp("edge"), **SHORT_TIMES) as apart:
        yield apart


@pytest.fixture(scope="session")
def edge_apart_tls(
    valkey: ValkeyServer,
    authority: trustme.CA,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[EdgeProcess]:
    with edge_process(valkey, tmp_path_factory.mktemp("edge-tls"), authority, **SHORT_TIMES) as apart:
        yield apart


@asynccontextmanager
async def under_attack(apart: EdgeProcess, played: PlayedWorker, suite_key: str) -> AsyncIterator[EdgeProcess]:
    """An edge which serves a suite before and after the attack."""
    await played.users(1)
    await apart.serves(played, suite_key)
    apart.before = rss(apart.process.pid)
    yield apart
    await apart.serves(played, suite_key)
    apart.is_well()


@pytest.fixture
async def attacked(edge_apart: EdgeProcess, worker: PlayedWorker, key: str) -> AsyncIterator[EdgeProcess]:  # noqa: F811
    """An edge in a process of its own, which serves a suite before and after the attack."""
    async with under_attack(edge_apart, worker, key) as apart:
        yield apart


@pytest.fixture(params=["plain", "tls"])
async def attacked_either_way(
    request: pytest.FixtureRequest,
    worker: PlayedWorker,  # noqa: F811
    key: str,  # noqa: F811
) -> AsyncIterator[EdgeProcess]:
    """The same, in plain text and over TLS."""
    apart = request.getfixturevalue("edge_apart" if request.param == "plain" else "edge_apart_tls")
    async with under_attack(apart, worker, key) as one:
        yield one
