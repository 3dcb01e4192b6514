"""Ben is an employee of Contoso without a role. He tries every way to manage it; all end in a request or a refusal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from relay.core.audit.events import OPERATOR, EventKind
from relay.http.paths import TENANT
from relay.store.custody.access_requests import AccessRequests, RequestState
from relay.store.custody.audit import AuditLog
from relay.store.custody.managers import CLAIM_LASTS, Managers
from relay.store.server import keys as layout
from tests.onboarding.person import ACCOUNT, Person
from tests.onboarding.site import Site

Meet = Callable[..., Awaitable[Person]]

pytestmark = [pytest.mark.finding(1), pytest.mark.long]

ADA, BEN, CHLOE = "ada@contoso.example", "ben@contoso.example", "chloe@contoso.example"
DEEDS = (
    ("POST", "/accounts/add"),
    ("POST", "/accounts/{service}/renew"),
    ("POST", "/accounts/{service}/replace"),
    ("POST", "/accounts/{service}/withdraw"),
    ("POST", "/managers/add"),
    ("POST", "/managers/{service}/end"),
    ("POST", "/requests/{ben}/accept"),
    ("POST", "/suites/new"),
    ("POST", "/settings/watching"),
    ("POST", "/settings/contact"),
    ("POST", "/leave"),
    ("POST", "/diagnostics/watch"),
    ("GET", "/suites"),
    ("GET", "/settings"),
    ("GET", "/diagnostics"),
    ("GET", "/users"),
    ("GET", "/log"),
    ("GET", "/log/export.csv"),
    ("GET", "/leave"),
)
"""What somebody who manages a tenant does; the rest of the routes is held by `test_tenant_access`."""


@pytest.fixture
async def contoso(site: Site, meet: Meet) -> AsyncIterator[Site]:
    """Contoso is connected by its service account, Ada is the contact, and nobody may watch Eve. All of it stays so."""
    await (await meet()).connect()
    await site.tenants.change_settings(site.tenant_id(), {"watch_never": "eve@contoso.example"}, OPERATOR)
    before = await site.tenants.load(site.tenant_id())
    keys = await site.suite_keys.list(site.tenant_id())
    yield site
    assert await site.tenants.load(site.tenant_id()) == before, "the organisation is as it was"
    assert {key.key_id for key in await site.suite_keys.list(site.tenant_id())} == {key.key_id for key in keys}
    assert BEN not in {one.upn for one in await Managers(site.store).list(site.tenant_id())}


async def can_do_nothing(ben: Person) -> None:
    """Whatever Ben sends with the session that he has is refused."""
    oid = {name: ben.site.cloud.person(upn).oid for name, upn in (("service", ACCOUNT), ("ben", BEN))}
    await ben.get(TENANT)
    found = re.search(r'name="token" value="([^"]+)"', ben.page.text.rpartition('id="sign-out"')[2])
    assert found
    for method, path in DEEDS:
        url = f"{ben.site.url}{TENANT}{path.format(**oid)}"
        data = {"token": found[1], "label": "mine", "name": BEN, "domain": "contoso.example", "watch_never": ""}
        if method == "GET":
            answer = await ben.client.get(url)
        else:
            answer = await ben.client.post(url, data=data, headers={"origin": ben.site.url})
        assert answer.status_code == 403, (path, answer.status_code)
        assert "psk_" not in answer.text


async def kinds(site: Site) -> list[tuple[EventKind, str]]:
    """What the log tells, and of whom, newest first."""
    page = await AuditLog(site.store).page(site.tenant_id(), watches=False)
    return [(one.entry.kind, one.entry.by.name) for one in page.entries]


async def test_the_wizard_ends_in_a_request(contoso: Site, meet: Meet):
    """The run of the finding: 403, the wizard, and then the whole organisation; now it is 403, a request, and 403."""
    ben = await meet()
    await ben.enter(BEN)
    assert ben.page.status_code == 403
    assert 'id="ask"' in ben.page.text

    assert await ben.onboard(BEN, email=BEN) == ""

    assert ben.heading == "Your organisation is already connected"
    await ben.get(TENANT)
    assert ben.page.status_code == 403
    assert "No manager has answered yet" in ben.text
    await can_do_nothing(ben)
    assert [grant.upn for grant in await contoso.vault.list(contoso.tenant_id())] == [ACCOUNT]
    assert (EventKind.ACCESS_ASKED, BEN) in await kinds(contoso)


async def test_an_accepted_request_reads_and_gives_no_right(contoso: Site, meet: Meet):
    ben, service = await meet(), await meet()
    await ben.onboard(BEN)
    await service.enter_at_once()
    await service.submit_action(f"{TENANT}/requests/{contoso.cloud.person(BEN).oid}/accept")
    assert service.notice == "The account reads for your organisation now"

    await ben.enter_at_once(BEN)

    assert (ben.page.status_code, ben.heading) == (200, "Your account")
    await can_do_nothing(ben)
    await ben.onboard(BEN, email=BEN)
    assert (ben.key, ben.heading) == ("", "The account works again")
    await can_do_nothing(ben)
    await ben.get(f"{TENANT}/accounts/{contoso.cloud.person(BEN).oid}/withdraw")
    await ben.submit("confirm")
    assert [grant.upn for grant in await contoso.vault.list(contoso.tenant_id())] == [ACCOUNT]
    await ben.onboard(BEN)
    assert ben.heading == "Your organisation is already connected", "who withdrew asks again"
    assert {(EventKind.ACCESS_ASKED, BEN), (EventKind.GRANT_ADDED, ACCOUNT), (EventKind.GRANT_WITHDRAWN, BEN)} <= set(
        await kinds(contoso)
    )


async def test_a_refused_request_is_told_and_its_consent_is_gone(contoso: Site, meet: Meet):
    ben, service = await meet(), await meet()
    await ben.onboard(BEN)
    flow = str(ben.page.url)
    await service.enter_at_once()
    assert "Someone asks for access" in service.text
    await service.submit_action(f"{TENANT}/requests/{contoso.cloud.person(BEN).oid}/refuse")
    await ben.get(flow)
    assert ben.heading == "Your request was refused"
    await ben.enter_at_once(BEN)
    assert ben.page.status_code == 403
    assert "refused your request" in ben.text
    requests = AccessRequests(contoso.store, contoso.ring)
    assert await requests.consent(contoso.tenant_id(), contoso.cloud.person(BEN).oid) is None
    assert (EventKind.ACCESS_REFUSED, ACCOUNT) in await kinds(contoso)


async def test_whoever_asked_may_take_it_back_and_nobody_elses(contoso: Site, meet: Meet):
    ben, chloe = await meet(), await meet()
    await chloe.onboard(CHLOE)
    await ben.onboard(BEN)
    flow = str(ben.page.url)
    await ben.enter_at_once(BEN)
    await ben.submit("withdraw-request")
    assert (ben.page.status_code, "You withdrew your request" in ben.text) == (403, True)
    await ben.get(flow)
    assert ben.heading == "You withdrew your request"
    states = {one.upn: one.state for one in await AccessRequests(contoso.store, contoso.ring).list(contoso.tenant_id())}
    assert states == {BEN: RequestState.WITHDRAWN, CHLOE: RequestState.WAITING}
    assert (EventKind.ACCESS_WITHDRAWN, BEN) in await kinds(contoso)


async def test_a_contacts_name_that_was_given_to_ben_after_90_days_opens_nothing(contoso: Site, meet: Meet, raw: Redis):
    """Ada never came, left, and Ben has her name now."""
    ben, service, key = await meet(), await meet(), layout.tenant(contoso.tenant_id())
    await service.enter_at_once()
    assert "ada@contoso.example, has not signed in yet" in service.text
    await raw.hset(key, "claim_ms", int((datetime.now(UTC) - CLAIM_LASTS).timestamp() * 1000))
    await service.get(TENANT)
    assert "did not sign in within 90 days" in service.text
    contoso.cloud.rename_person(ADA, "ada.adler@contoso.example")
    contoso.cloud.rename_person(BEN, ADA)
    await ben.enter(ADA)
    assert ben.page.status_code == 403
    assert [one.upn for one in await Managers(contoso.store).list(contoso.tenant_id())] == [ACCOUNT]


async def test_an_invitation_is_no_way_in(contoso: Site, meet: Meet):
    """A link that an onboarding makes for somebody else, of his own organisation and of another one."""
    for domain in ("contoso.example", "fabrikam.example"):
        asker, ben = await meet(), await meet()
        await asker.fill(domain=domain, email=BEN)
        await asker.submit("invite")
        await ben.get(asker.link)
        await ben.submit("invited")
        await ben.authorize(BEN)
        if 'id="confirm"' in ben.page.text:
            await ben.complete()
        assert ben.key == ""
        await ben.enter_at_once(BEN)
        assert ben.page.status_code == 403
        await can_do_nothing(ben)


async def test_a_standby_link_of_a_manager_is_no_way_in(contoso: Site, meet: Meet):
    """The way to Microsoft that a manager began for another account, walked in Ben's browser."""
    service, ben = await meet(), await meet()
    await service.enter_at_once()
    await service.submit("add")
    url = service.microsoft_url()
    ben.page = await ben.client.get(url)
    await ben.answer(await ben.sign_in(BEN))
    assert ben.page.status_code == 400
    assert [grant.upn for grant in await contoso.vault.list(contoso.tenant_id())] == [ACCOUNT]


