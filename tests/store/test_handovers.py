"""A handover is read by the very next owner of the partition, and by nobody else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.core.presence import UserId
from relay.errors import LeaseLost
from relay.store.presence.handovers import HandedPage, HandedRefusal, Handover, Handovers
from relay.store.presence.leases import Lease, Leases
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store.samples import TENANT

MINUTE = timedelta(minutes=1)
ADA, BEN = UserId("aaaaaaaa-0000-4000-8000-000000000001"), UserId("aaaaaaaa-0000-4000-8000-000000000002")
POSITION = b"17-3"


def handover(fence: int) -> Handover:
    return Handover(
        fence,
        "digest",
        pages=(HandedPage((ADA, BEN), True, 1_000, 61_000),),
        unseen=(BEN,),
        refused=(HandedRefusal(BEN, 2, None),),
        renewals={ADA: 90_000},
        slow_down=2.0,
        blocked_until_ms=5_000,
    )


@pytest.mark.each_topology
async def test_the_next_owner_reads_what_was_left(store: Store, lease: Lease) -> None:
    handovers, leases = Handovers(store), Leases(store)
    await handovers.leave(lease, POSITION, {TENANT: handover(lease.fence)})
    await leases.release(lease)
    [taken] = (await leases.take([lease.partition], "worker-2", MINUTE)).taken
    assert taken.handed_over == POSITION
    assert await handovers.load(TENANT, taken.lease.fence - 1) == handover(lease.fence)


async def test_an_owner_after_another_one_finds_nothing(store: Store, lease: Lease) -> None:
    handovers, leases = Handovers(store), Leases(store)
    await handovers.leave(lease, POSITION, {TENANT: handover(lease.fence)})
    await leases.release(lease)
    between = await leases.acquire(lease.partition, "worker-2", MINUTE)
    assert between is not None
    await leases.release(between)
    [taken] = (await leases.take([lease.partition], "worker-3", MINUTE)).taken
    assert taken.handed_over is None
    assert await handovers.load(TENANT, taken.lease.fence - 1) is None


async def test_who_has_lost_the_partition_leaves_nothing(store: Store, lease: Lease) -> None:
    await Leases(store).release(lease)
    with pytest.raises(LeaseLost):
        await Handovers(store).leave(lease, POSITION, {TENANT: handover(lease.fence)})


async def test_a_handover_expires(store: Store, lease: Lease, raw: Redis) -> None:
    await Handovers(store).leave(lease, POSITION, {})
    assert 0 < await raw.pttl(keys.handover(lease.partition)) <= timedelta(minutes=10) / timedelta(milliseconds=1)


async def test_a_partition_is_taken_whatever_its_handover_holds(store: Store, lease: Lease, raw: Redis) -> None:
    leases = Leases(store)
    await leases.release(lease)
    await raw.set(keys.handover(lease.partition), "not a hash")
    [taken] = (await leases.take([lease.partition], "worker-2", MINUTE)).taken
    assert taken.handed_over is None
