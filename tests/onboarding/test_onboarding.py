"""From the form to the key, once and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from emulator import Config, Emulator
from emulator.generate import BENCH_CLIENT_ID, BENCH_SECRET, generate_world
from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.errors import SuiteKeyRevoked
from relay.http.paths import TENANT
from relay.store.custody.sign_ups import SignUpLimits
from relay.store.sealing.keyring import KeyRing
from relay.store.server.connection import Store
from tests.onboarding.person import CONFIRMED, TO_SIGN_IN, Person
from tests.onboarding.site import Site, web_settings
from tests.support.valkey import free_port
from tests.support.waiting import eventually
from tests.worker.conftest import Relay

Meet = Callable[..., Awaitable[Person]]
BEN = "ben@contoso.example"


async def test_from_the_form_to_a_suite_key_that_works(site: Site, person: Person):
    await person.fill()
    assert person.heading == TO_SIGN_IN
    await person.authorize()
    assert person.heading == CONFIRMED
    assert "You signed in as presence-relay@contoso.example" in person.text
    assert await site.is_untouched()

    await person.confirm()

    assert "Contoso Ltd is connected" in person.heading
    assert "Ada Adler ada@contoso.example Available" in person.text
    assert "15 users found." in person.text
    assert "change notifications are not set up on this relay" in person.text
    await person.show_key()
    record = await site.suite_keys.verify(person.key)
    assert record.tenant_id == site.tenant_id()
    tenant = await site.tenants.load(site.tenant_id())
    assert tenant is not None
    assert (tenant.state, tenant.name, tenant.domain) == (TenantState.ACTIVE, "Contoso Ltd", "contoso.example")
    assert dict(tenant.settings) == {"contact_name": "Ada Adler", "contact_email": "ada@contoso.example"}
    (grant,) = await site.vault.list(site.tenant_id())
    assert (grant.upn, grant.state) == ("presence-relay@contoso.example", GrantState.HEALTHY)


@pytest.mark.parametrize("account", ["admin@contoso.example", BEN])
async def test_an_administrator_and_a_user_without_a_role_can_both_do_it(site: Site, person: Person, account: str):
    key = await person.onboard(account)
    assert (await site.suite_keys.verify(key)).tenant_id == site.tenant_id()


async def test_exactly_the_permissions_that_are_needed_are_asked_for(person: Person):
    await person.fill()
    await person.submit("authorize")
    asked = person.client.build_request("GET", person.microsoft_url()).url.params
    assert set(asked["scope"].split()) == {
        "Presence.Read.All", "User.ReadBasic.All", "offline_access", "openid", "profile",
    }  # fmt: skip
    assert asked["redirect_uri"] == person.site.settings.redirect_uri
    assert asked["response_mode"] == "form_post"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["nonce"]) >= 32


async def test_the_key_is_shown_once_and_a_lost_one_is_replaced(site: Site, person: Person):
    first = await person.onboard()

    await person.get(str(person.page.url))
    assert person.key == ""
    assert "The suite key was shown" in person.text
    await person.submit("another-key")

    second = person.key
    assert second
    assert second != first
    assert (await site.suite_keys.verify(second)).tenant_id == site.tenant_id()
    with pytest.raises(SuiteKeyRevoked):
        await site.suite_keys.verify(first)


async def test_a_second_account_asks_and_takes_nothing_from_the_first(site: Site, meet: Meet):
    ada, ben = await meet(), await meet()
    first = await ada.onboard()
    before = await site.tenants.load(site.tenant_id())
    kept = await site.vault.list(site.tenant_id())

    second = await ben.onboard(BEN, organisation="Another Name", contact="Ben", email="ben@contoso.example")

    assert (second, ben.heading) == ("", "Your organisation is already connected")
    assert await site.tenants.load(site.tenant_id()) == before
    assert await site.vault.list(site.tenant_id()) == kept
    assert len(await site.suite_keys.list(site.tenant_id())) == 1
    assert (await site.suite_keys.verify(first)).tenant_id == site.tenant_id()


@pytest.mark.long
async def test_reading_goes_on_with_the_standby_when_the_first_grant_is_revoked(site: Site, meet: Meet):
    ada, ben = await meet(), await meet()
    await ada.onboard()
    await ben.onboard(BEN)
    await ada.enter()
    await ada.submit_action(f"{TENANT}/requests/{site.cloud.person(BEN).oid}/accept")
    await ben.get(str(ben.page.url))
    assert ben.heading == "The relay also reads presence with your account"
    relay, tenant_id = Relay(site.store, site.vault, site.cloud), site.tenant_id()
    async with relay.working():
        await relay.watch(tenant_id, "ada@contoso.example")
        await eventually(lambda: relay.sees(tenant_id, "ada@contoso.example", "Available"))
        for account in ("presence-relay@contoso.example", BEN):
            site.cloud.set_presence("ada@contoso.example", "Busy")
            await eventually(lambda: relay.sees(tenant_id, "ada@contoso.example", "Busy"))
            site.cloud.directory.revoke(account, "sessions_revoked", access_tokens=True)
            if account == BEN:
                break
            site.cloud.set_presence("ada@contoso.example", "Away")
            await eventually(lambda: relay.sees(tenant_id, "ada@contoso.example", "Away"))
        await eventually(lambda: _is(site, TenantState.CONSENT_REQUIRED))


async def _is(site: Site, state: TenantState) -> bool:
    tenant = await site.tenants.load(site.tenant_id())
    return tenant is not None and tenant.state is state


@pytest.mark.long
async def test_onboarding_again_cures_a_tenant_whose_consent_died(site: Site, meet: Meet):
    await (await meet()).onboard()
    (grant,) = await site.vault.list(site.tenant_id())
    await site.vault.set_state(site.tenant_id(), grant.account_id, grant.version, GrantState.DEAD, "invalid_grant")
    await site.tenants.happened(site.tenant_id(), TenantEvent.LAST_GRANT_DIED)

    await (await meet()).onboard()

    (cured,) = await site.vault.list(site.tenant_id())
    assert (cured.state, cured.error, cured.created) == (GrantState.HEALTHY, "", grant.created)
    assert cured.version > grant.version
    assert await _is(site, TenantState.ACTIVE)


async def test_a_tenant_that_the_operator_suspended_stays_so_and_is_told(site: Site, meet: Meet):
    await (await meet()).onboard()
    await site.tenants.happened(site.tenant_id(), TenantEvent.SUSPENDED)
    again = await meet()

    key = await again.onboard()
    await again.overview()

    assert again.notice == "Reading is suspended"
    assert await _is(site, TenantState.SUSPENDED)
    assert key


async def test_a_tenant_of_nobody_with_a_licence_is_taken_in_and_told_so(site: Site, person: Person):
    for someone in site.cloud.world.people():
        someone.tenant.unlicensed += someone.licensed
        someone.licensed = False
    key = await person.onboard()
    assert key
    await person.overview()
    assert "Microsoft reports no presence" in person.text


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_fifty_tenants_at_once_each_get_their_own_key(
    store: Store, ring: KeyRing, cert: object, authority: object, monkeypatch: pytest.MonkeyPatch
):
    world = generate_world(tenants=50, people=8)
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(Emulator.start(Config(world=world)))
        settings = web_settings(free_port(), cert, sign_up_limits=SignUpLimits(hourly=100))  # type: ignore[arg-type]
        serving = Site.serving(settings, store, ring, cloud, client_id=BENCH_CLIENT_ID, client_secret=BENCH_SECRET)
        site = await stack.enter_async_context(serving)
        ca_pem = authority.cert_pem.bytes().decode()  # type: ignore[attr-defined]

        async def onboard(domain: str) -> str:
            async with Person.at(site, ca_pem) as person:
                return await person.onboard(f"relay@{domain}", organisation=f"Organisation of {domain}", domain=domain)

        domains = [tenant.domain for tenant in world.tenants.values()]
        keys = await asyncio.gather(*map(onboard, domains))

        assert len(set(keys)) == 50
        for domain, key in zip(domains, keys, strict=True):
            tenant_id = site.tenant_id(domain)
            assert (await site.suite_keys.verify(key)).tenant_id == tenant_id
            tenant = await site.tenants.load(tenant_id)
            assert tenant is not None
            assert (tenant.name, tenant.state) == (f"Organisation of {domain}", TenantState.ACTIVE)
            assert [grant.upn for grant in await site.vault.list(tenant_id)] == [f"relay@{domain}"]
        assert len(await site.tenants.list()) == 50
