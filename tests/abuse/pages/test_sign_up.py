"""Who becomes a tenant is the operator's choice, and a removal lasts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import trustme

from emulator import Cloud
from onboarding.wizard.domains import DomainLimits, Domains
from pages.problems import PROBLEMS
from relay.core.audit.events import Actor
from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import SignUp, TenantEvent, TenantState
from relay.core.names import normalise
from relay.errors import SourceUnreachable
from relay.graph.client import GraphClient
from relay.http.paths import TENANT
from relay.store.custody.sign_ups import SignUpLimits, SignUps
from relay.store.custody.suite_keys import TenantWaits
from relay.store.custody.turned_away import TurnedAway, now_ms
from relay.store.presence.interest import Interest
from relay.store.sealing.invitations import Invitation, Invitations, new_token
from tests.graph.conftest import settings_for
from tests.onboarding.conftest import relay_at_work
from tests.onboarding.person import ACCOUNT, APPLICANT, TO_SIGN_IN, Person
from tests.onboarding.site import Site
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from datetime import datetime

pytestmark = [pytest.mark.finding(7), pytest.mark.long]

Meet = Callable[..., Awaitable[Person]]
Start = Callable[..., Awaitable[Site]]
FABRIKAM = {"organisation": "Fabrikam", "domain": "fabrikam.example", "email": "ada@fabrikam.example"}


async def wizard(person: Person, account: str = ACCOUNT, **changes: str) -> None:
    """From the first form to the end of the proof."""
    await person.fill(**changes)
    await person.authorize(account)
    await person.confirm()


async def invitation_of(site: Site) -> str:
    """The operator's link for Contoso."""
    token = new_token()
    invitation = Invitation(
        domain="contoso.example", tenant_id=site.tenant_id(), organisation=APPLICANT["organisation"],
        contact=APPLICANT["contact"], email=APPLICANT["email"], expires=_in_a_day(), word_ms=now_ms(),
    )  # fmt: skip
    await Invitations(site.store, site.ring).put(token, invitation)
    return f"/onboarding/invitation/{token}"


def _in_a_day() -> datetime:
    from datetime import UTC, datetime

    return datetime.now(UTC) + timedelta(days=1)


async def test_whoever_signs_up_waits_and_gets_no_key_until_the_operator_approves(start_site: Start, meet: Meet):
    site = await start_site(sign_up=SignUp.APPROVAL)
    person = await meet(site)
    await wizard(person)
    assert "waits for approval" in person.heading
    assert "Northwind Presence" in person.text
    tenant = await site.tenants.load(site.tenant_id())
    assert tenant is not None
    assert tenant.state is TenantState.PENDING
    assert await site.suite_keys.list(tenant.tenant_id) == []
    flow = str(person.page.url)
    for path in (f"{flow}/key", f"{TENANT}/suites/key"):
        await person.get(path)
        assert "psk_" not in person.page.text
    token = re.search(r'name="token" value="([^"]+)"', (await person.get("/onboarding")).text)
    assert token
    await person.client.post(f"{flow}/key", data={"token": token[1]}, headers={"origin": site.url})
    with pytest.raises(TenantWaits):
        await site.suite_keys.issue(tenant.tenant_id, "desk")
    assert await site.suite_keys.list(tenant.tenant_id) == []

    assert await site.tenants.approve(tenant.tenant_id)
    await person.get(flow)
    assert "is approved" in person.heading
    await site.suite_keys.issue(tenant.tenant_id, "desk")
    assert not await site.tenants.approve(tenant.tenant_id), "once"


async def test_of_an_approval_and_a_refusal_at_once_one_happens(start_site: Start, meet: Meet):
    site = await start_site(sign_up=SignUp.APPROVAL)
    await wizard(await meet(site))
    tenants, tenant_id = site.tenants, site.tenant_id()
    done = await asyncio.gather(
        *(one for _ in range(5) for one in (tenants.approve(tenant_id), tenants.refuse(tenant_id)))
    )
    tenant, mark = await tenants.load(tenant_id), await TurnedAway(site.store).load(tenant_id)
    assert any(done)
    assert (tenant is None) is (mark is not None)
    assert tenant is None or tenant.state is TenantState.ACTIVE
    assert (await site.vault.list(tenant_id) == []) is (tenant is None)


