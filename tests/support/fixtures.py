"""Fixtures for every folder of tests: a real Valkey, a client beside the relay's own, a CA, and a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
import trustme
from redis.asyncio import Redis

from tests.support.valkey import ValkeyServer

if TYPE_CHECKING:
    from playwright.async_api import Browser


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


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def cert(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("localhost", "127.0.0.1")


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium(cert: trustme.LeafCert) -> AsyncIterator[Browser]:
    """One browser a process, which accepts the certificates of our pages and of every local cloud in this process."""
    from emulator.tls import process_certificate
    from tests.onboarding.chromium import started

    async with started(cert.cert_chain_pems[0].bytes(), process_certificate()[1].cert_chain_pems[0].bytes()) as browser:
        yield browser
