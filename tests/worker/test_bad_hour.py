"""Microsoft refuses: a part of what it is asked, or everything for a while. A worker, and what its suites see."""

from __future__ import annotations

import asyncio

import pytest

from emulator import Fault
from tests.worker.conftest import Relay, eventually

ADA = "ada@contoso.example"
BULK = "/v1.0/communications/getPresencesByUserId"


def _reads(relay: Relay) -> int:
    return sum(entry.path.startswith(BULK) for entry in relay.microsoft.journal)


@pytest.mark.fault("B3")
@pytest.mark.parametrize("asked", ["0", "0.124", "Wed, 21 Oct 2015 07:28:00 GMT"])
async def test_refusals_that_ask_for_no_pause_get_one(relay: Relay, asked: str):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        before = _reads(relay)
        relay.microsoft.add_fault(Fault(path=BULK, status=429, headers={"Retry-After": asked}, for_s=1.5))
        await asyncio.sleep(1.5)
        assert _reads(relay) - before <= 7  # some of them before the fault
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"), timeout=5)
