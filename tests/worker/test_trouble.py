"""Whether a worker does its part: what /readyz says of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.store.server import keys
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually
from tests.worker.conftest import SHORT_LEASES, Relay

pytestmark = pytest.mark.fault("V12")


async def test_a_worker_is_ready_when_its_share_is_read_and_not_while_it_cannot_reach_the_store(
    relay: Relay, raw: Redis, valkey: ValkeyServer
) -> None:
    await relay.onboard()
    async with relay.working("worker-1", SHORT_LEASES) as first:
        assert first.trouble()
        await eventually(lambda: not first.trouble())
        assert len(first.partitions) == keys.PARTITIONS
        async with FaultProxy(("127.0.0.1", valkey.port)) as proxy:
            relay.store.settings = replace(
                relay.store.settings, url=f"redis://{proxy.address}", operation_timeout=timedelta(seconds=1)
            )
            async with relay.working("worker-2", SHORT_LEASES) as second:
                await eventually(lambda: not second.trouble())
                await proxy.become(Fault.REFUSE)
                proxy.reset()
                await eventually(lambda: second.trouble() and not first.trouble())
                await proxy.become(Fault.NONE)
                await eventually(lambda: not second.trouble())
