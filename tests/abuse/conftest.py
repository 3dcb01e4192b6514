"""What attacks are carried out on: pages and webhook as processes of their own; and a real Valkey, an edge over real TLS, and suites, as the
edge's own tests have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.abuse.roles import ROLES, Served, served
from tests.edge.conftest import (  # noqa: F401  fixtures
    authority,
    cert,
    channel,
    connect,
    edge,
    key,
    raw,
    start_edge,
    store,
    suite,
    valkey,
    worker,
)


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