async def test_a_session_whose_right_was_ended_can_do_nothing_at_once(contoso: Site, meet: Meet):
    ben, managers, tenant_id = await meet(), Managers(contoso.store), contoso.tenant_id()
    await managers.add(tenant_id, contoso.cloud.person(BEN).oid, BEN, OPERATOR)
    await ben.enter_at_once(BEN)
    assert ben.heading == "Contoso Ltd"
    await ben.submit("add")
    there = ben.microsoft_url()
    one = next(one for one in await managers.list(tenant_id) if one.upn == BEN)
    await managers.remove(tenant_id, one, OPERATOR)

    ben.page = await ben.client.get(there)
    await ben.answer(await ben.sign_in(CHLOE))

    assert ben.page.status_code == 403
    await can_do_nothing(ben)
    assert [grant.upn for grant in await contoso.vault.list(tenant_id)] == [ACCOUNT]
    assert EventKind.MANAGER_REMOVED in {kind for kind, _ in await kinds(contoso)}


async def test_a_flow_outlives_a_right_and_makes_no_key(site: Site, meet: Meet):
    """The page of an onboarding that is done offers another key for one that was lost: not to whom the right was ended."""
    ben, managers = await meet(), Managers(site.store)
    await ben.onboard(BEN)
    flow = str(ben.page.url)
    await managers.add(site.tenant_id(), site.cloud.person(ADA).oid, ADA, OPERATOR)
    mine = next(one for one in await managers.list(site.tenant_id()) if one.upn == BEN)
    await managers.remove(site.tenant_id(), mine, OPERATOR)
    before = await site.suite_keys.list(site.tenant_id())
    await ben.get(flow)
    await ben.submit("another-key")
    assert ben.page.status_code == 403
    assert ben.key == ""
    assert await site.suite_keys.list(site.tenant_id()) == before


