"""The number of pushed users, written by a tenant's owner and read by operators."""

from __future__ import annotations

from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.errors import LeaseLost
from relay.store.presence.leases import Lease, Leases
from relay.store.presence.presences import Presences
from relay.store.presence.push import PushStatus, PushStatuses
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store.samples import TENANT, tenant_in

STATUS = PushStatus(pushed=650, polled=12, silent=3, reason="Microsoft allows no further subscription")


@pytest.mark.each_topology
async def test_a_status_is_read_as_it_was_written_until_the_tenant_leaves(store: Store, lease: Lease) -> None:
    statuses = PushStatuses(store)
    assert await statuses.load(TENANT) is None
    await statuses.put(lease, TENANT, STATUS)
    assert await statuses.load(TENANT) == STATUS
    await Presences(store).drop(lease, TENANT)
    assert await statuses.load(TENANT) is None


async def test_who_does_not_own_the_partition_writes_nothing(store: Store, lease: Lease) -> None:
    statuses = PushStatuses(store)
    other = await Leases(store).acquire((lease.partition + 1) % keys.PARTITIONS, "worker-2", timedelta(minutes=1))
    assert other is not None
    with pytest.raises(LeaseLost):
        await statuses.put(other, TENANT, STATUS)
    await Leases(store).release(lease)
    with pytest.raises(LeaseLost):
        await statuses.put(lease, TENANT, STATUS)
    assert await statuses.load(TENANT) is None
    assert await statuses.load(tenant_in(other.partition)) is None


async def test_a_status_of_another_release_is_as_good_as_none(store: Store, raw: Redis) -> None:
    await raw.set(keys.tenant_push(TENANT), b'{"pushed": "many"}')
    assert await PushStatuses(store).load(TENANT) is None
