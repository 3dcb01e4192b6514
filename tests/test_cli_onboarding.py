"""Onboarding from the command line, with the real flow: a browser at Entra's pages, and back to this machine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from emulator import Cloud, Config, Emulator, Fault
from emulator.demo import CLIENT_ID, SECRET
from emulator.generate import PASSWORD
from relay.consent.by_hand import NobodyCame, onboard_by_hand
from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import TenantState
from relay.dev.browser import sign_in_and_consent
from relay.graph.auth.consent import ConsentFailed
from relay.http.paths import CALLBACK
from relay.settings import roles
from relay.settings.load import Settings, load
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.custody.vault import Vault
from relay.store.server.connection import Store
from relay.store.server.layout import Client
from tests.support.ring import MARKS, RING_JSON
from tests.support.valkey import ValkeyServer, free_port

ACCOUNT = "presence-relay@contoso.example"


class Desk:
    """A command line under way and a browser beside it."""

    def __init__(self, cloud: Cloud, store: Store, settings: Settings) -> None:
        self.cloud = cloud
        self.store = store
        self.settings = settings
        self.port = free_port()
        self.said: list[str] = []

    def begin(self, *, tenant: str = "", wait_s: float = 20) -> asyncio.Task:
        work = onboard_by_hand(
            self.store, self.settings, self.said.append, tenant=tenant, port=self.port, wait_s=wait_s
        )
        return asyncio.create_task(work)

    async def address(self) -> str:
        async with asyncio.timeout(30):
            while not (found := re.search(r"https://\S+", " ".join(self.said))):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return found.group()

    async def sign_in(self) -> dict[str, str]:
        return await sign_in_and_consent(
            await self.address(),
            self.redirect_uri,
            username=ACCOUNT,
            password=PASSWORD,
            ca_pem=self.cloud.ca_pem.decode(),
        )

    async def come_back(self, fields: dict[str, str]) -> httpx.Response:
        async with httpx.AsyncClient(verify=False, trust_env=False) as browser:
            return await browser.post(self.redirect_uri, data=fields)

    @property
    def redirect_uri(self) -> str:
        return f"http://localhost:{self.port}{CALLBACK}"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    with ValkeyServer(tmp_path) as server:
        async with Emulator.start(Config()) as cloud:
            given = {
                "redis": {"url": server.url_of(Client.OPERATOR)},
                "vault": {"key_ring": RING_JSON},
                "cloud": {
                    "name": "custom", "authority_url": cloud.url, "graph_url": cloud.url, "ca": cloud.ca_pem.decode(),
                    "client_id": CLIENT_ID, "client_secret": SECRET,
                },
            }  # fmt: skip
            settings = load(roles.ONBOARDING, given)
            async with Store(settings.store_settings()) as store:
                yield Desk(cloud, store, settings)


async def test_somebody_who_consents_gets_a_working_suite_key(desk: Desk):
    onboarding = desk.begin()
    page = await desk.come_back(await desk.sign_in())
    issued = await onboarding

    assert (page.status_code, "close this page" in page.text) == (200, True)
    key = await SuiteKeys(desk.store, MARKS).verify(issued.text)
    tenant = await Tenants(desk.store).load(key.tenant_id)
    [grant] = await Vault(desk.store, desk.settings.key_ring()).list(key.tenant_id)
    assert tenant is not None
    assert (tenant.state, tenant.domain) == (TenantState.ACTIVE, "contoso.example")
    assert (grant.upn, grant.state) == (ACCOUNT, GrantState.HEALTHY)
    assert issued.text not in "".join(desk.said)


async def test_the_same_account_again_renews_its_grant(desk: Desk):
    vault, versions = Vault(desk.store, desk.settings.key_ring()), []
    for _ in range(2):
        desk.said.clear()
        onboarding = desk.begin()
        await desk.come_back(await desk.sign_in())
        key = await SuiteKeys(desk.store, MARKS).verify((await onboarding).text)
        versions.append([grant.version for grant in await vault.list(key.tenant_id)])
    [first], [second] = versions
    assert second > first


async def test_a_bad_moment_of_graphs_does_not_cost_the_consent(desk: Desk):
    desk.cloud.faults.add(Fault(path="/v1.0/", count=1, status=503))
    onboarding = desk.begin()
    await desk.come_back(await desk.sign_in())
    assert await onboarding


async def test_a_grant_that_cannot_read_presence_is_not_kept(desk: Desk):
    desk.cloud.faults.add(Fault(path="/v1.0/", status=403))
    onboarding = desk.begin()
    await desk.come_back(await desk.sign_in())
    with pytest.raises(ConsentFailed, match="refuses to let this account read presence"):
        await onboarding
    assert await Tenants(desk.store).list() == []


async def test_somebody_who_declines_is_told_so_and_nothing_is_kept(desk: Desk):
    onboarding = desk.begin()
    state = httpx.URL(await desk.address()).params["state"]
    await desk.come_back({"error": "access_denied", "error_description": "AADSTS65004: declined", "state": state})
    with pytest.raises(ConsentFailed, match="declined"):
        await onboarding
    assert await Tenants(desk.store).list() == []


async def test_an_answer_to_another_sign_in_is_refused(desk: Desk):
    onboarding = desk.begin()
    await desk.address()
    await desk.come_back({"code": "stolen", "state": "guessed"})
    with pytest.raises(ConsentFailed, match="started elsewhere"):
        await onboarding


async def test_another_organisation_than_the_one_invited_is_refused(desk: Desk):
    fabrikam = next(tenant for tenant in desk.cloud.world.tenants.values() if tenant.domain == "fabrikam.example")
    onboarding = desk.begin(tenant=fabrikam.tenant_id)
    with pytest.raises(Exception, match="unexpected page"):
        await desk.sign_in()  # Entra itself lets nobody else in
    onboarding.cancel()


async def test_a_wait_in_vain_ends(desk: Desk):
    with pytest.raises(NobodyCame):
        await desk.begin(wait_s=0.05)


@pytest.mark.parametrize(("method", "path"), [("GET", CALLBACK), ("POST", "/elsewhere"), ("GET", "/favicon.ico")])
async def test_what_is_no_answer_is_passed_over(desk: Desk, method: str, path: str):
    onboarding = desk.begin()
    await desk.address()
    async with httpx.AsyncClient(verify=False, trust_env=False) as browser:
        answer = await browser.request(method, f"http://localhost:{desk.port}{path}")
    assert answer.status_code == 404
    assert not onboarding.done()
    onboarding.cancel()