async def test_a_removed_tenant_comes_back_by_none_of_its_peoples_ways(start_site: Start, meet: Meet):
    """The wizard, one that was begun before, its own link to somebody else, and the tenant's page."""
    site = await start_site(sign_up=SignUp.OPEN)
    tenant_id = site.tenant_id()
    first = await meet(site)
    await wizard(first)
    begun = await meet(site)
    await begun.fill()
    await begun.authorize("ada@contoso.example")
    linking = await meet(site)
    await linking.fill()
    await linking.submit("invite")
    link = linking.link
    await site.tenants.remove(tenant_id, reason="The contract has ended.")

    await begun.confirm()
    assert PROBLEMS["turned_away"].title in begun.text
    assert "Sign in again" not in begun.text, "it would lead nowhere"
    again = await meet(site)
    await again.fill()
    await again.authorize()
    assert "The contract has ended." in again.text
    ben = await meet(site)
    await ben.get(link)
    await ben.submit("invited")
    assert ben.heading == TO_SIGN_IN
    await ben.authorize("ben@contoso.example")
    assert PROBLEMS["turned_away"].title in ben.text
    assert await site.tenants.load(tenant_id) is None
    assert await site.vault.list(tenant_id) == []

    await ben.get(await invitation_of(site))
    await ben.submit("invited")
    await ben.authorize()
    await ben.complete()
    assert (await site.suite_keys.verify(ben.key)).tenant_id == tenant_id, "the operator's newer word lifts it"


async def test_an_invitation_from_before_the_removal_lifts_nothing(start_site: Start, meet: Meet):
    site = await start_site(sign_up=SignUp.INVITED)
    link = await invitation_of(site)
    person = await meet(site)
    await person.get(link)
    await site.tenants.remove(site.tenant_id())
    await person.submit("invited")
    await person.authorize()
    assert PROBLEMS["turned_away"].title in person.text
    assert await site.tenants.load(site.tenant_id()) is None


async def test_a_tenant_that_left_by_itself_may_come_back(start_site: Start, meet: Meet):
    site = await start_site(sign_up=SignUp.OPEN)
    await wizard(await meet(site))
    await site.tenants.remove(site.tenant_id(), Actor.account("ada@contoso.example", "1"))
    again = await meet(site)
    await again.onboard()
    assert (await site.suite_keys.verify(again.key)).tenant_id == site.tenant_id()


async def test_without_an_invitation_nothing_begins_and_the_page_says_whom_to_ask(start_site: Start, meet: Meet):
    site = await start_site(sign_up=SignUp.INVITED)
    person = await meet(site)
    await person.get("/onboarding")
    assert (person.page.status_code, person.heading) == (403, "You need an invitation")
    assert "ask Northwind Presence" in person.text
    assert "help@northwind.example" in person.text
    page = await person.client.post(f"{site.url}/onboarding", data=APPLICANT, headers={"origin": site.url})
    assert page.status_code == 403
    assert await site.is_untouched()
    await person.get(await invitation_of(site))
    await person.submit("invited")
    await person.authorize()
    await person.complete()
    tenant = await site.tenants.load(site.tenant_id())
    assert tenant is not None
    assert tenant.state is TenantState.ACTIVE


async def test_those_that_come_by_themselves_are_bounded_and_whoever_is_invited_comes_in(start_site: Start, meet: Meet):
    site = await start_site(sign_up=SignUp.APPROVAL, sign_up_limits=SignUpLimits(hourly=10, pending=1))
    flood = await meet(site)
    await wizard(flood, "presence-relay@fabrikam.example", **FABRIKAM)
    person = await meet(site)
    await wizard(person)
    assert PROBLEMS["sign_up_limit_reached"].title in person.text
    assert await site.tenants.load(site.tenant_id()) is None
    await person.get(await invitation_of(site))
    await person.submit("invited")
    await person.authorize()
    await person.complete()
    assert await site.suite_keys.verify(person.key)


async def test_who_waits_for_too_long_is_forgotten_and_may_ask_again(start_site: Start, meet: Meet):
    limits = SignUpLimits(waits=timedelta(milliseconds=1))
    site = await start_site(sign_up=SignUp.APPROVAL, sign_up_limits=limits)
    await wizard(await meet(site))
    later = await start_site(sign_up=SignUp.APPROVAL)  # another process looks as it starts
    async with asyncio.timeout(30):
        while await site.tenants.load(site.tenant_id()) is not None:  # noqa: ASYNC110  the other process says nothing
            await asyncio.sleep(0.02)
    assert await site.vault.list(site.tenant_id()) == []
    person = await meet(later)
    await wizard(person)
    assert "waits for approval" in person.heading


