"""The server under the pages and the webhook."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from relay.http import protocol as bounded_http
from relay.http.limits import HttpLimits
from relay.http.serving import Listening, serving

LISTENING = Listening(
    host="127.0.0.1",
    port=0,
    name="test",
    limits=HttpLimits(connections=10),
    keep_alive=timedelta(minutes=5),
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


async def ask(port: int, path: str = "/") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with a request on it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    return reader, writer


async def test_more_requests_at_once_than_are_answered_get_503_until_one_is_over():
    release, under_way = asyncio.Event(), asyncio.Semaphore(0)

    async def patient(scope, receive, send):
        if scope["path"] == "/wait":
            under_way.release()
            await release.wait()
        await _hello(scope, receive, send)

    async with serving(patient, replace(LISTENING, limits=HttpLimits(connections=10, requests=2))) as port:
        asked = [await ask(port, "/wait") for _ in range(2)]
        async with asyncio.timeout(20):
            for _ in asked:
                await under_way.acquire()
            late = await ask(port)
            assert (await late[0].readline()).startswith(b"HTTP/1.1 503 ")
            release.set()
            for reader, _ in asked:
                assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
            again = await ask(port)
            assert (await again[0].readline()).startswith(b"HTTP/1.1 200 ")
        for _, writer in (*asked, late, again):
            writer.close()


@pytest.mark.parametrize("is_proxy", [True, False])
async def test_a_trusted_proxy_has_more_connections_than_an_address_may_have(is_proxy: bool):
    limits = HttpLimits(connections=10, connections_per_address=2)
    settings = replace(LISTENING, limits=limits, proxies=("127.0.0.0/8",) if is_proxy else ())
    async with serving(_hello, settings) as port:
        connections = []
        for _ in range(5):
            reader, writer = await ask(port)
            async with asyncio.timeout(20):
                assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
            connections.append((reader, writer))
        first, writing = connections[0]
        writing.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                assert (await first.read(1000) != b"") is is_proxy
        for _, writer in connections:
            writer.close()


async def test_an_ipv6_address_has_its_share_too():
    limits = HttpLimits(connections=10, connections_per_address=2)
    try:
        async with serving(_hello, replace(LISTENING, host="::1", limits=limits)) as port:
            first, *others = [await asyncio.open_connection("::1", port) for _ in range(3)]
            async with asyncio.timeout(20):
                with contextlib.suppress(ConnectionError):
                    assert await first[0].read() == b""
            for _, writer in (first, *others):
                writer.close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")


FEW_DESCRIPTORS = """
import asyncio, json, os, resource, sys
from datetime import timedelta
from relay.ops import logging
from relay.http.limits import HttpLimits
from relay.http.serving import Listening, serving
from tests.ops.test_serving import LISTENING, _hello
from dataclasses import replace

async def main():
    logging.configure("json", "info")
    limits = HttpLimits(connections=1000, connections_per_address=1000, head_time=timedelta(minutes=2))
    async with serving(_hello, replace(LISTENING, limits=limits)) as port:
        # Others of the process have taken what it was told it might open.
        most = len(os.listdir("/proc/self/fd")) + 20
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        print(json.dumps({"port": port}), flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@pytest.mark.long
async def test_a_process_without_descriptors_closes_who_waits_longest_and_serves_others():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FEW_DESCRIPTORS, stdin=PIPE, stdout=PIPE, stderr=STDOUT, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    assert process.stdin is not None
    async with asyncio.timeout(100):
        port = json.loads(await process.stdout.readline())["port"]
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
        with contextlib.suppress(ConnectionError):
            assert await silent[0][0].read() == b"", "the one that waited longest was closed"
        reader, writer = await ask(port)
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
        for _, one in (*silent, (reader, writer)):
            one.close()
        told, _ = await process.communicate(b"")
    assert b'"no_descriptors"' in told, told
    assert b"Traceback" not in told, told
    assert len(told.splitlines()) < 20, told
