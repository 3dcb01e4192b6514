"""The pages where organisations do not come in by themselves."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from onboarding.wizard.flow import encode
from relay.core.consent.tenant import SignUp, TenantState
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.sealing.short_lived import Flows
from tests.onboarding.inventory import Visit, row


@row("wizard/invited_only", "first-page")
async def _(visit: Visit) -> None:
    settings, before = visit.site.settings, visit.site.settings.sign_up

    async def undo() -> None:
        object.__setattr__(settings, "sign_up", before)

    visit.undo.append(undo)
    object.__setattr__(settings, "sign_up", SignUp.INVITED)
    await visit.goto("/onboarding")


@row("wizard/pending", "for-approval")
async def _(visit: Visit) -> None:
    await visit.show(await waiting(visit))


@row("wizard/pending", "approved")
async def _(visit: Visit) -> None:
    path = await waiting(visit)
    await visit.site.tenants.approve(visit.site.tenant_id())
    await visit.show(path)


@row("wizard/pending", "refused")
async def _(visit: Visit) -> None:
    path = await waiting(visit)
    await visit.site.tenants.refuse(visit.site.tenant_id())
    await visit.show(path)


@row("tenant/overview", "waits-for-approval")
async def _(visit: Visit) -> None:
    await waiting(visit)
    await sign_in(visit)
    await visit.show("/onboarding/tenant")


@row("tenant/suites", "waits-for-approval")
async def _(visit: Visit) -> None:
    await waiting(visit)
    await sign_in(visit)
    await visit.show("/onboarding/tenant/suites")


@row("tenant/closed", "refused")
async def _(visit: Visit) -> None:
    await waiting(visit)
    await sign_in(visit)
    await visit.site.tenants.refuse(visit.site.tenant_id(), "We do not know your organisation.")
    await visit.show("/onboarding/tenant")


@row("wizard/verification", "turned-away-meanwhile")
async def _(visit: Visit) -> None:
    await visit.person.fill()
    await visit.person.authorize()
    await visit.site.tenants.remove(visit.site.tenant_id(), reason="The contract has ended.")
    await visit.person.confirm()
    await visit.show()


async def waiting(visit: Visit) -> str:
    """The person has been through the wizard where it ends with waiting; returns the flow's path."""
    site, person = visit.site, visit.person
    await person.fill()
    await person.authorize()
    await person.confirm()
    path = person.page.url.path
    flow_id = path.rpartition("/")[2]
    tenant = await site.tenants.load(site.tenant_id())
    assert tenant is not None
    for key in await SuiteKeys(site.store).list(tenant.tenant_id):
        await SuiteKeys(site.store).revoke(key.key_id)
    await site.tenants.put(replace(tenant, state=TenantState.PENDING))
    flows, flow = Flows(site.store, site.ring), await site.flow(flow_id)
    kept = await flows.load(f"flow:{flow_id}")
    assert kept is not None
    assert flow.admitted is not None
    admitted = msgspec.structs.replace(flow.admitted, is_pending=True, key="", key_id="")
    await flows.replace(kept, encode(msgspec.structs.replace(flow, admitted=admitted)))
    return path


async def sign_in(visit: Visit) -> None:
    await visit.person.enter()
