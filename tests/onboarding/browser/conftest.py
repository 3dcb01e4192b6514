"""What tests in real Chromium stand on: one browser a process, and one site a module, which each test finds as new.

To start a browser costs more than most tests in it do. It belongs to one event loop, so all tests here run on that one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest_asyncio
import trustme
from playwright.async_api import Browser
from redis.asyncio import Redis

from emulator import Config, Emulator
from relay.store.sealing.keyring import KeyRing
from relay.store.server.connection import Store, StoreSettings
from tests.edge.suite import SuiteStream
from tests.onboarding.chromium import Watched, window
from tests.onboarding.conftest import relay_at_work
from tests.onboarding.person import Person
from tests.onboarding.site import Site, web_settings
from tests.support.valkey import ValkeyServer, free_port

_FRESH = "fresh"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def lasting_site(valkey: ValkeyServer, ring: KeyRing, cert: trustme.LeafCert) -> AsyncIterator[Site]:
    """One site for all tests of a module."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store(StoreSettings(url=valkey.url)))
        cloud = await stack.enter_async_context(Emulator.start(Config()))
        serving = Site.serving(web_settings(free_port(), cert), store, ring, cloud)
        site = await stack.enter_async_context(serving)
        cloud.snapshots.take(_FRESH)
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def site(lasting_site: Site, valkey: ValkeyServer) -> Site:
    """The site with an empty store and a local cloud where nothing happened yet."""
    async with Redis.from_url(valkey.url) as raw:
        await raw.flushall()
    lasting_site.cloud.snapshots.restore(_FRESH)
    return lasting_site


@pytest_asyncio.fixture(loop_scope="session")
async def person(site: Site, authority: trustme.CA) -> AsyncIterator[Person]:
    """Somebody in front of a browser that is played by a script."""
    async with Person.at(site, authority.cert_pem.bytes().decode()) as person:
        yield person


@pytest_asyncio.fixture(loop_scope="session")
async def suite(
    site: Site, authority: trustme.CA, cert: trustme.LeafCert
) -> AsyncIterator[Callable[[str], SuiteStream]]:
    """A relay at work on the site's store; makes a suite's stream of a key."""
    async with relay_at_work(site, authority, cert) as make:
        yield make


@pytest_asyncio.fixture(loop_scope="session")
async def watched(site: Site, chromium: Browser) -> AsyncIterator[Watched]:
    """A window without cookies."""
    context = await window(chromium)
    yield Watched(await context.new_page())
    await context.close()
