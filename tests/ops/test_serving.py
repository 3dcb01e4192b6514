"""The server under the pages and the webhook."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from relay.ops import bounded_http
from relay.ops.http_limits import HttpLimits
from relay.ops.serving import Listening, serving

LISTENING = Listening(
    host="127.0.0.1",
    port=0,
    name="test",
    limits=HttpLimits(connections=10),
    keep_alive=timedelta(seconds=5),
    head_bytes=32 * 1024,
    grace=timedelta(seconds=1),
)


async def _hello(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving(_hello, LISTENING) as port:
        yield port


async def test_a_head_without_end_is_refused_soon(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\nX: ")
    sent = 0
    with pytest.raises(OSError):  # noqa: PT012 - the other side closes under the writing
        while sent < 64 * 1024 * 1024:
            writer.write(b"a" * 65536)
            await writer.drain()
            sent += 65536
    assert sent < 32 * 1024 * 1024, "what the sockets buffer, and no more"
    writer.close()
    del reader


async def test_long_heads_and_several_requests_on_one_connection_are_answered(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for length in (10, 30_000, 30_000):
        for piece in (b"GET / HTTP/1.1\r\nHost: here\r\nX: ", b"a" * length, b"\r\n\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await writer.wait_closed()


async def test_too_long_a_head_is_told_so(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\nX: " + b"a" * 40_000)
    assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")
    writer.close()


async def test_a_long_answer_that_nobody_reads_is_cut(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounded_http, "_CHECK_READER_S", 0.1)
    ended = asyncio.Event()

    async def long(_scope, _receive, send):
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(100):
                await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            ended.set()

    async with serving(long, LISTENING) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        async with asyncio.timeout(20):
            await ended.wait()
        writer.close()
        del reader


async def test_a_long_answer_that_is_read_comes_whole():
    async def long(_scope, _receive, send):
        headers = [(b"content-length", b"30000000"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * 30_000_000})

    async with serving(long, LISTENING) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        assert len((await reader.read()).partition(b"\r\n\r\n")[2]) == 30_000_000
        writer.close()


async def test_connections_give_way_to_newcomers_but_not_while_they_are_answered():
    release = asyncio.Event()

    async def patient(scope, receive, send):
        if scope["path"] == "/wait":
            await release.wait()
        await _hello(scope, receive, send)

    async with serving(patient, LISTENING) as port:
        asked, asking = await asyncio.open_connection("127.0.0.1", port)
        asking.write(b"GET /wait HTTP/1.1\r\nHost: here\r\n\r\n")
        await asking.drain()
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(30)]
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                assert await silent[0][0].read() == b"", "the one that waited longest was closed"
            release.set()
            assert (await asked.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
        for writer in (asking, *(writer for _, writer in silent)):
            writer.close()


async def test_requests_in_a_row_without_waiting_are_answered_in_order(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 10)
    for _ in range(10):
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
    writer.close()
