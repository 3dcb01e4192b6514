"""The pages of onboarding."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from emulator import Fault
from onboarding.wizard.flow import encode, new_verification
from relay.core.consent.tenant import TenantEvent
from relay.store.sealing.invitations import Invitation, Invitations, new_token
from relay.store.sealing.short_lived import Flows
from tests.onboarding.inventory import Visit, row
from tests.onboarding.person import ACCOUNT, APPLICANT

BULK = "/v1.0/communications/getPresencesByUserId"
BEN = "ben@contoso.example"


@row("wizard/start", "empty")
async def _(visit: Visit) -> None:
    await visit.goto("/onboarding")


@row("wizard/start", "faults")
async def _(visit: Visit) -> None:
    await visit.fill(organisation="", email="ada", domain="contoso")
    await visit.page.wait_for_selector(".is-wrong")


@row("wizard/start", "microsoft-away")
async def _(visit: Visit) -> None:
    visit.site.cloud.add_fault(Fault(contains="openid-configuration", status=503))
    await visit.fill(domain="away.example")  # whose is not known from a row before
    await visit.page.wait_for_selector(".notice")


@row("wizard/start", "from-an-operators-link")
async def _(visit: Visit) -> None:
    await visit.goto(f"/onboarding/invitation/{await link(visit, organisation='Contoso Ltd')}")


@row("wizard/invitation", "from-a-colleague")
async def _(visit: Visit) -> None:
    await visit.goto(f"/onboarding/invitation/{await link(visit, **APPLICANT)}")


@row("wizard/permission", "new")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.show()


@row("wizard/permission", "declined")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.person.authorize(decision="decline")
    await visit.show()


@row("wizard/permission", "administrator-needed")
async def _(visit: Visit) -> None:
    await visit.person.fill(domain="litware.example", organisation="Litware")
    await visit.person.authorize("quinn@litware.example")
    await visit.show()


@row("wizard/permission", "approval-asked")
async def _(visit: Visit) -> None:
    visit.site.cloud.world.tenant("contoso.example").user_consent = "request_approval"  # type: ignore[union-attr]
    await visit.person.fill()
    await visit.person.authorize(BEN)
    await visit.show()


@row("wizard/permission", "approved-for-everybody")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.person.agree_for_everybody()
    await visit.show()


@row("wizard/permission", "link-is-out")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.person.submit("invite")
    await visit.show()


@row("wizard/permission", "link-was-used")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.person.submit("invite")
    await Invitations(visit.site.store, visit.site.ring).use(visit.person.link.rpartition("/")[2])
    await visit.show()


@row("wizard/permission", "guest-of-the-organisation")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.person.authorize("mia@fabrikam.example")
    await visit.show()


@row("wizard/permission", "personal-account")
async def _(visit: Visit) -> None:
    visit.site.cloud.set_switches(personal_accounts="admitted")
    await visit.person.fill()
    await visit.person.authorize("pat@outlook.example")
    await visit.show()


@row("wizard/permission", "blocked-by-a-policy")
async def _(visit: Visit) -> None:
    visit.site.cloud.directory.revoke(BEN, "conditional_access")
    await visit.person.fill()
    await visit.person.authorize(BEN)
    await visit.show()


@row("wizard/to_microsoft", "on-the-way")
async def _(visit: Visit) -> None:
    await visit.fill()
    await visit.page.route(f"{visit.site.cloud.url}/**", lambda route: route.fulfill(status=204))
    await visit.page.click("#authorize button")
    await visit.page.wait_for_selector("#leave")


@row("wizard/account", "is-this-the-one")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.person.authorize()
    await visit.show()


@row("wizard/verification", "at-work")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.person.authorize()
    visit.site.cloud.add_fault(Fault(path=BULK, latency_ms=6000))
    await visit.person.submit("confirm")
    await visit.show()


@row("wizard/verification", "interrupted")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.person.authorize()
    flow_id = str(visit.person.page.url).rpartition("/")[2]
    flows = Flows(visit.site.store, visit.site.ring)
    kept = await flows.load(f"flow:{flow_id}")
    assert kept is not None
    # What a process leaves that was killed over it: a trial, and nobody at work on it.
    flow = msgspec.structs.replace(await visit.site.flow(flow_id), verification=new_verification())
    await flows.replace(kept, encode(flow))
    await visit.show()


@row("wizard/verification", "microsoft-away")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.person.authorize()
    visit.site.cloud.add_fault(Fault(path=BULK, status=503))
    await visit.person.confirm()
    await visit.show()


@row("wizard/verification", "may-not-read")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.person.authorize()
    visit.site.cloud.add_fault(Fault(path=BULK, status=403, body='{"error":{"code":"Forbidden"}}'))
    await visit.person.confirm()
    await visit.show()


@row("wizard/verification", "revoked-meanwhile")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.person.authorize()
    visit.site.cloud.directory.revoke(ACCOUNT)
    await visit.person.confirm()
    await visit.show()


@row("wizard/done", "key-not-shown-yet")
async def _(visit: Visit) -> None:
    for name, shown in {
        "ben": ("Busy", "InACall"),
        "chloe": ("DoNotDisturb", "Presenting"),
        "david": ("Away",),
    }.items():
        visit.site.cloud.set_presence(f"{name}@contoso.example", *shown)
    await visit.person.fill()
    await visit.person.authorize()
    await visit.person.confirm()
    await visit.show()


@row("wizard/done", "key-was-shown")
async def _(visit: Visit) -> None:
    await visit.person.onboard()
    await visit.person.overview()
    await visit.show()


@row("wizard/done", "again-in-a-suspended-organisation")
async def _(visit: Visit) -> None:
    await visit.person.onboard()
    await visit.site.tenants.happened(visit.site.tenant_id(), TenantEvent.SUSPENDED)
    await visit.person.onboard()
    await visit.person.overview()
    await visit.show()


@row("wizard/key", "shown")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.person.authorize()
    await visit.person.confirm()
    await visit.show(f"{visit.person.page.url}/key")


@row("wizard/key", "was-shown")
async def _(visit: Visit) -> None:
    await visit.person.onboard()
    await visit.show()


@row("problem", "unknown-request")
async def _(visit: Visit) -> None:
    await visit.goto(f"/onboarding/{'0' * 24}")


@row("problem", "link-is-gone")
async def _(visit: Visit) -> None:
    await visit.goto(f"/onboarding/invitation/{new_token()}")


@row("problem", "our-credential")
async def _(visit: Visit) -> None:
    (application,) = visit.site.cloud.world.applications.values()
    await visit.fill()
    await visit.page.click("#authorize button")
    await visit.page.wait_for_selector("#sign-in")
    visit.site.cloud.directory.refuse_application(application.client_id, "secret_expired")
    await visit.page.get_by_role("button", name=ACCOUNT).first.click()
    await visit.page.click("#consent button[value=accept]")
    await visit.page.wait_for_selector("main[data-page=problem]")


async def link(visit: Visit, **given: str) -> str:
    """The token of a link to Contoso."""
    token = new_token()
    expires = datetime(2026, 12, 24, 12, tzinfo=UTC).replace(year=datetime.now(UTC).year + 1)
    invitation = Invitation(tenant_id=visit.site.tenant_id(), expires=expires, **{"domain": "contoso.example", **given})
    assert expires - datetime.now(UTC) > timedelta(days=1)
    await Invitations(visit.site.store, visit.site.ring).put(token, invitation)
    return token
