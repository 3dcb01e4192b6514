"""A worker that has lost its leases, or cannot know: it does nothing at Microsoft."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from relay.core.presence import Name, TenantId, UserId
from relay.errors import LeaseLost
from relay.graph.presence.directory import resolve
from relay.graph.presence.presences import read_presences
from relay.graph.push import subscriptions as graph
from relay.store.presence.leases import Lease
from relay.store.server import keys
from relay.worker.cloud import Cloud
from relay.worker.grants.pool import GrantPool
from relay.worker.tenure import Tenure
from relay.worker.worker import Worker
from tests.graph.conftest import Tokens, settings_for
from tests.support.clock import SteppedClock
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually
from tests.worker.conftest import SETTINGS, SHORT_LEASES, Relay, WebhookTls
from tests.worker.test_push import ADA, BEN, Push, hooked

pytestmark = pytest.mark.long

HOUR = timedelta(hours=1)
LEASE_S = SHORT_LEASES.lease.total_seconds()
IMPATIENT = {
    "announced_within": timedelta(milliseconds=300),
    "reconcile_interval": timedelta(milliseconds=100),
    "lease": SHORT_LEASES.lease,
}
"""Silence is noticed at once by whoever goes on reading and hears no notification."""


@asynccontextmanager
async def behind_a_line(
    relay: Relay, valkey: ValkeyServer, tls: WebhookTls
) -> AsyncIterator[tuple[Push, TenantId, Worker, FaultProxy]]:
    """A worker whose line to the store can be cut, with one subscription of two users."""
    async with FaultProxy(("127.0.0.1", valkey.port)) as line, hooked(relay, tls, **IMPATIENT) as push:
        tenant = await relay.onboard()
        async with relay.working("cut-off", push.settings, through=line.port) as worker:
            await relay.watch(tenant, ADA, BEN)
            await push.covers(tenant, 2)
            yield push, tenant, worker, line


@pytest.mark.fault("V9", "V12")
async def test_a_worker_that_is_cut_off_asks_microsoft_nothing_after_its_lease_and_leaves_its_successors_subscription(
    relay: Relay, valkey: ValkeyServer, webhook_tls: WebhookTls
):
    async with behind_a_line(relay, valkey, webhook_tls) as (push, tenant, worker, line):
        [subscription] = push.live
        with capture_logs() as lines:
            await line.become(Fault.BLACK_HOLE)
            over = time.time() + LEASE_S  # the last proof was asked for before the line was cut
            await eventually(lambda: not worker.partitions)
            await asyncio.sleep(max(0.0, over - time.time()) + 0.5)  # five reads, by the settings
            assert [entry.path for entry in relay.microsoft.journal if entry.utc > over] == []
            await eventually(lambda: _said(lines, "partitions_all_lost"))
        assert [line for line in lines if line["event"] == "lease_lost" and line["log_level"] != "debug"] == []

        async with relay.working("successor", push.settings):
            for who in (ADA, BEN):
                relay.microsoft.act(who, "call")
                await push.shows(tenant, who, "Busy")
            for _ in range(2):  # who heard no notification of all this would take them for silent
                for who in (ADA, BEN):
                    relay.microsoft.act(who, "hang_up")
                    relay.microsoft.act(who, "call")
                await asyncio.sleep(0.4)
            assert [life.id for life in push.live] == [subscription.id]
            assert not any(entry.method == "DELETE" for entry in relay.microsoft.journal)


@pytest.mark.fault("V9")
async def test_a_worker_that_was_stopped_asks_microsoft_nothing_before_its_lease_is_proven_again(
    relay: Relay, valkey: ValkeyServer, webhook_tls: WebhookTls
):
    async with behind_a_line(relay, valkey, webhook_tls) as (push, tenant, worker, line):
        line.reset()
        await line.become(Fault.BLACK_HOLE)
        time.sleep(LEASE_S)  # as SIGSTOP does  # noqa: ASYNC251
        woken = time.time()
        await eventually(lambda: not worker.partitions)
        await asyncio.sleep(0.5)
        # What was under way when it was stopped is noted by the cloud when both go on.
        assert [entry.path for entry in relay.microsoft.journal if entry.utc > woken + 0.2] == []

        await line.become(Fault.NONE)
        line.reset()
        await eventually(lambda: keys.partition_of(tenant) in worker.partitions, timeout=20)
        relay.microsoft.act(ADA, "call")
        await push.shows(tenant, ADA, "Busy")
        assert len(push.lives) == 1


async def _asks(relay: Relay, cloud: Cloud, tenant: TenantId) -> dict[str, Callable[[], Awaitable[object]]]:
    pool = GrantPool(tenant, relay.vault, cloud)
    await pool.load()
    [account] = pool.accounts
    at_hand = Tokens(relay.microsoft)

    async def free() -> None:
        return None

    return {
        "a token": pool,
        "a fresh token": pool.of(account, fresh=True),
        "presences": lambda: read_presences(cloud.client, at_hand, [UserId(relay.microsoft.person(ADA).oid)]),
        "names": lambda: resolve(cloud.client, at_hand, [Name(ADA)], free),
        "subscriptions": lambda: graph.list_all(cloud.client, at_hand),
        "an end": lambda: graph.delete(cloud.client, at_hand, "00000000-0000-4000-8000-000000000001"),
        "a renewal": lambda: graph.renew(cloud.client, at_hand, "00000000-0000-4000-8000-000000000001", datetime.now(UTC) + HOUR, None),
    }  # fmt: skip


@pytest.mark.fault("V9")
async def test_nothing_of_microsofts_can_be_asked_through_what_a_partition_is_given_once_its_tenure_is_over(
    relay: Relay,
):
    tenant = await relay.onboard()
    tenure = Tenure(Lease(keys.partition_of(tenant), "worker-1", 1, "n"), time.monotonic(), HOUR)
    async with Cloud(settings_for(relay.microsoft), relay.vault) as cloud:
        asks = await _asks(relay, cloud.behind(tenure.demand), tenant)
        assert await asks["a token"]()
        tenure.end()
        asked = len(relay.microsoft.journal)
        for what, ask in asks.items():
            if what == "a token":
                continue  # one that is at hand costs no request
            with pytest.raises(LeaseLost):
                await ask()
        assert len(relay.microsoft.journal) == asked, "requests were sent"


def test_a_tenure_is_counted_from_when_its_proof_was_asked_for():
    clock = SteppedClock(is_stopped=True)
    now = clock.monotonic()
    tenure = Tenure(Lease(1, "worker-1", 1, "n"), now - 4.0, timedelta(seconds=5), clock)
    assert tenure.is_live
    tenure.prove(now - 5.0)  # an older answer that came late
    assert tenure.until == now + 1.0
    tenure.prove(now)
    assert tenure.until == now + 5.0
    clock.advance(4.9)
    assert tenure.is_live
    clock.advance(0.1)
    assert not tenure.is_live
    tenure.prove(clock.monotonic())  # late, but not ended yet
    assert tenure.is_live
    tenure.end()
    tenure.prove(clock.monotonic())
    assert not tenure.is_live
    with pytest.raises(LeaseLost):
        tenure.demand()


def _said(lines: list[dict[str, object]], event: str) -> bool:
    return any(line["event"] == event for line in lines)


@pytest.mark.fault("V12")
async def test_a_worker_that_stops_is_taken_over_without_waiting_for_anything_to_expire(relay: Relay):
    """Leases of a minute: whoever waited for one, or for the next look, would not be in time."""
    settings = replace(SETTINGS, lease=timedelta(minutes=1), lease_renewal=timedelta(seconds=20))
    tenant = await relay.onboard()
    await relay.watch(tenant, ADA)
    async with AsyncExitStack() as later:
        async with relay.working("first", settings) as first:
            await eventually(lambda: len(first.partitions) == keys.PARTITIONS)
            second = await later.enter_async_context(relay.working("second", settings))
            await eventually(lambda: second.partitions)
        await eventually(lambda: len(second.partitions) == keys.PARTITIONS)
        relay.microsoft.act(ADA, "call")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))
