"""A real Valkey, an edge over real TLS, and suites, as the edge's own tests have them."""

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
