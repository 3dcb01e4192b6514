"""The second step when it is not one person's click: an administrator agrees for everybody, somebody else gets a link, an
approval takes days, or it was the wrong account."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from redis.asyncio import Redis

from emulator import Fault
from pages.problems import PROBLEMS
from relay.http.paths import CALLBACK, ONBOARDING, TENANT
from relay.store.custody.access_requests import AccessRequests
from relay.store.sealing.invitations import Invitation, Invitations, new_token
from tests.onboarding.person import ACCOUNT, APPLICANT, CONFIRMED, TO_SIGN_IN, Person

Meet = Callable[..., Awaitable[Person]]
BEN = "ben@contoso.example"
LITWARE = {"domain": "litware.example", "organisation": "Litware"}
DAY_MS = 86_400_000


async def flow_ttl_ms(raw: Redis) -> int:
    """The longest life of a flow that is kept."""
    return max([await raw.pttl(name) for name in await raw.keys("flow:*")])


# An administrator agrees for everybody


async def test_an_administrator_agrees_for_everybody_and_then_a_user_can_sign_in(person: Person):
    await person.fill(**LITWARE)
    await person.authorize("quinn@litware.example")
    assert person.notice == PROBLEMS["admin_needed"].title
    await person.sign_out_at_microsoft()
    await person.agree_for_everybody("admin@litware.example")
    assert "an administrator consented for your organisation" in person.text
    assert await person.site.is_untouched(), "the answer proves nothing"
    await person.sign_out_at_microsoft()
    await person.authorize("quinn@litware.example")
    assert person.heading == CONFIRMED
    await person.complete()
    assert (await person.site.suite_keys.verify(person.key)).tenant_id == person.site.tenant_id("litware.example")


async def test_an_administrator_who_declines_and_a_user_who_is_none_are_told(person: Person):
    await person.fill()
    await person.agree_for_everybody(decision="decline")
    assert person.notice == PROBLEMS["declined"].title
    await person.sign_out_at_microsoft()
    await person.agree_for_everybody(BEN, decision="decline")
    assert person.notice == PROBLEMS["admin_needed"].title
    assert "AADSTS90094" in person.text
    assert await person.site.is_untouched()


@pytest.mark.fault("B18")
@pytest.mark.parametrize(
    ("answer", "notice"),
    [
        ({"error": "access_denied", "error_subcode": "cancel"}, "declined"),
        ({"error": "invalid_request", "error_description": "AADSTS900144: response_type is missing"}, "credential"),
    ],
)
async def test_a_refusal_in_the_address_without_more_belongs_to_its_flow(
    person: Person, answer: dict[str, str], notice: str
):
    """Entra answers so when it refuses a request before it has looked at all of it."""
    await person.fill(**LITWARE)
    await person.submit("admin-consent")
    state = parse_qs(urlsplit(person.microsoft_url()).query)["state"][0]
    await person.get(f"{CALLBACK}?{urlencode({**answer, 'state': state})}")
    assert PROBLEMS[notice].title in (person.notice, person.heading)
    assert re.search(rf'(action|href)="{ONBOARDING}/\w', person.page.text), "the person goes on from where they were"


@pytest.mark.fault("B18")
async def test_a_refusal_in_the_address_belongs_to_a_tenants_page_too(person: Person):
    await person.get(TENANT)
    await person.submit("tenant-sign-in")
    state = parse_qs(urlsplit(person.microsoft_url()).query)["state"][0]
    await person.get(f"{CALLBACK}?{urlencode({'error': 'access_denied', 'error_subcode': 'cancel', 'state': state})}")
    assert person.page.status_code == 400
    assert person.notice == PROBLEMS["declined"].title


async def test_a_made_up_approval_proves_nothing(person: Person, meet: Meet):
    """Its fields are in an address that anybody can write; what is kept is kept after a sign-in alone."""
    await person.fill(**LITWARE)
    await person.submit("admin-consent")
    state = parse_qs(urlsplit(person.microsoft_url()).query)["state"][0]
    forged = {"admin_consent": "True", "tenant": person.site.tenant_id("litware.example"), "state": state}
    mallory = await meet()
    await mallory.get(f"{CALLBACK}?{urlencode(forged)}")
    assert mallory.heading == PROBLEMS["unknown_sign_in"].title
    await person.get(f"{CALLBACK}?{urlencode(forged)}")
    assert person.heading != PROBLEMS["unknown_sign_in"].title, "a browser that began nothing uses nothing up"
    await person.get(f"{CALLBACK}?{urlencode(forged)}")
    assert person.heading == PROBLEMS["unknown_sign_in"].title, "it was taken once already"
    assert await person.site.is_untouched()


@pytest.mark.parametrize(
    "query",
    [
        "admin_consent=True",
        "admin_consent=True&state=x",
        "admin_consent=True&state=x&state=y",
        "admin_consent=x&" + "a=1&" * 30,
    ],
)
async def test_answers_in_an_address_that_belong_to_nothing(person: Person, query: str):
    await person.fill()
    await person.get(f"{CALLBACK}?{query}")
    assert person.page.status_code == 400


async def test_an_approval_that_takes_days_finds_the_request_as_it_was_typed(person: Person, raw: Redis):
    cloud = person.site.cloud
    tenant = cloud.world.tenant("contoso.example")
    assert tenant is not None
    tenant.user_consent = "request_approval"
    await person.fill()
    flow = str(person.page.url)
    await person.authorize(BEN)
    assert person.notice == PROBLEMS["approval_asked"].title
    assert await flow_ttl_ms(raw) > 13 * DAY_MS
    cookies = {cookie.name: cookie.expires for cookie in person.client.cookies.jar if flow[-24:] in cookie.name}
    assert len(cookies) == 2
    assert min(filter(None, cookies.values())) > 13 * 86_400
    # What is kept for days holds no secret beyond what was typed: neither Microsoft's codes and tokens nor the browser's cookie.
    held = await person.site.flow(flow.rpartition("/")[2])
    assert (held.consented, held.admitted, held.verification) == (None, None, None)

    (application,) = cloud.world.applications.values()
    cloud.directory.consent(
        "admin@contoso.example", application, {"Presence.Read.All", "User.ReadBasic.All"}, everybody=True
    )
    await person.get(flow)
    await person.authorize(BEN)
    assert person.heading == CONFIRMED
    assert await flow_ttl_ms(raw) <= 15 * 60 * 1000, "with a consent in it, it is as short-lived as any"
    await person.complete()
    assert person.key


# Somebody else gets a link


async def test_a_link_lets_somebody_else_go_on_in_another_browser_once(meet: Meet, raw: Redis):
    ada, ben, eve = await meet(), await meet(), await meet()
    await ada.fill()
    await ada.submit("invite")
    link = ada.link
    assert link.startswith(f"{ada.site.url}/onboarding/invitation/")
    (kept,) = await raw.keys("invitation:*")
    assert 13 * DAY_MS < await raw.pttl(kept) <= 14 * DAY_MS
    assert await flow_ttl_ms(raw) > 13 * DAY_MS

    for person in (ben, eve):
        await person.get(link)
        assert person.heading == "Help to connect Contoso Ltd"
    await ben.submit("invited")
    assert ben.heading == TO_SIGN_IN
    await eve.submit("invited")
    assert (eve.page.status_code, eve.heading) == (404, PROBLEMS["link_gone"].title)

    await ben.authorize(BEN)
    await ben.complete()
    assert (await ben.site.suite_keys.verify(ben.key)).tenant_id == ben.site.tenant_id()
    tenant = await ben.site.tenants.load(ben.site.tenant_id())
    assert tenant is not None
    assert tenant.settings["contact_name"] == APPLICANT["contact"]
    await ada.get(str(ada.page.url))
    assert "Someone used your link" in ada.text


async def test_many_that_use_a_link_at_once_begin_one_request(meet: Meet, raw: Redis):
    ada = await meet()
    await ada.fill()
    await ada.submit("invite")
    people = [await meet() for _ in range(4)]
    for person in people:
        await person.get(ada.link)
    before = len(await raw.keys("flow:*"))
    await asyncio.gather(*(person.submit("invited") for person in people))
    assert sorted(person.page.status_code for person in people) == [200, 404, 404, 404]
    assert len(await raw.keys("flow:*")) == before + 1


async def test_another_link_ends_the_one_before(meet: Meet):
    ada, ben = await meet(), await meet()
    await ada.fill()
    page = ada.page
    await ada.submit("invite")
    first = ada.link
    ada.page = page
    await ada.submit("invite")
    assert ada.link != first
    await ben.get(first)
    assert ben.heading == PROBLEMS["link_gone"].title
    await ben.get(ada.link)
    assert ben.heading == "Help to connect Contoso Ltd"


@pytest.mark.parametrize("token", ["x", "%00", "a" * 5000, "<script>alert(1)</script>", "..%2f..%2fkey"])
async def test_links_that_never_were(person: Person, token: str):
    await person.get(f"/onboarding/invitation/{token}")
    assert person.page.status_code == 404
    assert "<script>alert" not in person.page.text


async def test_a_link_to_one_organisation_is_no_good_for_another(meet: Meet):
    """Whoever opens it signs in with an account of another tenant: refused, as without a link."""
    ada, mia = await meet(), await meet()
    await ada.fill()
    await ada.submit("invite")
    await mia.get(ada.link)
    await mia.submit("invited", domain="fabrikam.example", organisation="Fabrikam")
    await mia.authorize("mia@fabrikam.example")
    assert mia.notice == PROBLEMS["other_tenant"].title
    assert await mia.site.is_untouched()


# Is this the account?


async def test_the_wrong_account_is_changed_before_anything_is_kept(person: Person):
    await person.fill()
    await person.authorize(BEN)
    assert f"You signed in as {BEN}" in person.text
    await person.sign_out_at_microsoft()
    await person.authorize(ACCOUNT)
    assert f"You signed in as {ACCOUNT}" in person.text
    assert await person.site.is_untouched()
    await person.complete()
    grants = await person.site.vault.list(person.site.tenant_id())
    assert [grant.upn for grant in grants] == [ACCOUNT]


async def test_yes_twice_while_the_proof_is_at_work_is_one_proof(person: Person):
    await person.fill()
    await person.authorize()
    person.site.cloud.add_fault(Fault(path="/v1.0/users", latency_ms=300))
    first = person.page
    await person.submit("confirm")
    person.page = first
    await person.submit("confirm")
    await person.follow()
    assert "is connected" in person.heading
    assert len(await person.site.suite_keys.list(person.site.tenant_id())) == 1


async def test_another_account_chosen_while_the_proof_is_at_work_ends_it_before_anything_is_kept(person: Person):
    await person.fill()
    await person.authorize(BEN)
    person.site.cloud.add_fault(Fault(path="/v1.0/users", latency_ms=1500))
    first = person.page
    await person.submit("confirm")
    person.page = first
    await person.sign_out_at_microsoft()
    await person.authorize(ACCOUNT)
    person.site.cloud.faults.remove()
    assert f"You signed in as {ACCOUNT}" in person.text
    await person.complete()
    grants = await person.site.vault.list(person.site.tenant_id())
    assert [grant.upn for grant in grants] == [ACCOUNT]


async def test_advice_names_the_addresses_that_the_relay_comes_from(
    start_site: Callable[..., Awaitable[object]], meet: Meet
):
    site = await start_site(egress_addresses=("192.0.2.10", "192.0.2.11"), heartbeat_timeout=timedelta(seconds=1))
    person = await meet(site)
    await person.fill()
    assert "192.0.2.10" in person.text
    assert "192.0.2.11" in person.text


async def test_of_two_administrators_at_once_one_connects_and_the_other_asks(meet: Meet):
    ada, ben = await meet(), await meet()
    for person in (ada, ben):
        await person.fill()
    await asyncio.gather(ada.authorize(ACCOUNT), ben.authorize(BEN))
    await asyncio.gather(ada.complete(), ben.complete())
    site = ada.site
    (key,) = filter(None, (ada.key, ben.key))
    assert (await site.suite_keys.verify(key)).tenant_id == site.tenant_id()
    (grant,) = await site.vault.list(site.tenant_id())
    (asked,) = await AccessRequests(site.store, site.ring).list(site.tenant_id())
    assert {grant.upn, asked.upn} == {ACCOUNT, BEN}
    assert len(await site.tenants.list()) == 1


async def test_what_was_typed_is_shown_as_it_was_typed_to_whoever_opens_the_link(meet: Meet):
    ada, ben = await meet(), await meet()
    await ada.fill(organisation="<script>alert(1)</script>{{7*7}}", contact='"><img src=x onerror=alert(2)>')
    await ada.submit("invite")
    await ben.get(ada.link)
    assert ben.page.status_code == 200
    assert "<script>alert" not in ben.page.text
    assert "<img src=x" not in ben.page.text
    assert "{{7*7}}" in ben.page.text
    await ben.submit("invited", token="x" * 43)
    assert ben.heading == PROBLEMS["form_stale"].title
    await ben.get(ada.link)
    await ben.submit("invited", organisation="x" * 1_000_000)
    assert ben.heading == PROBLEMS["too_large"].title


async def test_whoever_opens_an_operators_link_types_only_what_the_operator_left_open(meet: Meet):
    person = await meet()
    site, token = person.site, new_token()
    invitation = Invitation(
        domain="contoso.example", tenant_id=site.tenant_id(), organisation="Contoso SpA", contact="", email="",
        expires=datetime.now(UTC) + timedelta(days=1), word_ms=1,
    )  # fmt: skip
    await Invitations(site.store, site.ring).put(token, invitation)
    await person.get(f"/onboarding/invitation/{token}")
    assert person.page.text.count(" readonly") == 2, "domain and organisation"
    asked = site.cloud.journal.total
    changes = {"domain": "fabrikam.example", "organisation": "Fabrikam", "contact": "Ben", "email": "not an address"}
    await person.submit("start", **changes)
    assert (person.page.status_code, person.page.text.count(" readonly")) == (422, 2)
    await person.submit("start", **{**changes, "email": "ben@contoso.example"})
    assert person.heading == "Let the relay read presence in Contoso SpA"
    flow = await site.flow(str(person.page.url).rpartition("/")[2])
    assert (flow.applicant.domain, flow.applicant.contact, flow.tenant_id) == (
        "contoso.example", "Ben", site.tenant_id(),
    )  # fmt: skip
    assert site.cloud.journal.total == asked, "the link knows the tenant: Microsoft is not asked"
