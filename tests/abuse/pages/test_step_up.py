"""Somebody has the session of a manager, by a stolen cookie or an open screen. What cannot be undone takes a password as well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
import pytest

from onboarding.tenant import sign_ins
from pages.settings import RateLimits
from relay.core.audit.events import OPERATOR
from relay.http.paths import TENANT
from relay.store.custody.managers import Managers
from relay.store.custody.notices import NoticeKind, Notices
from tests.onboarding.person import ACCOUNT, Person, filled
from tests.onboarding.site import Site

Meet = Callable[..., Awaitable[Person]]
StartSite = Callable[..., Awaitable[Site]]

pytestmark = pytest.mark.finding(1)

ADA, BEN = "ada@contoso.example", "ben@contoso.example"
EVE = "eve@contoso.example"


@dataclass(frozen=True)
class Deed:
    """One that cannot be undone: how it is asked for, whether it was done, and what the others are told."""

    ask: Callable[[Person], Awaitable[None]]
    is_done: Callable[[Person], Awaitable[bool]]
    told: NoticeKind


async def ask_to_leave(thief: Person) -> None:
    await thief.get(f"{TENANT}/leave")
    await thief.submit("leave-form", domain="contoso.example")


async def has_left(thief: Person) -> bool:
    return await thief.site.tenants.load(thief.site.tenant_id()) is None


async def ask_to_withdraw(thief: Person) -> None:
    await thief.get(f"{TENANT}/accounts/{thief.site.cloud.person(ACCOUNT).oid}/withdraw")
    await thief.submit("confirm")


async def is_withdrawn(thief: Person) -> bool:
    return not await thief.site.vault.list(thief.site.tenant_id())


async def ask_to_end_adas_right(thief: Person) -> None:
    await thief.get(f"{TENANT}/managers/{thief.site.cloud.person(ADA).oid}/end")
    await thief.submit("confirm")


async def has_ended(thief: Person) -> bool:
    ada = thief.site.cloud.person(ADA).oid
    return not await Managers(thief.site.store).is_manager(thief.site.tenant_id(), ada)


async def ask_to_empty_opt_outs(thief: Person) -> None:
    await thief.get(f"{TENANT}/settings")
    fields = filled(thief.page.text, f"{TENANT}/settings/watching")
    url = f"{thief.site.url}{TENANT}/settings/watching"
    thief.page = await thief.client.post(url, data={**fields, "watch_never": "somebody@else.example"})


async def may_watch_eve(thief: Person) -> bool:
    tenant = await thief.site.tenants.load(thief.site.tenant_id())
    assert tenant is not None
    return EVE not in tenant.settings.get("watch_never", "")


DEEDS = {
    "leave": Deed(ask_to_leave, has_left, NoticeKind.TENANT_LEFT),
    "withdraw the last account": Deed(ask_to_withdraw, is_withdrawn, NoticeKind.LAST_ACCOUNT_WITHDRAWN),
    "end a right": Deed(ask_to_end_adas_right, has_ended, NoticeKind.MANAGER_REMOVED),
    "empty opt-outs": Deed(ask_to_empty_opt_outs, may_watch_eve, NoticeKind.OPT_OUTS_ENDED),
}
every_deed = pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS.keys())


@pytest.fixture
async def thief(person: Person) -> Person:
    """Whoever connected Contoso is signed in, and somebody else sits at the screen. Ada manages it too, Eve is not watched."""
    await person.connect()
    tenant_id = person.site.tenant_id()
    await person.site.tenants.change_settings(tenant_id, {"watch_never": EVE}, OPERATOR)
    await Managers(person.site.store).add(tenant_id, person.site.cloud.person(ADA).oid, ADA, OPERATOR)
    await person.enter()  # with a session at Microsoft, which thieves use
    return person


async def answer_of(thief: Person, username: str = ACCOUNT) -> dict[str, str]:
    """Microsoft's answer to the deed that was asked for, not brought back yet."""
    thief.page = await thief.client.get(thief.microsoft_url())
    return await thief.sign_in(username)


async def notices(thief: Person) -> set[NoticeKind]:
    return {one.kind for one in await Notices(thief.site.store).of(range(64))}


@every_deed
async def test_a_session_alone_does_nothing_that_cannot_be_undone(thief: Person, deed: Deed) -> None:
    await deed.ask(thief)
    assert "asks for your password again" in thief.text
    thief.page = await thief.client.get(thief.microsoft_url())
    assert 'id="sign-in"' in thief.page.text, "Microsoft asks, although somebody is signed in there"
    assert not await deed.is_done(thief)


@every_deed
async def test_the_password_does_it_once_and_the_others_are_told(thief: Person, deed: Deed) -> None:
    await deed.ask(thief)
    fields = await answer_of(thief)
    await thief.answer(fields)
    assert await deed.is_done(thief)
    assert deed.told in await notices(thief)
    again = await thief.answer(fields)
    assert again.status_code == 400
    assert "This sign-in has expired" in thief.text