async def test_a_name_that_was_given_to_ben_is_not_the_contact(contoso: Site, meet: Meet):
    ada, ben, world = await meet(), await meet(), contoso.cloud
    await ada.enter(ADA)
    assert ada.heading == "Contoso Ltd"
    oid = contoso.cloud.person(BEN).oid
    world.rename_person(ADA, "ada.adler@contoso.example")
    world.rename_person(BEN, ADA)
    await ben.enter(ADA)
    assert ben.page.status_code == 403
    assert not await Managers(contoso.store).is_manager(contoso.tenant_id(), oid)


async def test_a_contact_whose_right_was_ended_stays_out(contoso: Site, meet: Meet):
    ada, managers = await meet(), Managers(contoso.store)
    await ada.enter(ADA)
    one = next(one for one in await managers.list(contoso.tenant_id()) if one.upn == ADA)
    await managers.remove(contoso.tenant_id(), one, OPERATOR)
    await ada.enter(ADA)
    assert ada.page.status_code == 403
    await ada.onboard(ADA)
    assert ada.heading == "Your organisation is already connected"


async def test_guests_and_others_people_come_to_their_own_organisation(contoso: Site, meet: Meet):
    for upn in ("mia@fabrikam.example", "olga@fabrikam.example"):
        other = await meet()
        await other.enter(upn)
        assert (other.page.status_code, other.heading) == (403, "Your organisation is not connected")


