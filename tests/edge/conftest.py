"""A real Valkey, an edge over real TLS, a worker played by hand, and suites."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import grpc
import pytest
import trustme
from redis.asyncio import Redis

from relay.edge.server import EdgeServer
from relay.edge.settings import EdgeSettings
from relay.ops.clock import SYSTEM, Clock
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client
from tests.edge.suite import SuiteStream
from tests.edge.worker import OTHER, TENANT, PlayedWorker
from tests.support.late import LateStore
from tests.support.ring import PUBLIC_MARKS
from tests.support.valkey import ValkeyServer

SHORT = timedelta(milliseconds=100)
PATIENCE = timedelta(seconds=10)
"""Of a store: on a busy machine an answer takes a while."""


@pytest.fixture
async def store(valkey: ValkeyServer, raw: Redis) -> AsyncIterator[Store]:
    async with Store(StoreSettings(url=valkey.url, operation_timeout=PATIENCE)) as store:
        yield store


@pytest.fixture
async def edge_store(valkey: ValkeyServer, raw: Redis) -> AsyncIterator[LateStore]:
    """A store with the rights of the edges' own Redis user, so that a new key or command of theirs is missed at once.

    A test may have some of its replies come late.
    """
    settings = StoreSettings(url=valkey.url_of(Client.EDGE), operation_timeout=PATIENCE)
    async with LateStore(settings) as store:
        yield store


@pytest.fixture
async def worker(store: Store) -> PlayedWorker:
    """Owns the partitions of both tenants."""
    worker = PlayedWorker(store, TENANT, OTHER)
    await worker.own()
    return worker


@pytest.fixture
async def key(worker: PlayedWorker) -> str:
    """A suite key of TENANT."""
    return (await worker.enrol()).text


@pytest.fixture
async def start_edge(edge_store: Store, cert: trustme.LeafCert) -> AsyncIterator[Callable[..., Any]]:
    """Start an edge over TLS; settings by name."""
    async with AsyncExitStack() as stack:

        async def start(clock: Clock = SYSTEM, **settings: Any) -> EdgeServer:
            given = {"port": 0, "drain_delay": SHORT, "grace": SHORT, **settings}
            tls = {
                "tls_cert_pem": b"".join(pem.bytes() for pem in cert.cert_chain_pems),
                "tls_key_pem": cert.private_key_pem.bytes(),
            }
            edge = EdgeServer(
                EdgeSettings(host="localhost", **(tls | given)),
                edge_store,
                PUBLIC_MARKS,
                clock=clock,
            )
            return await stack.enter_async_context(edge)

        yield start


@pytest.fixture
async def edge(start_edge: Callable[..., Any]) -> EdgeServer:
    return await start_edge()


@pytest.fixture
async def connect(authority: trustme.CA) -> AsyncIterator[Callable[..., grpc.aio.Channel]]:
    """Open a channel to an edge."""
    async with AsyncExitStack() as stack:

        async def open_channel(edge: EdgeServer, **options: Any) -> grpc.aio.Channel:
            credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
            channel = grpc.aio.secure_channel(
                f"localhost:{edge.port}",
                credentials,
                options=[("grpc.enable_http_proxy", 0), *options.items()],
            )
            return await stack.enter_async_context(channel)

        yield open_channel


@pytest.fixture
async def channel(edge: EdgeServer, connect: Callable[..., Any]) -> grpc.aio.Channel:
    return await connect(edge)


@pytest.fixture
async def suite(channel: grpc.aio.Channel, key: str) -> AsyncIterator[Callable[..., SuiteStream]]:
    """Make a suite's stream, with the key of TENANT unless another is given."""
    streams: list[SuiteStream] = []

    def make(key: str = key, channel: grpc.aio.Channel = channel, **more: Any) -> SuiteStream:
        streams.append(SuiteStream(channel, key, **more))
        return streams[-1]

    yield make
    for stream in streams:
        await stream.kill()


@pytest.fixture
async def suite_of(store: Store, start_edge: Any, connect: Any) -> AsyncIterator[Callable[..., Any]]:
    """Open a stream in a partition that has an owner but no epoch yet; gives the worker and the stream."""
    async with AsyncExitStack() as stack:

        async def open_stream(**settings: Any) -> tuple[PlayedWorker, SuiteStream]:
            worker = PlayedWorker(store, TENANT)
            await worker.own(epoch=False)
            key = (await worker.enrol()).text
            edge = await start_edge(**settings)
            stream = await stack.enter_async_context(SuiteStream(await connect(edge), key))
            return worker, stream.open("user0@contoso.com")

        yield open_stream
