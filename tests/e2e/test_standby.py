"""A grant dies under load: the standby goes on, and no console ever shows a gap."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from emulator import Fault
from relay.core.consent.grants import GrantState
from relay.core.presence import TenantId
from suite.events import Changed, Event, TenantStatus
from suite.values import Status
from tests.e2e.conftest import Edges, running
from tests.support.waiting import eventually
from tests.worker.conftest import Relay

pytestmark = pytest.mark.long

ADA, BEN, CHLOE = "ada@contoso.example", "ben@contoso.example", "chloe@contoso.example"
ACCOUNT, STANDBY = "presence-relay@contoso.example", "ben@contoso.example"


@pytest.mark.parametrize("kind", ["sessions_revoked", "mfa_required", "account_locked", "conditional_access"])
async def test_no_console_shows_a_gap_when_the_standby_takes_over_under_load(relay: Relay, edges: Edges, kind: str):
    async with running(relay, edges) as tenant_id, edges.suite(await edges.key(tenant_id), ADA, BEN, CHLOE) as console:
        await relay.onboard(STANDBY)
        await eventually(lambda: all(console.shows(name) == "Available" for name in (ADA, BEN, CHLOE)))
        first = await grant_in_use(relay, tenant_id)
        events = len(console.events)
        changing = asyncio.create_task(keep_changing(relay))
        try:
            await eventually(lambda: console.shows(ADA) == "Busy")
            relay.microsoft.directory.revoke(first, kind, access_tokens=True)
            asked = len(relay.microsoft.journal.search(path="/token"))
            await eventually(lambda: len(relay.microsoft.journal.search(path="/token")) > asked)
            await console.client.subscribe(
                ["dora@contoso.example", "emil@contoso.example"]
            )  # newcomers in the middle of it
            for wanted in ("Away", "Busy", "Away"):
                await eventually(lambda wanted=wanted: console.shows(CHLOE) == wanted)
        finally:
            changing.cancel()
        assert not gaps(console.events[events:])


def gaps(events: list[Event]) -> list[Event]:
    """What would show a person that something is wrong; that newcomers are pending for a moment is not."""
    return [
        event
        for event in events
        if isinstance(event, Changed | TenantStatus)
        and event.status not in (None, Status.NONE, Status.PENDING, Status.NOT_FOUND)
    ]


async def grant_in_use(relay: Relay, tenant_id: TenantId) -> str:
    """The UPN of the account that reads."""

    async def used() -> str:
        found = [grant for grant in await relay.vault.list(tenant_id) if grant.last_use is not None]
        return found[0].upn if found else ""

    return str(await eventually(used))


async def keep_changing(relay: Relay) -> None:
    for raw in itertools.cycle(("Busy", "Away")):
        for name in (ADA, CHLOE):
            relay.microsoft.set_presence(name, raw)
        await asyncio.sleep(0.25)


async def test_graphs_refusal_of_one_account_is_the_standbys_turn_at_once(relay: Relay, edges: Edges):
    async with running(relay, edges) as tenant_id, edges.suite(await edges.key(tenant_id), ADA) as console:
        await relay.onboard(STANDBY)
        await eventually(lambda: console.shows(ADA) == "Available")
        events = len(console.events)
        relay.microsoft.faults.add(Fault(path="/v1.0/", status=401, count=2))  # the token in use, and a fresh one
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: console.shows(ADA) == "Busy")
        assert not gaps(console.events[events:])
        assert all(grant.state is not GrantState.DEAD for grant in await relay.vault.list(tenant_id))


async def test_another_account_of_the_tenant_cures_it(relay: Relay, edges: Edges):
    async with running(relay, edges) as tenant_id, edges.suite(await edges.key(tenant_id), ADA) as console:
        await eventually(lambda: console.shows(ADA) == "Available")
        relay.microsoft.directory.revoke(ACCOUNT, access_tokens=True)
        await eventually(lambda: console.shows(ADA) is Status.CONSENT_REQUIRED)
        await relay.onboard_again(STANDBY)
        await eventually(lambda: console.shows(ADA) == "Available")
        await eventually(lambda: are(relay, tenant_id, {ACCOUNT: GrantState.DEAD, STANDBY: GrantState.HEALTHY}))


async def are(relay: Relay, tenant_id: TenantId, states: dict[str, GrantState]) -> bool:
    return {grant.upn: grant.state for grant in await relay.vault.list(tenant_id)} == states
