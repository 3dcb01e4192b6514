"""A directory role that the operator named opens the page of the organisation that signed somebody in, and nothing else does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from relay.core.audit.events import EventKind
from relay.http.paths import TENANT
from relay.store.custody.audit import AuditLog
from relay.store.custody.managers import Managers
from tests.onboarding.person import Person
from tests.onboarding.site import Site

Meet = Callable[..., Awaitable[Person]]
StartSite = Callable[..., Awaitable[Site]]

pytestmark = pytest.mark.finding(1)

GLOBAL_ADMIN = "62e90394-69f5-4237-9190-012177145e10"
ADMIN, BEN, CHLOE = "admin@contoso.example", "ben@contoso.example", "chloe@contoso.example"


async def test_a_role_opens_the_page_only_where_the_operator_named_it_and_entra_tells_it(
    site: Site,
    start_site: StartSite,
    meet: Meet,
):
    await (await meet()).connect()
    named = await start_site(manager_roles=frozenset({GLOBAL_ADMIN}))
    for where, is_told, status in ((site, True, 403), (named, False, 403), (named, True, 200)):
        site.cloud.set_switches(directory_roles_claim=is_told)
        admin = await meet(where)
        await admin.enter(ADMIN)
        assert admin.page.status_code == status, (where is named, is_told)
    ben = await meet(named)
    await ben.enter(BEN)
    assert ben.page.status_code == 403, "every member's `wids` is not empty"


async def test_who_comes_by_a_role_looks_after_the_organisation_and_is_told_by_name(
    start_site: StartSite,
    meet: Meet,
):
    site = await start_site(manager_roles=frozenset({GLOBAL_ADMIN}))
    site.cloud.set_switches(directory_roles_claim=True)
    service, admin = await meet(site), await meet(site)
    await service.connect()
    await admin.enter(ADMIN)
    await admin.submit("add-manager", name=CHLOE)
    assert admin.notice == "Manager added"
    managers = await Managers(site.store).list(site.tenant_id())
    assert ADMIN not in {one.upn for one in managers}, "a role is no entry among the managers"
    page = await AuditLog(site.store).page(site.tenant_id(), watches=False)
    assert (page.entries[0].entry.kind, page.entries[0].entry.by.name) == (EventKind.MANAGER_ADDED, ADMIN)


async def test_a_role_in_another_organisation_opens_nothing_here(start_site: StartSite, meet: Meet):
    """Whoever makes an organisation of their own at Entra is its Global Administrator."""
    site = await start_site(manager_roles=frozenset({GLOBAL_ADMIN}))
    site.cloud.set_switches(directory_roles_claim=True)
    service, stranger = await meet(site), await meet(site)
    await service.connect()
    await stranger.enter("admin@fabrikam.example")
    assert (stranger.page.status_code, stranger.heading) == (403, "Your organisation is not connected")
    for path in ("/log", "/suites", "/settings", "/users", "/log/export.csv"):
        answer = await stranger.client.get(f"{site.url}{TENANT}{path}")
        assert answer.status_code == 403, path
        assert "contoso" not in answer.text


async def test_a_role_gives_no_key_in_the_wizard(start_site: StartSite, meet: Meet):
    """Roles count on the page, where each deed is told; the wizard makes a request of anybody's consent."""
    site = await start_site(manager_roles=frozenset({GLOBAL_ADMIN}))
    site.cloud.set_switches(directory_roles_claim=True)
    service, admin = await meet(site), await meet(site)
    await service.connect()
    assert await admin.onboard(ADMIN) == ""
    assert admin.heading == "Your organisation is already connected"
