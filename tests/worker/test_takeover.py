"""What a new owner says of presence that an earlier one stored: as old as it is, until Graph has confirmed it again."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from emulator import Fault
from relay.core.presence import Status, TenantId
from relay.store.presence.entries import TenantContact, render_contact
from relay.store.server import keys
from tests.support.clock import SteppedClock
from tests.support.waiting import eventually
from tests.worker.conftest import SOON_STALE, Relay

ADA = "ada@contoso.example"
OLD_MS = 40_000


async def left_behind(relay: Relay, raw: Redis) -> tuple[TenantId, int]:
    """A tenant whose owner was killed 40 s ago, and its contact time."""
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
    await relay.died(tenant)
    contact_ms = int(time.time() * 1000) - OLD_MS
    contact = TenantContact(tenant, contact_ms, 300, Status.NONE, 5000)
    await raw.set(keys.tenant_contact(tenant), render_contact(contact))
    return tenant, contact_ms


async def said(relay: Relay, raw: Redis, tenant: TenantId) -> TenantContact:
    """What an owner says of the tenant first."""
    before = await raw.get(keys.tenant_contact(tenant))

    async def other() -> bool:
        return bool(await raw.get(keys.tenant_contact(tenant)) != before)

    await eventually(other)
    contact = await relay.presences.contact_of(tenant)
    assert contact is not None
    return contact


@pytest.mark.fault("V7")
async def test_until_graph_answers_a_new_owner_says_how_old_the_presence_is(relay: Relay, raw: Redis) -> None:
    tenant, contact_ms = await left_behind(relay, raw)
    relay.microsoft.add_fault(Fault(path="/v1.0/communications", latency_ms=3000))
    async with relay.working(settings=SOON_STALE):
        contact = await said(relay, raw, tenant)
        assert (contact.contact_ms, contact.status) == (contact_ms, Status.STALE)

        async def is_confirmed() -> bool:
            contact = await relay.presences.contact_of(tenant)
            return contact is not None and contact.contact_ms > contact_ms and contact.status is Status.NONE

        await eventually(is_confirmed)


@pytest.mark.long
@pytest.mark.parametrize("off_h", [-1, 1])
async def test_a_worker_whose_clock_is_an_hour_off_neither_ages_presence_nor_makes_it_younger(
    relay: Relay, raw: Redis, off_h: int
) -> None:
    tenant, contact_ms = await left_behind(relay, raw)
    relay.microsoft.add_fault(Fault(path="/v1.0/communications", latency_ms=3000))
    async with relay.working(settings=SOON_STALE, clock=SteppedClock(wall=datetime.now(UTC) + timedelta(hours=off_h))):
        contact = await said(relay, raw, tenant)
        assert (contact.contact_ms, contact.status) == (contact_ms, Status.STALE)

        async def is_confirmed() -> bool:
            contact = await relay.presences.contact_of(tenant)
            return (
                contact is not None
                and abs(contact.contact_ms - time.time() * 1000) < 60_000
                and contact.status is Status.NONE
            )

        await eventually(is_confirmed)


@pytest.mark.fault("V7")
async def test_presence_of_which_nobody_knows_when_graph_confirmed_it_is_not_called_fresh(
    relay: Relay, raw: Redis
) -> None:
    tenant, _ = await left_behind(relay, raw)
    await raw.delete(keys.tenant_contact(tenant))
    relay.microsoft.add_fault(Fault(path="/v1.0/communications", latency_ms=60_000))
    async with relay.working(settings=SOON_STALE):
        contact = await said(relay, raw, tenant)
        assert (contact.contact_ms, contact.status) == (0, Status.STALE)


@pytest.mark.fault("V7")
async def test_a_tenant_that_graph_has_never_answered_for_has_no_contact(relay: Relay, raw: Redis) -> None:
    tenant = await relay.onboard()
    await relay.watch(tenant, ADA)
    relay.microsoft.add_fault(Fault(path="/v1.0/$batch", latency_ms=60_000))
    async with relay.working(settings=SOON_STALE):
        contact = await said(relay, raw, tenant)
        assert contact.contact_ms == 0
