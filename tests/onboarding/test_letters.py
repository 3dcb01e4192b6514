"""Deeds on the tenant's page are told to the others who manage it; a request is told to all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from relay.core.audit.events import OPERATOR
from relay.core.consent.tenant import SignUp
from relay.http.paths import TENANT
from relay.store.custody.managers import Managers
from relay.store.custody.notices import Notice, NoticeKind, Notices
from tests.onboarding.person import ACCOUNT, Person
from tests.onboarding.site import Site

pytestmark = pytest.mark.long

CONTACT, ADA, BEN = "contact@contoso.example", "ada@contoso.example", "ben@contoso.example"


async def letters(site: Site) -> list[Notice]:
    return [notice for notice in await Notices(site.store).of(range(64)) if notice.letter is not None]


def told(found: list[Notice]) -> dict[NoticeKind, set[str]]:
    """Kind -> to whom."""
    kinds: dict[NoticeKind, set[str]] = {}
    for notice in found:
        assert notice.letter is not None
        kinds.setdefault(notice.kind, set()).add(notice.letter.to)
    return kinds


@pytest.fixture
async def admin(person: Person) -> Person:
    """Whoever connected Contoso, in front of its page; Ada manages it too."""
    await person.onboard()
    tenant_id = person.site.tenant_id()
    await person.site.tenants.change_settings(tenant_id, {"contact_email": CONTACT}, OPERATOR)
    await Managers(person.site.store).add(tenant_id, person.site.cloud.person(ADA).oid, ADA, OPERATOR)
    await person.enter()
    return person


async def test_a_request_is_told_to_everybody_who_looks_after_the_tenant_once(
    admin: Person, meet: Callable[..., Awaitable[Person]]
) -> None:
    for _ in range(2):
        ben = await meet()
        await ben.fill()
        await ben.authorize(BEN)
        await ben.confirm()
        await ben.follow()
    found = await letters(admin.site)
    assert told(found) == {NoticeKind.ACCESS_REQUESTED: {ACCOUNT, ADA, CONTACT}}
    assert {notice.letter.who for notice in found if notice.letter} == {BEN}
    assert len(found) == 3


async def test_a_right_that_begins_or_ends_is_told_to_the_others(admin: Person) -> None:
    await admin.get(TENANT)
    await admin.submit_action(f"{TENANT}/managers/add", name=BEN)
    assert told(await letters(admin.site)) == {NoticeKind.MANAGER_ADDED: {ADA, BEN, CONTACT}}


async def test_a_tenant_that_waits_is_told_to_the_operator(
    start_site: Callable[..., Awaitable[Site]], meet: Callable[..., Awaitable[Person]]
) -> None:
    site = await start_site(sign_up=SignUp.APPROVAL)
    person = await meet(site)
    await person.fill()
    await person.authorize()
    await person.confirm()
    await person.follow()
    [notice] = await letters(site)
    assert notice.letter is not None
    assert (notice.kind, notice.letter.to, notice.letter.who) == (NoticeKind.TENANT_WAITS, "operator", ACCOUNT)
