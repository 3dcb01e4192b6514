"""The process is killed before and after each write to the store and each answer of an onboarding, and the person goes on."""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
import trustme
from redis.asyncio import Redis

from emulator import Cloud
from relay.core.consent.tenant import TenantState
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server.connection import Store
from tests.graph.conftest import settings_for
from tests.onboarding.killable import Killer, Web, http_gate, store_gate
from tests.onboarding.person import APPLICANT, Person
from tests.onboarding.site import Site, web_settings
from tests.support.valkey import ValkeyServer, free_port

RING = make_ring("test", now_s=0)
MOST_STEPS = 200


@dataclass
class Run:
    """One onboarding with a process that may be killed once."""

    killer: Killer
    web: Web
    site: Site
    person: Person
    answer: dict[str, str] | None = None

    async def to_the_key(self) -> str:
        """Go on as a person does, whatever happens: reload, go back, press the button that is there."""
        for _ in range(MOST_STEPS):
            try:
                if self.person.key:
                    return self.person.key
                await self._step()
            except httpx.HTTPError:
                assert self.killer.killed.is_set()
                await self.check_whole()
                await self.web.start()
                self.person.page = httpx.Response(200, request=httpx.Request("GET", self._last))
        raise AssertionError(f"no key after {MOST_STEPS} steps: {self.person.text}")

    _last = ""

    async def _step(self) -> None:
        person, page = self.person, self.person.page.text
        if str(person.page.url).startswith(self.site.url):
            self._last = str(person.page.url)
        if not page:
            await person.get(self._last or "/onboarding")
        elif 'id="start"' in page:
            await person.submit("start", **APPLICANT)
        elif 'id="confirm"' in page:
            await person.submit("confirm")
        elif "data-live" in page:
            await asyncio.sleep(0.05)
            await person.get(self._last)
        elif 'id="show-key"' in page or 'id="key-lost"' in page:
            await person.show_key()
        elif 'id="another-key"' in page:
            await person.submit("another-key")
        elif 'id="authorize"' in page:
            await person.submit("authorize")
        elif 'http-equiv="refresh"' in page:
            person.page = await person.client.get(person.microsoft_url())
            await self._back(await person.sign_in())
        else:
            link = re.search(r'class="button button--main" href="([^"]+)"', page)
            assert link, page
            await person.get(link[1])

    async def _back(self, answer: dict[str, str]) -> None:
        """Bring Microsoft's answer back; a browser that lost the connection sends the form again when it is reloaded."""
        try:
            await self.person.answer(answer)
        except httpx.HTTPError:
            await self.check_whole()
            await self.web.start()
            await self.person.answer(answer)

    async def check_whole(self) -> None:
        """A tenant has its grant, or there is neither."""
        tenant = await self.site.tenants.load(self.site.tenant_id())
        grants = await self.site.vault.list(self.site.tenant_id())
        if tenant is None:
            assert grants == []
            assert await self.site.suite_keys.list(self.site.tenant_id()) == []
        else:
            assert tenant.state is TenantState.ACTIVE
            assert [grant.sealed_shut for grant in grants] == [False]

    async def check_done(self, key: str) -> None:
        await self.check_whole()
        verified = await self.site.suite_keys.verify(key)
        keys = await self.site.suite_keys.list(verified.tenant_id)
        assert [record.key_id for record in keys if record.revoked is None] == [verified.key_id]


@pytest.fixture
def context(cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context


@asynccontextmanager
async def run(
    killer: Killer,
    store: Store,
    valkey: ValkeyServer,
    cloud: Cloud,
    cert: trustme.LeafCert,
    ca_pem: str,
    context: ssl.SSLContext,
) -> AsyncIterator[Run]:
    port, inner_port = free_port(), free_port()
    settings = web_settings(
        inner_port,
        cert,
        public_url=f"https://localhost:{port}",
        tls_cert_pem=None,
        tls_key_pem=None,
        heartbeat_timeout=timedelta(seconds=0.4),
    )
    for application in cloud.world.applications.values():
        application.redirect_uris.append(settings.redirect_uri)
    async with AsyncExitStack() as stack:
        store_port = await stack.enter_async_context(store_gate(valkey.port, killer))
        await stack.enter_async_context(http_gate(port, inner_port, context, killer))
        web = Web(settings, f"redis://127.0.0.1:{store_port}", RING, settings_for(cloud))
        killer.kill = web.kill
        await web.start()
        stack.callback(web.kill)
        site = Site(settings, store, KeyRing.from_json(RING), cloud)
        person = await stack.enter_async_context(Person.at(site, ca_pem))
        yield Run(killer, web, site, person)


@pytest.mark.timeout(300)
async def test_killed_anywhere_the_tenant_is_whole_and_the_person_gets_a_key_that_works(
    store: Store,
    raw: Redis,
    valkey: ValkeyServer,
    cloud: Cloud,
    cert: trustme.LeafCert,
    authority: trustme.CA,
    context: ssl.SSLContext,
    capsys: pytest.CaptureFixture[str],
):
    ca_pem = authority.cert_pem.bytes().decode()
    for _ in range(2):  # the first time gives the server its scripts
        await raw.flushall()
        async with run(Killer(), store, valkey, cloud, cert, ca_pem, context) as once:
            await once.check_done(await once.to_the_key())
            points = once.killer.points
    for number, point in enumerate(points):
        await raw.flushall()
        async with run(Killer(target=number), store, valkey, cloud, cert, ca_pem, context) as again:
            key = await again.to_the_key()
            if not again.killer.killed.is_set():
                raise AssertionError(f"{point} was not reached")
            if not again.web.is_running:  # the key was shown, and then the process died
                await again.web.start()
            await again.check_done(key)
    with capsys.disabled():
        writes = sum("write" in point for point in points)
        sys.stdout.write(f"\n[killed at {len(points)} points of an onboarding, {writes} of them at writes]\n")
    valkey.kill()
    valkey.start()
    await again.check_done(key)
