"""The pages over real TLS, a real Valkey, the local Microsoft cloud, and people in front of a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trustme
from redis.asyncio import Redis

from emulator import Cloud, Config, Emulator
from relay.store.connection import Store, StoreSettings
from relay.store.keyring import KeyRing, make_ring
from tests.onboarding.person import Person
from tests.onboarding.site import Site, web_settings
from tests.valkey import ValkeyServer, free_port


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def cert(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("localhost", "127.0.0.1")


@pytest.fixture
async def raw(valkey: ValkeyServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey.url, protocol=2) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def store(valkey: ValkeyServer, raw: Redis) -> AsyncIterator[Store]:
    async with Store(StoreSettings(url=valkey.url)) as store:
        yield store


@pytest.fixture(scope="session")
def ring() -> KeyRing:
    return KeyRing.from_json(make_ring("test", now_s=0))


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with Emulator.start(Config()) as running:
        yield running


@pytest.fixture
async def start_site(
    store: Store, ring: KeyRing, cloud: Cloud, cert: trustme.LeafCert
) -> AsyncIterator[Callable[..., object]]:
    """Serve the pages; settings by name."""
    async with AsyncExitStack() as stack:

        async def start(cloud: Cloud = cloud, **changes: object) -> Site:
            settings = web_settings(free_port(), cert, **changes)
            return await stack.enter_async_context(Site.serving(settings, store, ring, cloud))

        yield start


@pytest.fixture
async def site(start_site: Callable[..., object]) -> Site:
    return await start_site()


@pytest.fixture
async def meet(site: Site, authority: trustme.CA, tmp_path: Path) -> AsyncIterator[Callable[..., Person]]:
    """Put somebody in front of a browser of their own."""
    async with AsyncExitStack() as stack:
        people: list[Person] = []

        async def make(site: Site = site) -> Person:
            person = await stack.enter_async_context(Person.at(site, authority.cert_pem.bytes().decode()))
            people.append(person)
            return person

        yield make


@pytest.fixture
async def person(meet: Callable[..., Person]) -> Person:
    return await meet()
