"""The pages of a tenant behind the sign-in."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from relay.core.audit.events import OPERATOR
from relay.core.consent.grants import GrantState
from relay.core.consent.microsoft_error import RefusalRecord, parse_error
from relay.core.consent.tenant import TenantEvent
from relay.core.presence import Status
from relay.http.paths import TENANT
from relay.store.presence.connected import ConnectedSuites, OpenStreams
from relay.store.presence.push import PushStatus
from relay.store.server import keys
from tests.onboarding.chromium import Watched
from tests.onboarding.inventory import Visit, row
from tests.onboarding.person import ACCOUNT
from tests.support.topology import raw_client

SUITES = f"{TENANT}/suites"
_SAID = parse_error(
    number=50173,
    description="AADSTS50173: The provided grant has expired due to it being revoked, a fresh auth token is needed.",
    trace_id="0d4cb9a2-5a1b-4b6e-9f7e-0e6f3b1c2d00",
    time="2026-11-26 20:15:09Z",
)


async def enter(visit: Visit) -> None:
    """Contoso is connected, and its service account is signed in."""
    await visit.grant()
    await visit.person.enter_at_once()


async def kill_the_grant(visit: Visit) -> None:
    site, tenant_id = visit.site, visit.site.tenant_id()
    (grant,) = await site.vault.list(tenant_id)
    trouble = RefusalRecord(code="invalid_grant", at=datetime.now(UTC), said=_SAID)
    await site.vault.set_state(
        tenant_id, grant.account_id, grant.version, GrantState.DEAD, "invalid_grant", trouble=trouble
    )
    await site.tenants.happened(tenant_id, TenantEvent.LAST_GRANT_DIED, trouble=trouble)


async def make_key(visit: Visit, label: str = "Reception Milan") -> str:
    await visit.person.get(SUITES)
    await visit.person.submit("new-key", label=label)
    key = visit.person.key
    return (await visit.site.suite_keys.verify(key)).key_id


@row("tenant/overview", "all-well")
async def _(visit: Visit) -> None:
    await enter(visit)
    site, tenant_id = visit.site, visit.site.tenant_id()
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    await raw_client(site.store).set(keys.tenant_contact(tenant_id), f"{now_ms} 5000 {Status.NONE.value}")
    status = PushStatus(pushed=612, polled=1204, silent=3, reason="")
    await raw_client(site.store).set(keys.tenant_push(tenant_id), msgspec.json.encode(status))
    await visit.show(TENANT)


@row("tenant/overview", "consent-died")
async def _(visit: Visit) -> None:
    await enter(visit)
    await kill_the_grant(visit)
    await visit.show(TENANT)


@row("tenant/overview", "suspended")
async def _(visit: Visit) -> None:
    await enter(visit)
    await visit.site.tenants.happened(visit.site.tenant_id(), TenantEvent.SUSPENDED)
    await visit.show(TENANT)


@row("tenant/overview", "other-organisation-refused")
async def _(visit: Visit) -> None:
    await enter(visit)
    person = visit.person
    await person.submit("add")
    person.page = await person.client.get(person.microsoft_url())
    person.client.follow_redirects = False
    await person.answer(await person.sign_in("olga@fabrikam.example"))
    person.client.follow_redirects = True
    await visit.show(TENANT)


@row("tenant/withdraw", "last")
async def _(visit: Visit) -> None:
    await enter(visit)
    await visit.show(f"{TENANT}/accounts/{visit.site.cloud.person(ACCOUNT).oid}/withdraw")


@row("tenant/suites", "some")
async def _(visit: Visit) -> None:
    await enter(visit)
    site, tenant_id = visit.site, visit.site.tenant_id()
    first = await make_key(visit)
    await site.suite_keys.touch(first, "contoso-attendant-console", "7.2.1")
    await ConnectedSuites(site.store).say("edge-1", {tenant_id: {first: OpenStreams(2, 1840)}})
    await visit.person.get(f"{SUITES}/{await make_key(visit, 'Contact centre')}/rotate")
    await visit.person.submit("rotate", overlap="7d")
    await visit.person.get(f"{SUITES}/{await make_key(visit, 'Old PBX')}/revoke")
    visit.person.client.follow_redirects = False
    await visit.person.submit("confirm")
    visit.person.client.follow_redirects = True
    await visit.show(SUITES)


@row("tenant/suites", "a-key-waits")
async def _(visit: Visit) -> None:
    await enter(visit)
    await visit.person.get(SUITES)
    visit.person.client.follow_redirects = False
    await visit.person.submit("new-key", label="Reception Milan")
    visit.person.client.follow_redirects = True
    await visit.show(SUITES)


@row("tenant/suites", "name-at-fault")
async def _(visit: Visit) -> None:
    await enter(visit)
    await visit.show(SUITES)
    await visit.page.click("#new-key button")
    await visit.page.wait_for_selector(".is-wrong")


@row("tenant/suite_key", "shown")
async def _(visit: Visit) -> None:
    await enter(visit)
    await visit.show(SUITES)
    language = await visit.page.get_attribute("html", "lang")
    await visit.page.fill("#label", "Reception Milan")
    await visit.page.click("#new-key button")
    await visit.page.wait_for_selector("#suite-key")
    assert language == visit.language.value


@row("tenant/suite_key", "was-shown")
async def _(visit: Visit) -> None:
    await enter(visit)
    await make_key(visit)
    await visit.show(f"{SUITES}/key")


@row("tenant/suite_key", "has-ended")
async def _(visit: Visit) -> None:
    await enter(visit)
    key_id = await make_key(visit)
    await visit.site.suite_keys.revoke(key_id)
    await visit.show(f"{SUITES}/key")


@row("tenant/rotate", "asks")
async def _(visit: Visit) -> None:
    await enter(visit)
    await visit.show(f"{SUITES}/{await make_key(visit)}/rotate")


@row("tenant/revoke", "asks")
async def _(visit: Visit) -> None:
    await enter(visit)
    key_id = await make_key(visit)
    await ConnectedSuites(visit.site.store).say("edge-1", {visit.site.tenant_id(): {key_id: OpenStreams(1, 12)}})
    await visit.show(f"{SUITES}/{key_id}/revoke")


@row("tenant/settings", "as-new")
async def _(visit: Visit) -> None:
    await enter(visit)
    await visit.show(f"{TENANT}/settings")
    await visit.page.click("#mapping summary")


@row("tenant/settings", "faults")
async def _(visit: Visit) -> None:
    await enter(visit)
    await visit.show(f"{TENANT}/settings")
    await visit.page.fill("#watch_domains", "contoso dot com")
    await visit.page.click("#watching button")
    await visit.page.wait_for_selector(".is-wrong")


@row("tenant/settings", "somebody-else-was-faster")
async def _(visit: Visit) -> None:
    await enter(visit)
    await visit.show(f"{TENANT}/settings")
    await visit.site.tenants.change_settings(visit.site.tenant_id(), {"watch_domains": "fabrikam.example"}, OPERATOR)
    await visit.page.fill("#watch_domains", "contoso.example")
    await visit.page.click("#watching button")
    await visit.page.wait_for_selector("#watching .notice")


@row("tenant/log", "some")
async def _(visit: Visit) -> None:
    await enter(visit)
    await make_key(visit)
    await visit.show(f"{TENANT}/log")


@row("tenant/leave", "asks")
async def _(visit: Visit) -> None:
    await enter(visit)
    await visit.show(f"{TENANT}/leave")


@row("tenant/leave", "something-else-was-typed")
async def _(visit: Visit) -> None:
    await enter(visit)
    await visit.show(f"{TENANT}/leave")
    await visit.page.fill("#domain", "contoso")
    await visit.page.click("#leave-form button")
    await visit.page.wait_for_selector(".is-wrong")


@row("tenant/left", "worker-away")
async def _(visit: Visit) -> None:
    await enter(visit)
    await visit.show(f"{TENANT}/leave")
    await visit.page.fill("#domain", "contoso.example")
    await visit.page.click("#leave-form button")
    await Watched(visit.page).again(ACCOUNT)
    await visit.page.wait_for_selector("#deleted-title")
