from __future__ import annotations

from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.errors import LeaseLost
from relay.store.presence.leases import Leases, new_nonce
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.support.waiting import eventually

MINUTE = timedelta(minutes=1)


@pytest.mark.each_topology
async def test_a_partition_has_one_owner(store: Store) -> None:
    leases = Leases(store)
    first = await leases.acquire(3, "worker-1", MINUTE)
    assert first is not None
    assert await leases.acquire(3, "worker-2", MINUTE) is None
    assert await leases.acquire(3, "worker-1", MINUTE) is None
    assert await leases.acquire(4, "worker-2", MINUTE) is not None


@pytest.mark.each_topology
async def test_a_released_partition_is_free_and_its_next_fencing_token_is_greater(store: Store) -> None:
    leases = Leases(store)
    first = await leases.acquire(3, "worker-1", MINUTE)
    assert first
    await leases.release(first)
    second = await leases.acquire(3, "worker-1", MINUTE)
    assert second
    assert second.fence > first.fence
    assert second.value != first.value


async def test_releasing_a_lost_lease_leaves_the_new_owner_alone(store: Store, raw: Redis) -> None:
    leases = Leases(store)
    first = await leases.acquire(3, "worker-1", MINUTE)
    await raw.delete(keys.lease(3))
    second = await leases.acquire(3, "worker-2", MINUTE)
    assert first
    assert second
    await leases.release(first)
    assert await leases.renew([second], MINUTE) == {second}


async def test_renewing_says_which_leases_are_still_held(store: Store, raw: Redis) -> None:
    leases = Leases(store)
    held = [await leases.acquire(partition, "worker-1", MINUTE) for partition in range(5)]
    assert all(held)
    await raw.delete(keys.lease(1))
    await leases.acquire(1, "worker-2", MINUTE)
    await raw.delete(keys.lease(2))
    kept = await leases.renew([lease for lease in held if lease], timedelta(minutes=2))
    assert {lease.partition for lease in kept} == {0, 3, 4}
    assert await raw.pttl(keys.lease(0)) > 60_000
    assert await leases.renew([], MINUTE) == set()


@pytest.mark.fault("V4")
async def test_a_fenced_lease_is_another_one_and_what_shows_the_old_one_is_refused(store: Store, raw: Redis) -> None:
    leases = Leases(store)
    first = await leases.acquire(3, "worker-1", MINUTE)
    assert first
    nonce = new_nonce()
    second = await leases.fence(first, nonce, MINUTE)
    assert second.fence > first.fence
    assert await leases.renew([first, second], MINUTE) == {second}
    assert await leases.fence(first, nonce, timedelta(minutes=2)) == second  # no answer came: asked again
    assert await raw.pttl(keys.lease(3)) > 60_000
    with pytest.raises(LeaseLost):
        await leases.fence(first, new_nonce(), MINUTE)
    await raw.delete(keys.lease(3))
    with pytest.raises(LeaseLost):
        await leases.fence(second, new_nonce(), MINUTE)


async def test_a_lease_expires(store: Store) -> None:
    leases = Leases(store)
    first = await leases.acquire(3, "worker-1", timedelta(milliseconds=30))
    assert first

    async def free() -> bool:
        return await leases.acquire(3, "worker-2", MINUTE) is not None

    await eventually(free)
    assert await leases.renew([first], MINUTE) == set()


@pytest.mark.each_topology
async def test_renewing_works_on_a_server_that_lost_its_scripts(store: Store, raw: Redis) -> None:
    leases = Leases(store)
    held = [lease for p in range(3) if (lease := await leases.acquire(p, "worker-1", MINUTE))]
    await raw.script_flush()
    assert await leases.renew(held, MINUTE) == set(held)


@pytest.mark.parametrize("worker", ["", "a b", "x\n", "y" * 201])
async def test_a_name_that_would_confuse_the_lease_is_refused(store: Store, worker: str) -> None:
    with pytest.raises(ValueError):
        await Leases(store).acquire(3, worker, MINUTE)