@pytest.mark.parametrize("form_id", ["cure", "add"])
async def test_a_consent_that_comes_back_after_the_removal_brings_nothing_back(
    start_site: Start, meet: Meet, form_id: str
):
    """The manager is at Microsoft already, to cure the last account or to add a standby, when the operator removes the tenant."""
    site = await start_site(sign_up=SignUp.OPEN)
    tenant_id, person = site.tenant_id(), await meet(site)
    await person.onboard()
    (grant,) = await site.vault.list(tenant_id)
    if form_id == "cure":
        await site.vault.set_state(tenant_id, grant.account_id, grant.version, GrantState.DEAD, "invalid_grant")
        await site.tenants.happened(tenant_id, TenantEvent.LAST_GRANT_DIED)
    await person.enter()
    await person.submit(form_id)
    await person.get(person.microsoft_url())
    answer = await person.sign_in(ACCOUNT if form_id == "cure" else "ben@contoso.example")
    await site.tenants.remove(tenant_id)
    await person.answer(answer)
    assert await site.tenants.load(tenant_id) is None
    assert await site.vault.list(tenant_id) == []
    assert await TurnedAway(site.store).load(tenant_id) is not None


async def test_of_many_that_come_by_themselves_within_an_hour_as_many_as_the_bound_are_taken_in(
    start_site: Start, meet: Meet
):
    site = await start_site(sign_up=SignUp.OPEN, sign_up_limits=SignUpLimits(hourly=1))
    people = [await meet(site) for _ in range(2)]
    for person, account, changes in zip(
        people, (ACCOUNT, "presence-relay@fabrikam.example"), ({}, FABRIKAM), strict=True
    ):
        await person.fill(**changes)
        await person.authorize(account)
    await asyncio.gather(*(person.confirm() for person in people))
    assert len(await site.tenants.list()) == 1
    assert sum(PROBLEMS["sign_up_limit_reached"].title in person.text for person in people) == 1
    sign_ups = SignUps(site.store, SignUpLimits(hourly=1))
    again = (await site.tenants.list())[0].tenant_id
    await sign_ups.take(again, waits=False)  # a tenant counts once


async def test_a_worker_reads_nothing_of_a_tenant_that_waits(
    start_site: Start, meet: Meet, authority: trustme.CA, cert: trustme.LeafCert
):
    """Counted by Microsoft's side, with another tenant read by the same worker meanwhile."""
    site = await start_site(sign_up=SignUp.APPROVAL)
    await wizard(await meet(site))
    other = await meet(site)
    await wizard(other, "presence-relay@fabrikam.example", **FABRIKAM)
    fabrikam = site.tenant_id("fabrikam.example")
    await site.tenants.approve(fabrikam)
    asked = site.cloud.journal.total
    for tenant_id in (site.tenant_id(), fabrikam):
        names = [name for one in ("ada", "ben", "mia") if (name := normalise(f"{one}@{_domain(site, tenant_id)}"))]
        await Interest(site.store).add(tenant_id, "edge-1", names)
    async with relay_at_work(site, authority, cert):
        await eventually(lambda: len(site.cloud.journal.search(path="Presences", tenant=fabrikam, after=asked)) > 3)
    assert site.cloud.journal.search(tenant=site.tenant_id(), after=asked) == []


def _domain(site: Site, tenant_id: str) -> str:
    return "contoso.example" if tenant_id == site.tenant_id() else "fabrikam.example"


async def test_made_up_domains_cost_microsoft_a_bounded_number_of_questions(cloud: Cloud):
    """Two hundred at once, and each once more: few at a time, none twice, and beyond the queue an answer at once."""
    under_way, most = 0, 0

    class Counted(GraphClient):
        async def fetch(self, url: str) -> bytes:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            try:
                return await super().fetch(url)
            finally:
                under_way -= 1

    async with Counted(settings_for(cloud)) as client:
        domains = Domains(client, DomainLimits(at_once=3, waiting=20, kept=30))
        made_up = [f"made-up-{n}.example" for n in range(20)]
        flood = await asyncio.gather(
            *(domains.tenant_of(one) for _ in range(10) for one in made_up), return_exceptions=True
        )
        assert flood[:20] == [None] * 20
        assert {type(one) for one in flood[20:]} == {SourceUnreachable}
        assert (most, len(cloud.journal)) == (3, 20)
        assert [await domains.tenant_of(one) for one in made_up] == [None] * 20
        assert len(cloud.journal) == 20, "what was answered is not asked again"
        for n in range(40):
            await domains.tenant_of(f"more-{n}.example")
        assert len(domains) == 30
        assert await domains.tenant_of("contoso.example") is not None