async def test_answers_and_forms_of_others_are_not_played_again(contoso: Site, meet: Meet):
    service, ben = await meet(), await meet()
    await service.to_sign_in()
    answer = await service.sign_in()
    await service.answer(answer)
    await ben.enter_at_once(BEN)
    await ben.answer(answer)
    assert ben.page.status_code == 400, "an answer is good once, in its own browser"
    await service.get(TENANT)
    found = re.search(r'name="token" value="([^"]+)"', service.page.text)
    assert found
    url = f"{contoso.url}{TENANT}/managers/add"
    given = await ben.client.post(url, data={"token": found[1], "name": BEN}, headers={"origin": contoso.url})
    assert given.status_code == 403, "a form's token is of one session"


async def test_of_many_who_run_the_wizard_at_once_one_looks_after_the_organisation(site: Site, meet: Meet):
    people = [(await meet(), upn) for upn in (ACCOUNT, BEN, CHLOE)]
    for each, upn in people:
        await each.fill()
        await each.authorize(upn)
    await asyncio.gather(*(each.complete() for each, _ in people))
    assert len([each for each, _ in people if each.key]) == 1
    assert len(await Managers(site.store).list(site.tenant_id())) == 1
    assert len(await site.vault.list(site.tenant_id())) == 1
    waiting = await AccessRequests(site.store, site.ring).list(site.tenant_id())
    assert [one.state for one in waiting] == [RequestState.WAITING] * 2


@pytest.mark.finding(12)
async def test_a_key_of_the_wizard_is_told_as_its_accounts_and_counted(site: Site, meet: Meet):
    ada = await meet()
    key = await ada.onboard()
    await site.suite_keys.verify(key)
    made = [by for kind, by in await kinds(site) if kind is EventKind.KEY_MADE]
    assert made == [ACCOUNT]
    for number in range(100):
        await site.suite_keys.issue(site.tenant_id(), f"suite {number}")
    before = await site.suite_keys.list(site.tenant_id())
    await ada.get(str(ada.page.url))
    await ada.submit("another-key")
    assert ada.page.status_code == 403
    assert await site.suite_keys.list(site.tenant_id()) == before


async def test_the_log_tells_of_each_try_that_got_as_far_as_microsofts_proof(contoso: Site, meet: Meet):
    ben, service, oid = await meet(), await meet(), contoso.cloud.person(BEN).oid
    with capture_logs() as told:

        async def tells(event: str, account_id: str | None = None) -> None:
            async with asyncio.timeout(30):
                while not any(one["event"] == event and one.get("account_id") == account_id for one in told):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            told.clear()

        await ben.enter_at_once(BEN)
        await tells("tenant_page_closed", oid)
        await ben.onboard(BEN)
        await tells("tenant_access_requested", oid)
        await service.to_sign_in()
        answer = await service.sign_in()
        await service.answer(answer)
        await ben.answer(answer)
        await tells("tenant_sign_in_unknown")
        await service.sign_out_at_microsoft()
        await service.get(TENANT)
        await service.submit("add")
        service.page = await service.client.get(service.microsoft_url())
        await service.answer(await service.sign_in("olga@fabrikam.example"))
        await tells("tenant_consent_of_another_tenant")
