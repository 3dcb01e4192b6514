"""The way in to the tenant's page."""

from __future__ import annotations

from onboarding.settings import TENANT
from tests.onboarding.chromium import Watched
from tests.onboarding.inventory import Visit, row


async def connect(visit: Visit) -> None:
    """Contoso is connected, and nobody is signed in."""
    await visit.grant()


@row("tenant/sign_in", "new")
async def _(visit: Visit) -> None:
    await visit.goto(TENANT)


@row("tenant/sign_in", "personal-account")
async def _(visit: Visit) -> None:
    visit.site.cloud.set_switches(personal_accounts="admitted")
    await visit.goto(TENANT)
    await visit.page.click("#tenant-sign-in button")
    await Watched(visit.page).sign_in("pat@outlook.example")
    await visit.page.wait_for_selector("#notice-title")


@row("tenant/sign_in", "signed-out")
async def _(visit: Visit) -> None:
    await connect(visit)
    await visit.person.enter()
    await visit.show(TENANT)
    await visit.page.click("#sign-out button")
    await visit.page.wait_for_selector("#tenant-sign-in")


@row("tenant/sign_in", "form-after-the-end")
async def _(visit: Visit) -> None:
    await connect(visit)
    await visit.person.enter()
    await visit.show(TENANT)
    await visit.page.context.clear_cookies(name="__Host-tenant")
    await visit.page.click("#sign-out button")
    await visit.page.wait_for_selector("#tenant-sign-in")


@row("tenant/to_microsoft", "on-the-way")
async def _(visit: Visit) -> None:
    await visit.goto(TENANT)
    await visit.page.route(f"{visit.site.cloud.url}/**", lambda route: route.fulfill(status=204))
    await visit.page.click("#tenant-sign-in button")
    await visit.page.wait_for_selector("#leave")


@row("tenant/closed", "no-role")
async def _(visit: Visit) -> None:
    await connect(visit)
    await visit.person.enter("ben@contoso.example")
    await visit.show(TENANT)


@row("tenant/closed", "not-connected")
async def _(visit: Visit) -> None:
    await visit.person.enter("olga@fabrikam.example")
    await visit.show(TENANT)
