"""The process is killed at each write to the store and each answer of an onboarding, and the person goes on."""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
import trustme
from redis.asyncio import Redis

from emulator import Cloud
from relay.core.consent.tenant import TenantState
from relay.store.server.connection import Store
from tests.onboarding.killable import KilledSite, killed_site
from tests.onboarding.person import APPLICANT
from tests.support.killing import at_each_point
from tests.support.valkey import ValkeyServer

MOST_STEPS = 200


@dataclass
class Applicant:
    """A person who onboards a tenant, and goes on whatever happens."""

    at: KilledSite
    _last: str = ""

    async def to_the_key(self) -> str:
        """Go on as a person does, whatever happens: reload, go back, press the button that is there."""
        for _ in range(MOST_STEPS):
            try:
                if self.at.person.key:
                    return self.at.person.key
                await self._step()
            except httpx.HTTPError:
                assert self.at.killer.killed.is_set()
                await self.check_whole()
                await self.at.start()
                self.at.person.page = httpx.Response(200, request=httpx.Request("GET", self._last))
        raise AssertionError(f"no key after {MOST_STEPS} steps: {self.at.person.text}")

    async def _step(self) -> None:
        person = self.at.person
        page = person.page.text
        if str(person.page.url).startswith(self.at.site.url):
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
            await self.at.person.answer(answer)
        except httpx.HTTPError:
            await self.check_whole()
            await self.at.start()
            await self.at.person.answer(answer)

    async def check_whole(self) -> None:
        """A tenant has its grant, or there is neither."""
        site, tenant_id = self.at.site, self.at.site.tenant_id()
        tenant = await site.tenants.load(tenant_id)
        grants = await site.vault.list(tenant_id)
        if tenant is None:
            assert grants == []
            assert await site.suite_keys.list(tenant_id) == []
        else:
            assert tenant.state is TenantState.ACTIVE
            assert [grant.sealed_shut for grant in grants] == [False]

    async def check_done(self, key: str) -> None:
        await self.check_whole()
        verified = await self.at.site.suite_keys.verify(key)
        keys = await self.at.site.suite_keys.list(verified.tenant_id)
        assert [record.key_id for record in keys if record.revoked is None] == [verified.key_id]


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_killed_anywhere_the_tenant_is_whole_and_the_person_gets_a_key_that_works(
    store: Store,
    raw: Redis,
    valkey: ValkeyServer,
    cloud: Cloud,
    cert: trustme.LeafCert,
    authority: trustme.CA,
    capsys: pytest.CaptureFixture[str],
):
    heartbeats = {"heartbeat_timeout": timedelta(seconds=0.4)}
    async with killed_site(store, raw, valkey, cloud, cert, authority, **heartbeats) as at:
        key = ""

        async def run() -> None:
            nonlocal key
            await raw.flushall()
            at.person.as_new()
            at.person.page = httpx.Response(200, request=httpx.Request("GET", at.site.settings.start_url))
            applicant = Applicant(at)
            key = await applicant.to_the_key()
            await at.start_if_dead()
            await applicant.check_done(key)

        points = await at_each_point(at.killer, run)
        with capsys.disabled():
            writes = sum("write" in point for point in points)
            sys.stdout.write(f"\n[killed at {len(points)} points of an onboarding, {writes} of them at writes]\n")
        valkey.kill()
        valkey.start()
        await Applicant(at).check_done(key)
