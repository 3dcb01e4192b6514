"""Troubles that once reached others only when they were large, at the relay's own pace and at full size. For `make soak`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from emulator import Fault
from emulator.generate import generate_world
from relay.core.consent.tenant import TenantState
from relay.core.presence import Presence, TenantId
from relay.store.custody.notices import Notices
from relay.worker.settings import WorkerSettings
from tests.support.waiting import eventually
from tests.worker.conftest import Relay

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

ADA = "ada@contoso.example"
AT_OWN_PACE = WorkerSettings()
SLOW, WELL = 150, 10
"""Tenants in trouble, and others."""


@pytest.mark.fault("B2")
async def test_half_of_all_answers_refusing_the_token_for_five_minutes_ends_no_consent(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working(settings=AT_OWN_PACE):
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.add_fault(Fault(path="/v1.0/", status=401, probability=0.5))
        began = len(relay.microsoft.journal.search())
        for number in range(30):
            relay.microsoft.set_presence(ADA, ("Busy", "Away")[number % 2])
            await asyncio.sleep(10)
            known = await relay.tenants.load(tenant)
            assert known is not None
            assert known.state is TenantState.ACTIVE
        assert len(relay.microsoft.journal.search()) > began + 20
        assert not await Notices(relay.store).of(range(64))
        relay.microsoft.faults.remove()
        relay.microsoft.set_presence(ADA, "Available")
        await eventually(lambda: relay.sees(tenant, ADA, "Available"), 60)


@pytest.mark.fault("B17")
@pytest.mark.parametrize(
    "trouble",
    [
        lambda tenant: Fault(contains=f"{tenant}/oauth2/v2.0/token", latency_ms=20_000),
        lambda tenant: Fault(path="/v1.0/communications/getPresencesByUserId", tenant=tenant, latency_ms=60_000),
    ],
    ids=["slow tokens", "hanging reads"],
)
async def test_a_hundred_and_fifty_slow_tenants_make_nobody_else_stale(
    relay: Relay, trouble: Callable[[TenantId], Fault]
):
    for tenant in generate_world(tenants=SLOW + WELL, people=2).tenants.values():
        relay.microsoft.world.add_tenant(tenant)
    tenants = [await relay.onboard(f"relay@t{number}.example") for number in range(SLOW + WELL)]
    well = {tenant: f"p0@t{number}.example" for number, tenant in enumerate(tenants[:WELL])}
    for tenant in tenants[WELL:]:
        relay.microsoft.add_fault(trouble(tenant))
    for number, tenant in enumerate(tenants):
        await relay.watch(tenant, f"p0@t{number}.example")

    async def shown(raw: str) -> bool:
        return all([await relay.sees(tenant, name, raw) for tenant, name in well.items()])

    async with relay.working(settings=AT_OWN_PACE):
        for number in range(10):
            raw = ("Busy", "Away")[number % 2]
            for name in well.values():
                relay.microsoft.set_presence(name, raw)
            # At first nobody is known to be slow. What an earlier worker stored would turn stale after 15 s.
            await eventually(lambda raw=raw: shown(raw), timeout=15)
            for tenant, name in well.items():
                assert isinstance(await relay.answer(tenant, name), Presence)
            await asyncio.sleep(5)
