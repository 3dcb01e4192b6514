"""A right that ends while its holder is under way covers nothing that comes after: steps that wait for Microsoft, pages, and keys."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from emulator.faults import Fault
from relay.core.audit.events import OPERATOR
from relay.http.paths import TENANT
from relay.store.custody.access_requests import AccessRequests, RequestState
from relay.store.custody.managers import Managers
from relay.store.custody.notices import NoticeKind, Notices
from tests.onboarding.person import ACCOUNT, Person
from tests.onboarding.site import Site

Meet = Callable[..., Awaitable[Person]]

pytestmark = [pytest.mark.finding(1), pytest.mark.long]

BEN, CHLOE = "ben@contoso.example", "chloe@contoso.example"


@pytest.fixture
async def contoso(site: Site, meet: Meet) -> AsyncIterator[Site]:
    """Contoso is connected by its service account, and Ben manages it too, for now."""
    await (await meet()).connect()
    await Managers(site.store).add(site.tenant_id(), site.cloud.person(BEN).oid, BEN, OPERATOR)
    yield site
    assert {one.upn for one in await Managers(site.store).list(site.tenant_id())} == {ACCOUNT}
    assert [grant.upn for grant in await site.vault.list(site.tenant_id())] == [ACCOUNT]


async def end_right(site: Site, upn: str = BEN) -> None:
    managers = Managers(site.store)
    one = next(one for one in await managers.list(site.tenant_id()) if one.upn == upn)
    await managers.remove(site.tenant_id(), one, OPERATOR)


async def meanwhile(site: Site, step: Awaitable[object], happens: Callable[[], Awaitable[None]]) -> None:
    """Let something happen while a step waits for Graph's answer."""
    site.cloud.faults.add(Fault(path="/v1.0/", count=1, latency_ms=1_000))
    under_way = asyncio.ensure_future(step)
    async with asyncio.timeout(20):
        while site.cloud.faults.all():  # noqa: ASYNC110  what is waited for is the cloud's
            await asyncio.sleep(0.01)
    assert not under_way.done()
    await happens()
    await under_way


async def test_a_yes_to_a_request(contoso: Site, meet: Meet):
    chloe, ben = await meet(), await meet()
    await chloe.onboard(CHLOE)
    await ben.enter_at_once(BEN)
    accept = ben.submit_action(f"{TENANT}/requests/{contoso.cloud.person(CHLOE).oid}/accept")
    await meanwhile(contoso, accept, lambda: end_right(contoso))
    assert ben.page.status_code == 403
    requests = await AccessRequests(contoso.store, contoso.ring).list(contoso.tenant_id())
    assert [one.state for one in requests] == [RequestState.WAITING], "it waits for somebody who may decide"


async def test_a_consent_for_a_standby(contoso: Site, meet: Meet):
    ben = await meet()
    await ben.enter_at_once(BEN)
    await ben.submit("add")
    ben.page = await ben.client.get(ben.microsoft_url())
    answer = await ben.sign_in(CHLOE)
    await meanwhile(contoso, ben.answer(answer), lambda: end_right(contoso))
    assert ben.page.status_code == 403


async def test_naming_somebody(contoso: Site, meet: Meet):
    ben = await meet()
    await ben.enter_at_once(BEN)
    await meanwhile(contoso, ben.submit("add-manager", name=CHLOE), lambda: end_right(contoso))
    assert ben.page.status_code == 403


async def test_a_suite_key_that_nobody_has_seen_yet(site: Site, meet: Meet):
    """The onboarding's last page shows its key once: not to somebody whose right was ended before they looked."""
    ben = await meet()
    await ben.fill()
    await ben.authorize(BEN)
    await ben.confirm()
    assert 'id="show-key"' in ben.page.text
    await Managers(site.store).add(site.tenant_id(), site.cloud.person(CHLOE).oid, CHLOE, OPERATOR)
    await end_right(site)
    with capture_logs() as told:
        await ben.show_key()
    assert ben.key == ""
    assert "psk_" not in ben.page.text
    assert [one["account_id"] for one in told if one["event"] == "suite_key_withheld"] == [site.cloud.person(BEN).oid]


