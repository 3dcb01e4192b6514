"""A server whose place another one took: its connections are closed at whatever step they are."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from relay.errors import StoreUnavailable
from relay.store.server.node import Node
from tests.support.valkey import ValkeyServer

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
