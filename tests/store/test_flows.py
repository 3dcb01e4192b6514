"""Flows: sealed, short-lived, taken once, replaced only as they were read."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.errors import StoreUnavailable
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.sealing.short_lived import Flows
from relay.store.server.connection import Store
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

NAME = "flow:0123456789abcdef01234567"
RING = KeyRing.from_json(make_ring("test", now_s=0))


@pytest.fixture
def flows(store: Store) -> Flows:
    return Flows(store, RING)


@pytest.mark.each_topology
async def test_what_is_put_is_loaded_and_nobody_else_can_read_it(flows: Flows, raw: Redis):
    await flows.put(NAME, "the content")
    kept = await flows.load(NAME)
    assert kept is not None
    assert kept.content == "the content"
    (key,) = await raw.keys("*")
    assert key.startswith(b"flow:")
    assert b"0123456789abcdef01234567" not in key
    assert b"content" not in await raw.get(key)
    assert "content" not in repr(kept)


async def test_a_flow_goes_by_itself_after_a_quarter_of_an_hour_of_quiet(flows: Flows, raw: Redis):
    await flows.put(NAME, "x")
    (key,) = await raw.keys("*")
    assert 14 * 60_000 < await raw.pttl(key) <= 15 * 60_000
    await raw.pexpire(key, 1000)
    await flows.load(NAME)
    assert await raw.pttl(key) > 14 * 60_000, "a page that is looked at is not taken away"


async def test_an_expired_flow_is_gone(store: Store, raw: Redis):
    flows = Flows(store, RING, timedelta(milliseconds=20))
    await flows.put(NAME, "x")

    async def is_empty() -> bool:
        return not await raw.keys("*")  # reading the flow itself would keep it alive

    await eventually(is_empty)
    assert await flows.load(NAME) is None
    assert await flows.take(NAME) is None


@pytest.mark.each_topology
async def test_of_many_that_take_a_flow_one_gets_it(flows: Flows):
    await flows.put(NAME, "x")
    taken = await asyncio.gather(*(flows.take(NAME) for _ in range(10)))
    assert sorted(taken, key=str) == [None] * 9 + ["x"]


async def test_of_two_that_replace_what_they_read_the_second_finds_out(flows: Flows):
    await flows.put(NAME, "first")
    one, other = await flows.load(NAME), await flows.load(NAME)
    assert one is not None
    assert other is not None
    replaced = await flows.replace(one, "second")
    assert await flows.replace(other, "lost") is None
    assert replaced is not None
    assert await flows.replace(replaced, "third") is not None
    kept = await flows.load(NAME)
    assert kept is not None
    assert kept.content == "third"


async def test_a_flow_that_is_gone_is_not_brought_back(flows: Flows):
    await flows.put(NAME, "first")
    kept = await flows.load(NAME)
    assert kept is not None
    await flows.drop(NAME)
    assert await flows.replace(kept, "second") is None
    assert await flows.load(NAME) is None


async def test_a_flow_moved_to_another_name_or_damaged_does_not_open(flows: Flows, raw: Redis):
    await flows.put(NAME, "x")
    (key,) = await raw.keys("*")
    await flows.put("flow:other", "y")
    (other,) = set(await raw.keys("*")) - {key}
    await raw.set(other, await raw.get(key))
    assert await flows.load("flow:other") is None
    await raw.set(key, b"garbage")
    assert await flows.load(NAME) is None
    assert await flows.take(NAME) is None


async def test_a_flow_under_a_lost_key_is_unknown(flows: Flows, store: Store):
    await flows.put(NAME, "x")
    assert await Flows(store, KeyRing.from_json(make_ring("another", now_s=1))).load(NAME) is None


async def test_what_was_replaced_survives_a_crash(flows: Flows, valkey: ValkeyServer):
    await flows.put(NAME, "first")
    kept = await flows.load(NAME)
    assert kept is not None
    await flows.replace(kept, "second")
    valkey.kill()
    try:
        with pytest.raises(StoreUnavailable):
            await flows.load(NAME)
    finally:
        valkey.start()
    kept = await flows.load(NAME)
    assert kept is not None
    assert kept.content == "second"
