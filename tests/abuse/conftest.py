"""What attacks are carried out on: pages and webhook as processes of their own; and a real Valkey, an edge over real TLS, and suites, as the
edge's own tests have them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping

import pytest

from tests.abuse.edge_process import SHORT_TIMES, EdgeProcess, edge_process
from tests.abuse.measured import rss
from tests.abuse.roles import ROLES, Served, served
from tests.edge.conftest import (  # noqa: F401  fixtures
    authority,
    cert,
    channel,
    connect,
    edge,
    edge_store,
    key,
    raw,
    start_edge,
    store,
    suite,
    valkey,
    worker,
)
from tests.edge.worker import PlayedWorker
from tests.valkey import ValkeyServer


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
def edge_apart(valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProcess]:  # noqa: F811
    with edge_process(valkey, tmp_path_factory.mktemp("edge"), **SHORT_TIMES) as apart:
        yield apart


@pytest.fixture
async def attacked(edge_apart: EdgeProcess, worker: PlayedWorker, key: str) -> AsyncIterator[EdgeProcess]:  # noqa: F811
    """An edge in a process of its own, which serves a suite before and after the attack."""
    await worker.users(1)
    await edge_apart.serves(worker, key)
    edge_apart.before = rss(edge_apart.process.pid)
    yield edge_apart
    await edge_apart.serves(worker, key)
    edge_apart.is_well()
