"""Who gets to the tenant's page, and what a session is good for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from redis.asyncio import Redis

from emulator import Fault
from onboarding.cookies import TENANT_COOKIES
from onboarding.tenant.sessions import IDLE, LONGEST, Session
from pages.browser_secrets import fingerprint
from pages.problems import PROBLEMS
from pages.settings import RateLimits
from relay.core.audit.events import OPERATOR
from relay.http.paths import CALLBACK, TENANT
from relay.store.custody.managers import Managers
from relay.store.sealing.short_lived import Flows
from tests.emulator.driver import form
from tests.onboarding.person import ACCOUNT, Person
from tests.onboarding.site import Site

Meet = Callable[..., Awaitable[Person]]

OTHERS = "You cannot open this page"
UNKNOWN = "Your organisation is not connected"
SIGN_IN = "Your organisation’s page"


@pytest.fixture
async def connected(site: Site, meet: Meet) -> Site:
    """Contoso is connected; Ada is the contact, the service account has the grant."""
    await (await meet()).connect()
    return site


def cookie(person: Person, name: str) -> str:
    return next((each.value or "" for each in person.client.cookies.jar if each.name == name), "")


def give(person: Person, name: str, value: str) -> None:
    """Put a cookie into a browser."""
    for each in list(person.client.cookies.jar):
        if each.name == name:
            person.client.cookies.jar.clear(each.domain, each.path, each.name)
    person.client.cookies.set(name, value, domain="localhost.local", path="/")


# Who may open it


async def test_the_account_with_the_grant_and_the_contact_get_in(connected: Site, meet: Meet):
    for account in (ACCOUNT, "ada@contoso.example"):
        person = await meet()
        await person.enter(account)
        assert (person.page.status_code, person.heading) == (200, "Contoso Ltd")
        assert account in person.text
        assert str(person.page.url) == connected.url + TENANT


@pytest.mark.parametrize(
    ("who", "heading"),
    [
        ("ben@contoso.example", OTHERS),  # a user without any role
        ("admin@contoso.example", OTHERS),  # an administrator who neither granted nor is the contact
        ("olga@fabrikam.example", UNKNOWN),  # an account of another tenant
        ("mia@fabrikam.example", UNKNOWN),  # a guest, whom Microsoft signs in at home
    ],
)
async def test_everybody_else_is_told_who_may_and_how_to_become_one(
    connected: Site, person: Person, who: str, heading: str
):
    await person.enter(who)
    assert (person.page.status_code, person.heading) == (403, heading)
    assert "Who can open this page" in person.text
    assert "How to get access" in person.text
    assert who in person.text
    assert "Contoso Ltd" not in person.text


async def test_a_personal_account_is_told_so(connected: Site, person: Person):
    connected.cloud.set_switches(personal_accounts="admitted")
    await person.enter("pat@outlook.example")
    assert person.heading == SIGN_IN
    assert person.notice == PROBLEMS["personal_account"].title
    assert not cookie(person, TENANT_COOKIES.session)


async def test_whoever_closes_microsofts_page_is_offered_another_try(connected: Site, person: Person):
    await person.to_sign_in()
    state = parse_qs(urlsplit(str(person.page.url)).query)["state"][0]
    await person.answer({"state": state, "error": "access_denied", "error_subcode": "cancel"})
    assert (person.page.status_code, person.notice) == (400, PROBLEMS["declined"].title)
    await person.submit("tenant-sign-in")
    assert person.microsoft_url()


async def test_a_guest_who_signs_in_to_this_very_tenant_is_not_the_contact(connected: Site, person: Person):
    """The name in a guest's token is of another tenant, whose administrators give it out."""
    tenant = await connected.tenants.load(connected.tenant_id())
    assert tenant is not None
    changed = {**tenant.settings, "contact_email": "mia@fabrikam.example"}
    await connected.tenants.put(replace(tenant, settings=changed))
    await person.get(TENANT)
    await person.submit("tenant-sign-in")
    here = person.microsoft_url().replace("/organizations/", f"/{connected.tenant_id()}/")
    person.page = await person.client.get(here)
    await person.answer(await person.sign_in("mia@fabrikam.example"))
    assert person.page.status_code in (400, 403)
    assert "Contoso Ltd" not in person.text


async def test_only_who_somebody_is_is_asked_and_no_token_is_kept(connected: Site, person: Person, raw: Redis):
    await person.get(TENANT)
    await person.submit("tenant-sign-in")
    asked = parse_qs(urlsplit(person.microsoft_url()).query)
    assert set(asked["scope"][0].split()) == {"openid", "profile"}
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["nonce"]
    await person.enter()
    held = await Flows(connected.store, connected.ring).load(
        f"session:{fingerprint(cookie(person, TENANT_COOKIES.session))}"
    )
    assert held is not None
    assert "token" not in held.content.lower()
    assert set(msgspec.json.decode(held.content)) == set(Session.__struct_fields__)


