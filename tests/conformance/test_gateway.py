"""The way to the edge in the conformance kit."""

from __future__ import annotations

import asyncio

from relay.dev.conformance.gateway import Gateway
from tests.support.waiting import eventually


async def test_nothing_is_held_back_any_more_once_the_way_is_at_full_speed():
    """Else a suite would be blamed for what it did not get in time."""
    edges: list[asyncio.StreamWriter] = []
    edge = await asyncio.start_server(lambda _reader, writer: edges.append(writer), "127.0.0.1", 0)
    async with edge, Gateway(0, lambda: None) as gateway:
        gateway.to_port = edge.sockets[0].getsockname()[1]
        gateway.slow_down(3600.0)
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        await eventually(lambda: bool(edges))
        edges[0].write(b"held")
        await eventually(lambda: gateway.holds_back)
        assert not reader._buffer  # type: ignore[attr-defined]
        gateway.slow_down(0.0)
        edges[0].write(b" back")
        assert await asyncio.wait_for(reader.readexactly(9), 10) == b"held back"
        writer.close()
        edges[0].close()
