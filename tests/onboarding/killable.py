"""The pages in a process of their own that can be killed; see `tests/support/killing.py`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

import trustme
from redis.asyncio import Redis

from emulator import Cloud
from onboarding.app import served
from onboarding.settings import WebSettings
from relay.graph.settings import GraphSettings
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server.connection import Store, StoreSettings
from tests.graph.conftest import settings_for
from tests.onboarding.person import Person
from tests.onboarding.site import Site, web_settings
from tests.support.kill_gates import http_gate, store_gate
from tests.support.killing import Killable, Killer
from tests.support.valkey import ValkeyServer, free_port


@dataclass
class KilledSite:
    """A site in a process that is killed again and again, and one person in front of it."""

    killer: Killer
    web: Killable
    site: Site
    raw: Redis
    person: Person

    async def start(self) -> None:
        """Serve the pages."""
        self.web.start()
        assert await self.web.received() == "ready"

    async def start_if_dead(self) -> None:
        """Serve the pages again after a kill at the very last answer, which nobody noticed."""
        if not self.web.is_running:
            await self.start()


@asynccontextmanager
async def killed_site(
    store: Store,
    raw: Redis,
    valkey: ValkeyServer,
    cloud: Cloud,
    cert: trustme.LeafCert,
    authority: trustme.CA,
    **changes: object,
) -> AsyncIterator[KilledSite]:
    """Serve the pages between two gates. Settings by name."""
    port, inner_port, killer = free_port(), free_port(), Killer()
    ring = make_ring("test", now_s=0)
    changes = {"public_url": f"https://localhost:{port}", "tls_cert_pem": None, "tls_key_pem": None, **changes}
    settings = web_settings(inner_port, cert, **changes)
    for application in cloud.world.applications.values():
        application.redirect_uris.append(settings.redirect_uri)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    async with AsyncExitStack() as stack:
        store_port = await stack.enter_async_context(store_gate(valkey.port, killer))
        await stack.enter_async_context(http_gate(port, inner_port, context, killer))
        web = Killable(_run, settings, f"redis://127.0.0.1:{store_port}", ring, settings_for(cloud))
        killer.kill = web.kill
        stack.callback(web.kill)
        site = Site(settings, store, KeyRing.from_json(ring), cloud)
        person = await stack.enter_async_context(Person.at(site, authority.cert_pem.bytes().decode()))
        made = KilledSite(killer, web, site, raw, person)
        await made.start()
        yield made


def _run(pipe: Connection, settings: WebSettings, store_url: str, ring: str, graph: GraphSettings) -> None:
    asyncio.run(_serve(pipe, settings, store_url, ring, graph))


async def _serve(pipe: Connection, settings: WebSettings, store_url: str, ring: str, graph: GraphSettings) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), stop.set)  # the test is gone
    async with (
        Store(StoreSettings(url=store_url)) as store,
        served(settings, store, KeyRing.from_json(ring), graph),
    ):
        pipe.send("ready")
        await stop.wait()
