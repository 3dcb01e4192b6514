"""A real Valkey for all tests of the store, empty for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.store.presence.leases import Lease, Leases
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from tests.store.samples import TENANT
from tests.support.valkey import ValkeyServer


@pytest.fixture
async def store(valkey: ValkeyServer, raw: Redis) -> AsyncIterator[Store]:
    async with Store(StoreSettings(url=valkey.url)) as store:
        yield store


@pytest.fixture
async def lease(store: Store) -> Lease:
    """A lease of the partition of `TENANT`."""
    lease = await Leases(store).acquire(keys.partition_of(TENANT), "worker-1", timedelta(minutes=1))
    assert lease is not None
    return lease
