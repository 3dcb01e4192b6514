"""Workers whose time of day is set while they run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from emulator import Fault
from relay.core.presence import Status
from tests.support.clock import SteppedClock
from tests.support.waiting import eventually
from tests.worker.conftest import Relay

ADA = "ada@contoso.example"


@pytest.mark.parametrize("off_h", [-1, 1])
async def test_a_pause_after_refusals_ends_in_time_although_the_clock_is_set(relay: Relay, off_h: int) -> None:
    clock = SteppedClock(wall=datetime.now(UTC) + timedelta(hours=off_h))
    tenant = await relay.onboard()
    relay.microsoft.add_fault(Fault(contains="/oauth2/", status=503))
    async with relay.working(clock=clock):
        await relay.watch(tenant, ADA)

        async def is_told() -> bool:
            return await relay.answer(tenant, ADA) is Status.SOURCE_UNREACHABLE

        await eventually(is_told)
        clock.set_wall(datetime.now(UTC))
        relay.microsoft.faults.remove()
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
