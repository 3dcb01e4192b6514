"""The fault proxy does what it says: others are judged by it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from tests.support.fault_proxy import Delay, Fault, FaultProxy
from tests.support.valkey import free_port

REPLY = b"x" * 1000


class Upstream:
    """Answers each line with 1,000 bytes."""

    def __init__(self) -> None:
        self.port = 0
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        """How connections ended here."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readline():
                writer.write(REPLY)
                await writer.drain()
            self.ended.put_nowait("end")
        except ConnectionError:
            self.ended.put_nowait("reset")
        finally:
            writer.close()


@asynccontextmanager
async def proxied(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[FaultProxy, Upstream]]:
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=tls)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        async with FaultProxy(("127.0.0.1", upstream.port)) as proxy:
            yield proxy, upstream
    finally:
        server.close()


async def asked(proxy: FaultProxy, tls: ssl.SSLContext | None = None, times: int = 1) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=tls)
    try:
        for _ in range(times):
            writer.write(b"say\n")
            assert await reader.readexactly(len(REPLY)) == REPLY
    finally:
        writer.close()


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


async def test_without_a_fault_everything_arrives_and_the_end_too() -> None:
    async with proxied() as (proxy, upstream):
        await asked(proxy, times=3)
        assert await upstream.ended.get() == "end"
        assert (proxy.accepted, proxy.resets) == (1, 0)


async def test_a_reset_while_tls_begins_reaches_both_sides(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with proxied(contexts[0]) as (proxy, _):
        await asked(proxy, contexts[1])
        await proxy.become(Fault.RESET_TLS)
        for _ in range(5):
            with pytest.raises(ConnectionError):
                await asked(proxy, contexts[1], times=1000)
        assert proxy.resets == 5


async def test_a_connection_that_has_answered_is_reset_when_it_is_idle() -> None:
    async with proxied() as (proxy, upstream):
        await proxy.become(Fault.RESET_IDLE)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"say\n")
        assert await reader.readexactly(len(REPLY)) == REPLY
        with pytest.raises(ConnectionError):
            await reader.read(1)
        assert await upstream.ended.get() == "reset"
        writer.close()


@pytest.mark.parametrize("is_tls", [False, True])
async def test_a_reset_in_a_reply_leaves_half_of_it(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], is_tls: bool
) -> None:
    async with proxied(contexts[0] if is_tls else None) as (proxy, _):
        await proxy.become(Fault.RESET_REPLY)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=contexts[1] if is_tls else None)
        writer.write(b"say\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(len(REPLY))
        writer.close()


async def test_a_black_hole_takes_connections_and_gives_nothing() -> None:
    async with proxied() as (proxy, upstream):
        await proxy.become(Fault.BLACK_HOLE)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asked(proxy)
        assert upstream.ended.empty()
        await proxy.become(Fault.NONE)
        await asked(proxy)


async def test_what_is_half_open_is_silent_for_both_sides_after_a_reply() -> None:
    async with proxied() as (proxy, upstream):
        await proxy.become(Fault.HALF_OPEN)
        await asked(proxy)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asked(proxy, times=2)
        assert upstream.ended.empty()
        await proxy.become(Fault.NONE)
        await asked(proxy)


async def test_everything_is_slow_or_late_when_it_should_be() -> None:
    async with proxied() as (proxy, _):
        now = asyncio.get_running_loop().time
        proxy.slow_bytes_s = 10_000
        await proxy.become(Fault.SLOW)
        began = now()
        await asked(proxy)
        assert now() - began > 0.08
        await proxy.become(Fault.NONE)
        proxy.delay_s, began = Delay(0.05, 0.05), now()
        await asked(proxy)
        assert now() - began > 0.1


async def test_it_refuses_leads_elsewhere_and_resets_what_there_is() -> None:
    async with proxied() as (proxy, _), proxied() as (_, other):
        await proxy.become(Fault.REFUSE)
        with pytest.raises(ConnectionRefusedError):
            await asked(proxy)
        proxy.upstream = ("127.0.0.1", other.port)
        await proxy.become(Fault.NONE)
        await asked(proxy)
        assert await other.ended.get() == "end"
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"say\n")
        await reader.readexactly(len(REPLY))
        assert proxy.reset() >= 1
        with pytest.raises(ConnectionError):
            await reader.read(1)
        writer.close()


async def test_connections_go_on_to_the_next_upstream_while_the_first_refuses_them() -> None:
    async with proxied() as (proxy, upstream):
        nobody = free_port()
        proxy.upstream, proxy.others = ("127.0.0.1", nobody), [("127.0.0.1", upstream.port)]
        await asked(proxy)
        assert proxy.opened == {upstream.port: 1}
        proxy.others = ()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asked(proxy)