async def test_no_right_no_more_the_page_is_closed_at_once(connected: Site, meet: Meet):
    person, ada = await meet(), await meet()
    await person.enter_at_once()
    await ada.enter("ada@contoso.example")
    managers = Managers(connected.store)
    mine = next(one for one in await managers.list(connected.tenant_id()) if one.upn == ACCOUNT)
    (grant,) = await connected.vault.list(connected.tenant_id())
    await managers.remove(connected.tenant_id(), mine, OPERATOR)
    await person.get(TENANT)
    assert (person.page.status_code, person.heading) == (200, "Your account")
    await connected.vault.remove(connected.tenant_id(), grant.account_id)
    await person.get(TENANT)
    assert (person.page.status_code, person.heading) == (403, OTHERS)


async def test_a_tenant_that_left_has_no_page(connected: Site, person: Person):
    await person.enter_at_once()
    await connected.tenants.remove(connected.tenant_id())
    await person.get(TENANT)
    assert (person.page.status_code, person.heading) == (403, UNKNOWN)


# Sessions


async def test_a_session_is_a_new_one_whatever_the_browser_had_before(connected: Site, meet: Meet):
    """Session fixation: what was planted opens nothing, and signing in again makes what was known worthless to nobody."""
    mallory, ada = await meet(), await meet()
    await mallory.enter()
    known = cookie(mallory, TENANT_COOKIES.session)
    give(ada, TENANT_COOKIES.session, "f" * 43)
    await ada.enter("ada@contoso.example")
    assert len({"f" * 43, known, cookie(ada, TENANT_COOKIES.session)}) == 3
    give(mallory, TENANT_COOKIES.session, "f" * 43)
    await mallory.get(TENANT)
    assert mallory.heading == SIGN_IN


async def test_signing_out_ends_the_session_in_the_store_too(connected: Site, meet: Meet):
    person, other = await meet(), await meet()
    await person.enter_at_once()
    secret = cookie(person, TENANT_COOKIES.session)
    await person.submit("sign-out")
    assert "You are signed out" in person.text
    assert not cookie(person, TENANT_COOKIES.session)
    give(other, TENANT_COOKIES.session, secret)
    await other.get(TENANT)
    assert other.heading == SIGN_IN


async def test_an_address_opens_nothing_in_another_browser(connected: Site, meet: Meet):
    ada, mallory = await meet(), await meet()
    await ada.enter_at_once()
    await mallory.get(str(ada.page.url))
    assert mallory.heading == SIGN_IN
    _, fields = form(ada.page.text, "sign-out")
    mallory.page = await mallory.client.post(f"{connected.url}{TENANT}/sign-out", data=fields)
    await ada.get(TENANT)
    assert ada.heading == "Contoso Ltd"


async def test_a_session_ends_when_nobody_is_there_and_after_a_working_day(connected: Site, person: Person, raw: Redis):
    before = set(await raw.keys("flow:*"))
    await person.enter()
    (name,) = set(await raw.keys("flow:*")) - before
    assert 0 < await raw.pttl(name) <= IDLE.total_seconds() * 1000
    await raw.pexpire(name, 5000)
    await person.get(TENANT)
    assert await raw.pttl(name) > 5000
    flows = Flows(connected.store, connected.ring)
    kept = await flows.load(f"session:{fingerprint(cookie(person, TENANT_COOKIES.session))}")
    assert kept is not None
    old = msgspec.json.decode(kept.content) | {"began_s": time.time() - LONGEST.total_seconds()}
    await flows.replace(kept, msgspec.json.encode(old).decode())
    await person.get(TENANT)
    assert person.heading == SIGN_IN
    assert not await raw.exists(name)


async def test_an_expired_session_carries_nothing_out_and_says_so(connected: Site, person: Person, raw: Redis):
    await person.enter()
    await raw.delete(*await raw.keys("flow:*"))
    page = person.page
    await person.get(TENANT)
    assert person.heading == SIGN_IN
    person.page = page
    await person.submit("sign-out")
    assert "You are signed out" in person.text


async def test_the_cookies_are_bound_to_the_host_and_hidden_from_scripts(connected: Site, person: Person):
    await person.get(TENANT)
    sent = await person.submit("tenant-sign-in")
    (returning,) = [each for each in sent.headers.get_list("set-cookie") if each.startswith(TENANT_COOKIES.returning)]
    person.page = await person.client.get(person.microsoft_url())
    answered = await person.answer(await person.sign_in())
    (session,) = [
        each
        for each in answered.history[0].headers.get_list("set-cookie")
        if each.startswith(TENANT_COOKIES.session + "=")
    ]
    for each, site in ((returning, "None"), (session, "Lax")):
        attributes = {part.strip() for part in each.split(";")[1:]}
        assert {"Path=/", "Secure", "HttpOnly", f"SameSite={site}"} < attributes
    assert f"Max-Age={int(LONGEST.total_seconds())}" in session