async def test_a_yes_is_to_the_request_that_was_looked_at(contoso: Site, meet: Meet):
    """One manager says yes, another no, and the account asks again before the first one's yes is through."""
    chloe, service = await meet(), await meet()
    await chloe.onboard(CHLOE)
    await end_right(contoso)
    oid, requests = contoso.cloud.person(CHLOE).oid, AccessRequests(contoso.store, contoso.ring)

    async def refused_and_asked_again() -> None:
        (request,) = await requests.list(contoso.tenant_id())
        cache = await requests.consent(contoso.tenant_id(), oid)
        assert cache is not None
        await requests.refuse(contoso.tenant_id(), request, OPERATOR)
        await requests.ask(contoso.tenant_id(), oid, upn=CHLOE, token_cache=cache)

    await service.enter_at_once()
    await meanwhile(contoso, service.submit_action(f"{TENANT}/requests/{oid}/accept"), refused_and_asked_again)
    assert service.notice == "This entry no longer exists"
    assert [one.state for one in await requests.list(contoso.tenant_id())] == [RequestState.WAITING]


async def test_a_yes_and_a_no_at_once(contoso: Site, meet: Meet):
    """Two managers, two browsers: the no comes while Microsoft is asked for the yes, and holds."""
    chloe, ben, service = await meet(), await meet(), await meet()
    await chloe.onboard(CHLOE)
    oid = contoso.cloud.person(CHLOE).oid
    await ben.enter_at_once(BEN)
    await service.enter_at_once()
    accept = ben.submit_action(f"{TENANT}/requests/{oid}/accept")

    async def refuse() -> None:
        await service.submit_action(f"{TENANT}/requests/{oid}/refuse")

    await meanwhile(contoso, accept, refuse)
    assert (service.notice, ben.notice) == ("The request was refused", "This entry no longer exists")
    await end_right(contoso)


async def test_a_flow_that_began_before_the_organisation_was_connected(site: Site, meet: Meet):
    """Ben's consent is there, and so is his yes, before the service account is; it comes second all the same."""
    ben, service = await meet(), await meet()
    await ben.fill(email=BEN)
    await ben.authorize(BEN)
    await service.fill()
    await service.authorize()

    async def connect() -> None:
        await service.complete()

    await meanwhile(site, ben.confirm(), connect)
    assert (service.key != "", ben.key) == (True, "")
    assert ben.heading == "Your organisation is already connected"
    assert [one.upn for one in await Managers(site.store).list(site.tenant_id())] == [ACCOUNT]
    tenant = await site.tenants.load(site.tenant_id())
    assert tenant is not None
    assert tenant.settings["contact_email"] == "ada@contoso.example", "what he typed counts for nothing"


async def test_many_tabs_and_many_clicks_are_one_request(contoso: Site, meet: Meet):
    await end_right(contoso)
    ben = await meet()
    tabs = []
    for _ in range(3):
        await ben.fill()
        await ben.authorize(BEN)
        found = re.search(
            r'<form id="confirm"[^>]*action="([^"]+)".*?name="token" value="([^"]+)"', ben.page.text, re.DOTALL
        )
        assert found
        tabs.append((f"{contoso.url}{found[1]}", found[2], str(ben.page.url)))
    headers = {"origin": contoso.url}
    posts = (ben.client.post(url, data={"token": token}, headers=headers) for url, token, _ in tabs * 2)
    await asyncio.gather(*posts)
    for *_, page in tabs:
        await ben.get(page)
        await ben.follow()
        assert (ben.heading, ben.key) == ("Your organisation is already connected", "")
    requests = await AccessRequests(contoso.store, contoso.ring).list(contoso.tenant_id())
    assert [one.upn for one in requests] == [BEN]
    told = [one for one in await Notices(contoso.store).of(range(64)) if one.kind is NoticeKind.ACCESS_REQUESTED]
    assert len({one.letter.to for one in told if one.letter}) == len(told), "each was told once"


async def test_a_session_that_somebody_else_put_into_a_browser_is_not_signed_in(contoso: Site, meet: Meet):
    """Ben puts his own session into the browser of the service account: its sign-in makes a new one, which he has not."""
    await end_right(contoso)
    ben, service = await meet(), await meet()
    await ben.enter_at_once(BEN)
    for cookie in ben.client.cookies.jar:
        if cookie.name.startswith("__Host-") and cookie.value:
            service.client.cookies.set(cookie.name, cookie.value, domain=cookie.domain, path="/")
    await service.enter_at_once()
    assert service.page.status_code == 200
    await ben.get(TENANT)
    assert ben.page.status_code == 403
