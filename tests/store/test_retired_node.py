"""A server whose place another one took: its connections are closed at whatever step they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.errors import StoreUnavailable
from relay.store.server.node import Node
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.one_server
STEPS = 60
"""Turns of the event loop that it takes at most to connect, greet and ask."""


@pytest.mark.fault("V13")
async def test_a_command_on_its_way_to_a_server_that_is_retired_meets_a_store_that_is_away(
    valkey: ValkeyServer,
) -> None:
    met = set()
    for steps in range(STEPS):
        node = Node(valkey.url, timedelta(seconds=5))
        asking = asyncio.create_task(node.identity())
        for _ in range(steps):
            await asyncio.sleep(0)
        await node.retire()
        [end] = await asyncio.gather(asking, return_exceptions=True)
        met.add(type(end) if isinstance(end, BaseException) else None)
        await node.aclose()
    assert all(end is None or issubclass(end, StoreUnavailable) for end in met), met


async def test_a_node_whose_retirement_is_cancelled_has_no_connection_left(valkey: ValkeyServer, raw: Redis) -> None:
    """A store that is closed cancels what follows a failover."""

    async def others() -> int:
        return len(await raw.client_list()) - 1

    for steps in range(STEPS // 4):
        node = Node(valkey.url, timedelta(seconds=5))
        await asyncio.gather(*(client.ping() for client in (node.client, node.client, node.writer, node.urgent)))
        single = node.single()
        await single.connect()  # type: ignore[no-untyped-call]
        assert await others() == 5
        retiring = asyncio.create_task(node.retire())
        for _ in range(steps):
            await asyncio.sleep(0)
        retiring.cancel()
        await asyncio.gather(retiring, return_exceptions=True)
        if steps > 0:  # else it never began
            await eventually(lambda: _is(others, 0))
        await node.aclose()
        await single.disconnect()
        await eventually(lambda: _is(others, 0))


async def _is(ask: Callable[[], Awaitable[int]], count: int) -> bool:
    return await ask() == count