async def test_no_secret_of_a_session_is_in_the_store(connected: Site, person: Person, raw: Redis):
    await person.enter()
    dump = "\n".join([str(await raw.dump(name)) for name in await raw.keys("*")])
    for secret in (cookie(person, TENANT_COOKIES.session), cookie(person, TENANT_COOKIES.returning)):
        assert len(secret) == 43
        assert secret not in dump


# Microsoft's answers


async def test_login_csrf_an_answer_brought_by_another_browser_is_refused(connected: Site, meet: Meet):
    ada, mallory = await meet(), await meet()
    await mallory.to_sign_in()
    answer = await mallory.sign_in()
    await ada.to_sign_in()
    await ada.answer(answer)
    assert (ada.page.status_code, ada.notice) == (400, PROBLEMS["sign_in_stale"].title)
    assert not cookie(ada, TENANT_COOKIES.session)
    await mallory.answer(answer)
    assert mallory.notice == PROBLEMS["sign_in_stale"].title, "it was used up"


async def test_an_answer_counts_once(connected: Site, person: Person):
    await person.to_sign_in()
    answer = await person.sign_in()
    url = f"{connected.url}{CALLBACK}"
    pages = await asyncio.gather(*(person.client.post(url, data=answer) for _ in range(4)))
    assert sorted(page.status_code for page in pages) == [200, 400, 400, 400]


async def test_an_answer_to_one_kind_of_sign_in_is_none_to_the_other(connected: Site, meet: Meet):
    onboarding, signing_in = await meet(), await meet()
    await onboarding.fill()
    await onboarding.leave()
    theirs = await onboarding.sign_in()
    await signing_in.to_sign_in()
    ours = await signing_in.sign_in()
    await signing_in.answer({**ours, "state": theirs["state"]})
    assert not cookie(signing_in, TENANT_COOKIES.session)
    await onboarding.answer({**theirs, "state": ours["state"]})
    assert not cookie(onboarding, TENANT_COOKIES.session)


@pytest.mark.parametrize(
    "change",
    [
        {"code": ""},
        {"code": "1.forged"},
        {"state": "tenant.x"},
        {"state": "tenant." + "x" * 5000},
        {"state": "tenant.\x00"},
    ],
)
async def test_an_answer_that_was_changed_on_the_way_signs_nobody_in(
    connected: Site, person: Person, change: dict[str, str]
):
    await person.to_sign_in()
    await person.answer({**(await person.sign_in()), **change})
    assert person.page.status_code == 400
    assert person.notice
    assert not cookie(person, TENANT_COOKIES.session)


async def test_entra_away_is_told_and_nothing_is_lost(connected: Site, person: Person):
    await person.to_sign_in()
    answer = await person.sign_in()
    fault = connected.cloud.add_fault(Fault(contains="oauth2/v2.0/token", status=503))
    await person.answer(answer)
    assert (person.page.status_code, person.notice) == (503, PROBLEMS["microsoft_away"].title)
    connected.cloud.faults.remove(fault.id)
    await person.enter_at_once()
    assert person.heading == "Contoso Ltd"


# Forms from elsewhere


@pytest.mark.parametrize("step", ["sign-in", "sign-out"])
@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}])
async def test_forms_sent_from_elsewhere_are_refused(
    connected: Site, person: Person, step: str, headers: dict[str, str]
):
    await person.enter_at_once()
    _, fields = form(person.page.text, "sign-out")
    person.page = await person.client.post(f"{connected.url}{TENANT}/{step}", data=fields, headers=headers)
    assert (person.page.status_code, person.heading) == (403, PROBLEMS["form_stale"].title)
    await person.get(TENANT)
    assert person.heading == "Contoso Ltd"


async def test_a_form_without_its_token_does_nothing(connected: Site, person: Person):
    await person.enter()
    for step in ("sign-in", "sign-out"):
        for token in ("", "x", "x" * 100_000):
            person.page = await person.client.post(f"{connected.url}{TENANT}/{step}", data={"token": token})
            assert person.page.status_code in (403, 413)
    await person.get(TENANT)
    assert person.heading == "Contoso Ltd"


async def test_sign_ins_of_one_address_are_slowed_down(start_site: Callable[..., Awaitable[Site]], meet: Meet):
    person = await meet(await start_site(rate_limits=RateLimits(requests=100, sign_ins=3)))
    for _ in range(4):
        await person.get(TENANT)
        await person.submit("tenant-sign-in")
    assert (person.page.status_code, person.heading) == (429, "Wait a moment")
