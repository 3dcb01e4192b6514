"""The way in to the tenant's page."""

from __future__ import annotations

from relay.core.audit.events import OPERATOR
from relay.core.presence import UserId
from relay.http.paths import TENANT
from relay.store.custody.access_requests import AccessRequests
from relay.store.custody.admissions import AdmissionRequest, Admissions
from relay.store.server import keys
from tests.onboarding.chromium import Watched
from tests.onboarding.inventory import Visit, row
from tests.onboarding.person import ACCOUNT
from tests.support.topology import raw_client

BEN = "ben@contoso.example"


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
    await visit.person.enter_at_once()
    await visit.show(TENANT)
    await visit.page.click("#sign-out button")
    await visit.page.wait_for_selector("#tenant-sign-in")


@row("tenant/sign_in", "form-after-the-end")
async def _(visit: Visit) -> None:
    await connect(visit)
    await visit.person.enter_at_once()
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


@row("tenant/to_microsoft", "once-more-for-what-cannot-be-undone")
async def _(visit: Visit) -> None:
    await visit.grant()
    await visit.person.enter_at_once()
    await visit.show(f"{TENANT}/leave")
    await visit.page.route(f"{visit.site.cloud.url}/**", lambda route: route.fulfill(status=204))
    await visit.page.fill("#domain", "contoso.example")
    await visit.page.click("#leave-form button")
    await visit.page.wait_for_selector("#leave")


@row("tenant/closed", "no-role")
async def _(visit: Visit) -> None:
    await connect(visit)
    await visit.person.enter_at_once(BEN)
    await visit.show(TENANT)


@row("tenant/closed", "waiting")
async def _(visit: Visit) -> None:
    await asked(visit)
    await visit.person.enter_at_once(BEN)
    await visit.show(TENANT)


@row("tenant/closed", "request-withdrawn")
async def _(visit: Visit) -> None:
    await asked(visit)
    await visit.person.enter_at_once(BEN)
    await visit.person.submit("withdraw-request")
    await visit.show(TENANT)


@row("tenant/own", "reads")
async def _(visit: Visit) -> None:
    await read_along(visit)
    await visit.person.enter_at_once(BEN)
    await visit.show(TENANT)


@row("tenant/overview", "somebody-asks")
async def _(visit: Visit) -> None:
    await asked(visit)
    await visit.person.sign_out_at_microsoft()
    await visit.person.enter_at_once()
    await visit.show(TENANT)


@row("tenant/overview", "nobody-of-this-name")
async def _(visit: Visit) -> None:
    await connect(visit)
    await visit.person.enter_at_once()
    await visit.person.submit("add-manager", name="nobody@contoso.example")
    await visit.show(TENANT)


@row("tenant/overview", "contact-did-not-come")
async def _(visit: Visit) -> None:
    await connect(visit)
    await raw_client(visit.site.store).hset(keys.tenant(visit.site.tenant_id()), "claim_ms", 1)
    await visit.person.enter_at_once()
    await visit.show(TENANT)


@row("tenant/end_manager", "asked")
async def _(visit: Visit) -> None:
    await connect(visit)
    await visit.person.enter_at_once()
    await visit.person.submit("add-manager", name="ada@contoso.example")
    await visit.show(f"{TENANT}/managers/{visit.site.cloud.person('ada@contoso.example').oid}/end")


@row("tenant/end_manager", "last")
async def _(visit: Visit) -> None:
    await connect(visit)
    await visit.person.enter_at_once()
    await visit.show(f"{TENANT}/managers/{visit.site.cloud.person(ACCOUNT).oid}/end")


@row("wizard/answered", "waiting")
async def _(visit: Visit) -> None:
    await asked(visit)
    await visit.show()


@row("wizard/answered", "refused")
async def _(visit: Visit) -> None:
    await asked(visit)
    requests = AccessRequests(visit.site.store, visit.site.ring)
    (request,) = await requests.list(visit.site.tenant_id())
    await requests.refuse(visit.site.tenant_id(), request, OPERATOR)
    await visit.show()


@row("wizard/answered", "withdrawn")
async def _(visit: Visit) -> None:
    await asked(visit)
    requests = AccessRequests(visit.site.store, visit.site.ring)
    (request,) = await requests.list(visit.site.tenant_id())
    await requests.withdraw(visit.site.tenant_id(), request)
    await visit.show()


@row("wizard/answered", "accepted")
async def _(visit: Visit) -> None:
    await read_along(visit)
    await visit.show()


@row("wizard/answered", "expired")
async def _(visit: Visit) -> None:
    await asked(visit)
    await raw_client(visit.site.store).delete(keys.tenant_requests(visit.site.tenant_id()))
    await visit.show()


@row("wizard/answered", "renewed")
async def _(visit: Visit) -> None:
    await read_along(visit)
    await visit.person.sign_out_at_microsoft()
    await visit.person.onboard(BEN)
    await visit.show()


async def asked(visit: Visit) -> None:
    """Contoso is connected, and Ben asks."""
    await connect(visit)
    await visit.person.sign_out_at_microsoft()
    await visit.person.onboard(BEN)


async def read_along(visit: Visit) -> None:
    """Ben asked, and somebody said yes."""
    await asked(visit)
    site, oid = visit.site, UserId(visit.site.cloud.person(BEN).oid)
    requests = AccessRequests(site.store, site.ring)
    cache, request = await requests.consent(site.tenant_id(), oid), await requests.load(site.tenant_id(), oid)
    assert cache is not None
    await Admissions(site.store, site.ring).admit(
        AdmissionRequest(
            tenant_id=site.tenant_id(),
            account_id=oid,
            upn=BEN,
            token_cache=cache,
            name="",
            domain="",
            settings={},
            by=OPERATOR,
            asked=request,
        )
    )


@row("tenant/closed", "not-connected")
async def _(visit: Visit) -> None:
    await visit.person.enter_at_once("olga@fabrikam.example")
    await visit.show(TENANT)
