"""Fixtures for every folder of tests: a real Valkey, and a client beside the relay's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from tests.support.valkey import ValkeyServer


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """One server for all tests of a process. A test that stops it or sets it up otherwise puts it back."""
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
async def raw(valkey: ValkeyServer) -> AsyncIterator[Redis]:
    """A client of an emptied server, to look at what the relay wrote and to do what the relay never would."""
    async with Redis.from_url(valkey.url, protocol=2) as client:
        await client.flushall()
        yield client
