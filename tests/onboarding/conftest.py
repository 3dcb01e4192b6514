"""The pages over real TLS, a real Valkey, the local Microsoft cloud, and people in front of a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
import trustme
from redis.asyncio import Redis

from emulator import Cloud, Config, Emulator
from relay.edge.server import EdgeServer
from relay.edge.settings import EdgeSettings
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.sealing.marks import RingMarks
from relay.store.server.connection import Store, StoreSettings
from relay.worker.cloud import Cloud as WorkerCloud
from relay.worker.settings import WorkerSettings
from relay.worker.worker import Worker
from tests.edge.suite import SuiteStream
from tests.graph.conftest import settings_for
from tests.onboarding.person import Person
from tests.onboarding.site import Site, web_settings
from tests.support.valkey import ValkeyServer, free_port

FAST = WorkerSettings(
    poll_interval=timedelta(milliseconds=300),
    lease=timedelta(seconds=10),
    lease_renewal=timedelta(milliseconds=500),
    stale_after_intervals=100,
)
"""Presence is not stale because a busy machine held reads up."""


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


@asynccontextmanager
async def relay_at_work(
    site: Site, authority: trustme.CA, cert: trustme.LeafCert, worker_settings: WorkerSettings = FAST
) -> AsyncIterator[Callable[[str], SuiteStream]]:
    """Worker and edge on the site's store; makes a suite's stream of a key."""
    edge = EdgeSettings(
        host="127.0.0.1",
        port=0,
        tls_cert_pem=b"".join(pem.bytes() for pem in cert.cert_chain_pems),
        tls_key_pem=cert.private_key_pem.bytes(),
        drain_delay=timedelta(milliseconds=100),
        grace=timedelta(milliseconds=100),
    )
    async with AsyncExitStack() as stack:
        microsoft = await stack.enter_async_context(WorkerCloud(settings_for(site.cloud), site.vault))
        worker = asyncio.create_task(Worker(site.store, site.vault, microsoft, worker_settings, "worker-1").run())
        server = await stack.enter_async_context(EdgeServer(edge, site.store, RingMarks(site.ring), "edge-1"))
        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        target, options = f"localhost:{server.port}", [("grpc.enable_http_proxy", 0)]
        channel = await stack.enter_async_context(grpc.aio.secure_channel(target, credentials, options=options))
        streams: list[SuiteStream] = []

        def make(key: str) -> SuiteStream:
            streams.append(SuiteStream(channel, key))
            return streams[-1]

        yield make
        for stream in streams:
            await stream.kill()
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


@pytest.fixture
async def suite(
    site: Site, authority: trustme.CA, cert: trustme.LeafCert
) -> AsyncIterator[Callable[[str], SuiteStream]]:
    """A relay at work on the site's store; makes a suite's stream of a key."""
    async with relay_at_work(site, authority, cert) as make:
        yield make
