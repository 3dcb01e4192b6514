"""An edge that is killed is forgotten, and one that lives makes good what the store lost of it."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest
from redis.asyncio import Redis

from relay.edge.settings import EdgeSettings
from relay.store.presence.connected import ConnectedSuites
from relay.store.presence.interest import Interest
from relay.store.server import keys
from relay.store.server.layout import Client
from relay.worker.tenant.loop import EXPIRED_EDGES_EVERY
from tests.edge.killable import killable_edge
from tests.edge.suite import SuiteStream
from tests.edge.worker import TENANT, name
from tests.support.clock import SteppedClock
from tests.support.waiting import eventually

SOON = timedelta(seconds=1.5)


def test_a_killed_edge_is_forgotten_within_a_minute_by_everybody() -> None:
    assert EdgeSettings().forgotten_after + EXPIRED_EDGES_EVERY < timedelta(minutes=1)


@pytest.mark.long
@pytest.mark.fault("V12")
async def test_what_a_killed_edge_left_is_gone_and_a_living_ones_stays(
    worker, store, valkey, raw: Redis, suite
) -> None:
    stays = await suite().open(name(0), name(1)).ready()
    key = await worker.issue()
    interest, connected = Interest(store), ConnectedSuites(store, SOON)
    (living,) = await interest.read_edges(TENANT)

    async def is_connected() -> bool:
        return key.key_id in await connected.of(TENANT)

    async def is_forgotten() -> bool:
        return await interest.read_edges(TENANT) == {living} and not await is_connected()

    with killable_edge(valkey.url_of(Client.EDGE), SOON) as (process, port):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stream = await SuiteStream(channel, key.text).open(name(1), name(2)).ready()
            await eventually(is_connected)
            await eventually(lambda: _watch(interest, 3))
            process.kill()
            await stream.ending()
    await eventually(is_forgotten)
    await eventually(lambda: _watch(interest, 2))
    assert await raw.smembers(keys.tenant_edges(TENANT)) == {living.encode()}
    assert [key async for key in raw.scan_iter("*interest*")] == [keys.interest(TENANT, living)]
    assert stays.error is None


async def _watch(interest: Interest, distinct: int) -> bool:
    return await interest.count(TENANT) == distinct


@pytest.mark.parametrize("lost", ["expired", "flushed", "a part"])
async def test_interest_that_the_store_lost_is_registered_again_with_the_next_sign_of_life(
    lost: str, worker, store, raw: Redis, start_edge, connect, suite
) -> None:
    """History is the same, so nothing but the number of names tells."""
    edge = await start_edge(clock := SteppedClock())
    stream = await suite(channel=await connect(edge)).open(name(0), name(1)).ready()
    interest = Interest(store)
    (own,) = await interest.read_edges(TENANT)
    match lost:
        case "expired":
            await raw.delete(keys.interest(TENANT, own))
            assert await interest.read_edges(TENANT) == set()
        case "flushed":
            await raw.delete(keys.interest(TENANT, own), keys.tenant_edges(TENANT), keys.tenant_shared(TENANT))
        case "a part":
            await raw.srem(keys.interest(TENANT, own), name(1))

    async def is_there_again() -> bool:
        clock.advance(EdgeSettings().forgotten_after.total_seconds() / 3)
        return await interest.read(TENANT) == {own: {name(0), name(1)}}

    await eventually(is_there_again)
    assert await interest.count(TENANT) == 2
    assert stream.error is None
