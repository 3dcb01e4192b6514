"""Every connection to Redis is reset, for seconds, again and again: workers live, and presence moves again at once."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from relay.store.server import keys
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually
from tests.worker.conftest import SHORT_LEASES, Relay

pytestmark = [pytest.mark.fault("V2", "V12"), pytest.mark.long]

WELL_WITHIN_S = 2.0
"""Of presence after a storm, when the machine has nothing else to do."""
ADA = "ada@contoso.example"


async def test_workers_outlive_a_storm_of_resets(relay: Relay, valkey: ValkeyServer) -> None:
    assert await _storms(relay, valkey, count=1, seconds=2.0)


@pytest.mark.soak
async def test_after_each_of_ten_storms_of_resets_presence_moves_within_two_seconds(
    relay: Relay, valkey: ValkeyServer
) -> None:
    took = await _storms(relay, valkey, count=10, seconds=10.0)
    assert max(took) <= WELL_WITHIN_S, took


async def _storms(relay: Relay, valkey: ValkeyServer, count: int, seconds: float) -> list[float]:
    """How long presence took to move after each storm, in seconds, with two workers behind the storm."""
    tenant_id = await relay.onboard()
    await relay.watch(tenant_id, ADA)
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(FaultProxy(("127.0.0.1", valkey.port)))
        direct, relay.store.settings = (
            relay.store.settings,
            replace(relay.store.settings, url=f"redis://{proxy.address}"),
        )
        workers = [
            await stack.enter_async_context(relay.working(f"worker-{number}", SHORT_LEASES)) for number in (1, 2)
        ]
        relay.store.settings = direct
        await eventually(lambda: len(set().union(*(one.partitions for one in workers))) == keys.PARTITIONS)
        took = []
        for number in range(count):
            await _storm(proxy, seconds)
            well = time.monotonic()
            shown = "Busy" if number % 2 else "DoNotDisturb"
            relay.microsoft.set_presence(ADA, shown, shown)
            await eventually(lambda shown=shown: relay.sees(tenant_id, ADA, shown), timeout=30)
            took.append(time.monotonic() - well)
            await eventually(lambda: not any(one.trouble() for one in workers), timeout=30)  # both live
        assert proxy.resets > count
        return took


async def _storm(proxy: FaultProxy, seconds: float) -> None:
    """Reset every connection there is, again and again, and each new one in its first reply."""
    await proxy.become(Fault.RESET_REPLY)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        proxy.reset()
        await asyncio.sleep(0.03)
    await proxy.become(Fault.NONE)
    proxy.reset()
