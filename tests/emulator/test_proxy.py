"""The proxy that leads clients to the emulator: to nothing else, and never for ever."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from emulator import Fault, proxy
from emulator.journal import Journal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from emulator import Cloud

DOCUMENT = "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration"


@asynccontextmanager
async def connected(cloud: Cloud, head: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection to the proxy on which `head` was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(cloud.proxy_url.rpartition(":")[2]))
    writer.write(head)
    try:
        async with asyncio.timeout(20):
            yield reader
    finally:
        writer.close()


async def asked(cloud: Cloud, head: bytes) -> str:
    """What the proxy says until it closes the connection, gently or hard."""
    said = b""
    async with connected(cloud, head) as reader:
        with contextlib.suppress(ConnectionResetError):
            while piece := await reader.read(1000):
                said += piece
    return said.decode()


@pytest.mark.parametrize(
    ("head", "target"),
    [
        (b"CONNECT example.com:443 HTTP/1.1\r\n\r\n", "example.com:443"),
        (b"CONNECT graph.microsoft.com:80 HTTP/1.1\r\n\r\n", "graph.microsoft.com:80"),
        (b"CONNECT graph.microsoft.com.example.com:443 HTTP/1.1\r\n\r\n", "graph.microsoft.com.example.com:443"),
        (b"GET http://graph.microsoft.com/v1.0/me HTTP/1.1\r\n\r\n", "http://graph.microsoft.com/v1.0/me"),
        (b"\x16\x03\x01\r\n\r\n", ""),
    ],
)
async def test_whatever_is_not_microsofts_is_refused_and_noted(microsoft: Cloud, head: bytes, target: str) -> None:
    answer = await asked(microsoft, head)

    assert answer.startswith("HTTP/1.1 403 Forbidden\r\n")
    (entry,) = microsoft.journal
    assert (entry.path, entry.status) == (target, 403)
    assert "only CONNECT to Microsoft's host names" in entry.reason


async def test_clients_learn_that_the_proxy_refused(microsoft: Cloud) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ProxyError, match="403"):
            await client.get("https://example.com/")


async def test_host_names_are_found_in_any_case(microsoft: Cloud) -> None:
    async with connected(microsoft, b"CONNECT Graph.Microsoft.COM:443 HTTP/1.1\r\nhost: x\r\n\r\n") as reader:
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")


async def test_a_head_without_end_is_refused(microsoft: Cloud) -> None:
    assert (await asked(microsoft, b"CONNECT " + b"x" * 2 * proxy.MOST_HEAD_BYTES)).startswith("HTTP/1.1 431 ")


async def test_more_tunnels_than_fit_are_refused_until_others_end(
    microsoft: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "MOST_TUNNELS", 1)
    async with httpx.AsyncClient() as first:
        assert (await first.get(DOCUMENT)).status_code == 200
        answer = await asked(microsoft, b"CONNECT graph.microsoft.com:443 HTTP/1.1\r\n\r\n")
        assert answer.startswith("HTTP/1.1 503 ")

    async def free() -> bool:
        try:
            async with httpx.AsyncClient() as other:
                return (await other.get(DOCUMENT)).status_code == 200
        except httpx.ProxyError:
            return False

    async with asyncio.timeout(20):
        while not await free():
            pass


@pytest.mark.parametrize("begun", [b"", b"CONNECT graph.microsoft.com:443 HTTP/1.1\r\n"])
async def test_who_says_nothing_is_let_go(microsoft: Cloud, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(proxy, "HEAD_S", 0.05)

    assert await asked(microsoft, begun) == ""


async def test_an_idle_tunnel_is_closed(microsoft: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "IDLE_S", 0.05)

    assert "200" in await asked(microsoft, b"CONNECT graph.microsoft.com:443 HTTP/1.1\r\n\r\n")


def _held_by(peer: int, port: int) -> bool:
    """Whether this process still has its end of a connection."""
    lines = psutil.Process().net_connections("tcp")
    return any(line.laddr.port == port and line.raddr and line.raddr.port == peer for line in lines)


@pytest.mark.fault("V1")
async def test_who_ends_a_tunnel_without_fetching_what_is_left_does_not_keep_it_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proxy, "LAST_S", 0.05)

    poured = 0

    async def pour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal poured
        with contextlib.suppress(OSError):
            while True:
                writer.write(bytes(65536))
                await writer.drain()
                poured += 1

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    async with server, proxy.proxying(0, server.sockets[0].getsockname()[1], Journal()) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"CONNECT graph.microsoft.com:443 HTTP/1.1\r\n\r\n")
            before = -1
            while poured > before or not poured:  # until everything between the two is full
                before = poured
                await asyncio.sleep(0.2)
            client.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(20):
                while _held_by(client.getsockname()[1], port):  # noqa: ASYNC110  the kernel tells nobody
                    await asyncio.sleep(0.05)


async def test_a_connection_that_the_cloud_tears_down_is_torn_down_for_the_client(microsoft: Cloud) -> None:
    microsoft.add_fault(Fault(path="/common", reset=True))
    async with httpx.AsyncClient() as client:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await client.get(DOCUMENT)


async def test_much_passes_through_one_tunnel_in_both_directions(microsoft: Cloud) -> None:
    microsoft.add_fault(Fault(path="/common", body="x" * 900_000, status=200))
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.post(DOCUMENT, content=b"y" * 3_000_000)

    assert len(answer.content) == 900_000
