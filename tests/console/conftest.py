"""Consoles over real TLS, a real Valkey, and the local Microsoft cloud."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import trustme
from redis.asyncio import Redis

from emulator import Cloud, Config, Emulator
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server.connection import Store, StoreSettings
from tests.console.operator import Operator
from tests.console.site import TOKEN, ConsoleSite, console_settings, entra
from tests.support.valkey import ValkeyServer, free_port

StartConsole = Callable[..., Awaitable[ConsoleSite]]
Meet = Callable[..., Awaitable[Operator]]


@pytest.fixture(scope="session")
def ring() -> KeyRing:
    return KeyRing.from_json(make_ring("test", now_s=0))


@pytest.fixture
async def store(valkey: ValkeyServer, raw: Redis) -> AsyncIterator[Store]:
    async with Store(StoreSettings(url=valkey.url)) as store:
        yield store


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with Emulator.start(Config()) as running:
        yield running


@pytest.fixture
async def start_console(
    store: Store, ring: KeyRing, cloud: Cloud, cert: trustme.LeafCert
) -> AsyncIterator[StartConsole]:
    """Serve a console; settings by name."""
    async with AsyncExitStack() as stack:

        async def start(**changes: Any) -> ConsoleSite:
            given = {} if "token" in changes else {"entra": entra(cloud)}
            settings = console_settings(free_port(), cert, **{**given, **changes})
            return await stack.enter_async_context(ConsoleSite.serving(settings, store, ring, cloud))

        yield start


@pytest.fixture
async def console(start_console: StartConsole) -> ConsoleSite:
    """A console whose operators sign in with Entra."""
    return await start_console()


@pytest.fixture
async def trial(start_console: StartConsole) -> ConsoleSite:
    """A console with the token of a trial."""
    return await start_console(token=TOKEN)


@pytest.fixture
async def meet(authority: trustme.CA) -> AsyncIterator[Meet]:
    """Put somebody in front of a browser of their own."""
    async with AsyncExitStack() as stack:

        async def make(site: ConsoleSite) -> Operator:
            return await stack.enter_async_context(Operator.at(site, authority.cert_pem.bytes().decode()))  # type: ignore[arg-type]

        yield make