@every_deed
async def test_another_account_of_the_organisation_does_not_suffice(thief: Person, deed: Deed) -> None:
    await deed.ask(thief)
    await thief.answer(await answer_of(thief, BEN))
    assert thief.notice == "A different account signed in"
    assert not await deed.is_done(thief)


@every_deed
async def test_a_sign_in_from_before_does_not_suffice(
    thief: Person, deed: Deed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes `max_age` and `prompt` out of the address gets an answer from the session at Microsoft."""
    thief.site.cloud.set_switches(auth_time_claim="always")
    monkeypatch.setattr(
        sign_ins, "CLOCK_SKEW_S", 0.0
    )  # the session is of a moment ago, within what clocks may differ by
    await deed.ask(thief)
    url = httpx.URL(thief.microsoft_url())
    left = {name: value for name, value in url.params.items() if name not in ("max_age", "prompt")}
    thief.page = await thief.client.get(url.copy_with(params=left))
    await thief.answer(await thief.sign_in())
    assert thief.notice == "Microsoft did not ask for your password again"
    assert not await deed.is_done(thief)


@every_deed
async def test_without_the_time_of_the_sign_in_nothing_is_done(thief: Person, deed: Deed) -> None:
    thief.site.cloud.set_switches(auth_time_claim="never")
    await deed.ask(thief)
    await thief.answer(await answer_of(thief))
    assert thief.notice == "Microsoft did not send the time of your sign-in"
    assert not await deed.is_done(thief)


async def test_a_right_that_ended_meanwhile_does_nothing(thief: Person) -> None:
    await ask_to_leave(thief)
    fields = await answer_of(thief)
    managers = Managers(thief.site.store)
    [me] = [one for one in await managers.list(thief.site.tenant_id()) if one.upn == ACCOUNT]
    await managers.remove(thief.site.tenant_id(), me, OPERATOR)
    await thief.answer(fields)
    assert not await has_left(thief)


async def test_an_answer_for_another_browser_does_nothing(
    thief: Person,
    meet: Callable[..., Awaitable[Person]],
) -> None:
    await ask_to_leave(thief)
    fields = await answer_of(thief)
    other = await meet()
    await other.enter(ADA)
    await other.answer(fields)
    assert not await has_left(thief)


async def test_two_accounts_withdrawn_at_once_leave_one(thief: Person) -> None:
    """Neither is the last one while the other is there."""
    site_ = thief.site
    await thief.get(TENANT)
    await thief.submit_action(f"{TENANT}/accounts/add")
    thief.page = await thief.client.get(thief.microsoft_url())
    await thief.answer(await thief.sign_in(BEN))
    assert len(await site_.vault.list(site_.tenant_id())) == 2
    for upn in (ACCOUNT, BEN):
        await thief.get(f"{TENANT}/accounts/{site_.cloud.person(upn).oid}/withdraw")
        await thief.submit("confirm")
    assert len(await site_.vault.list(site_.tenant_id())) == 1


async def test_an_address_that_a_thief_sends_to_the_owner_does_nothing(
    thief: Person,
    meet: Callable[..., Awaitable[Person]],
) -> None:
    """All cookies are copied, the thief asks for the deed, and its owner is led to type the password for it."""
    await ask_to_empty_opt_outs(thief)  # so that both hold a cookie that comes back from Microsoft
    owner = await meet()
    owner.client.cookies.update(thief.client.cookies)
    await ask_to_leave(thief)
    owner.page = await owner.client.get(thief.microsoft_url())
    await owner.answer(await owner.sign_in())
    assert owner.page.status_code == 400
    assert not await has_left(thief)


async def test_the_sign_in_to_the_page_itself_does_not_suffice(
    thief: Person,
    meet: Callable[..., Awaitable[Person]],
) -> None:
    """However short a time ago: within what clocks may differ by, a password is told from the one before."""
    thief.site.cloud.set_switches(auth_time_claim="always")
    thief = await meet()
    await thief.enter()
    await ask_to_leave(thief)
    url = httpx.URL(thief.microsoft_url())
    left = {name: value for name, value in url.params.items() if name not in ("max_age", "prompt")}
    thief.page = await thief.client.get(url.copy_with(params=left))
    await thief.answer(await thief.sign_in())
    assert thief.notice == "Microsoft did not ask for your password again"
    assert not await has_left(thief)


async def test_ways_to_microsoft_for_deeds_are_counted_as_sign_ins(start_site: StartSite, meet: Meet) -> None:
    person = await meet(await start_site(rate_limits=RateLimits(requests=1000, sign_ups=100, changes=1000, sign_ins=3)))
    await person.onboard()
    await person.enter()  # the first
    for _ in range(2):
        await ask_to_leave(person)
        assert "asks for your password again" in person.text
    await ask_to_leave(person)
    assert person.page.status_code == 429
    assert "retry-after" in person.page.headers
