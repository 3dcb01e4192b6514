"""Each listener takes the same spelling of an address, and `::` is every address."""

from __future__ import annotations

import asyncio

import pytest

from relay.ops.health import Health, OpsServer, OwnAnswers
from relay.ops.listening import listener, shown

pytestmark = pytest.mark.fault("B52")


@pytest.mark.parametrize("host", ["::", "::1", "127.0.0.1", "localhost"])
async def test_a_listener_is_reached_at_its_address(host: str):
    reached = {"::": ("::1", "127.0.0.1")}.get(host, (host,))
    async with OpsServer((host, 0), OwnAnswers(Health(), lambda: b"metric 1\n")) as server:
        for address in reached:
            reader, writer = await asyncio.open_connection(address, server.port)
            writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert (await reader.read()).endswith(b"metric 1\n")
            writer.close()
            await writer.wait_closed()


def test_a_taken_port_is_told_with_its_address():
    with listener("::1", 0) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        with pytest.raises(OSError) as caught, listener("::1", port):
            pass
    assert caught.value.filename == shown("::1", port) == f"[::1]:{port}"
