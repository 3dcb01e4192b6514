"""An HTTP proxy that connects Microsoft's host names to the emulator and refuses all others.

A client with `HTTPS_PROXY` set to it sends `CONNECT graph.microsoft.com:443` and then speaks TLS to the emulator
through the tunnel, as if to Microsoft. Every other request is refused and recorded in the journal, so that no request
through this proxy ever leaves the machine.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from emulator.exchange import Answer, Request
from emulator.hosts import KNOWN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from emulator.journal import Journal

MOST_HEAD_BYTES: Final = 16 * 1024
"""The maximum size of a CONNECT with its headers; clients send some hundred bytes."""
HEAD_S: Final = 10
"""Time limit for its arrival."""
MOST_TUNNELS: Final = 1_000
"""Maximum number of open tunnels; each uses two sockets. Further ones are refused with 503."""
IDLE_S: Final = 900
"""Time without traffic after which a tunnel is closed. Faults can delay answers by up to ten minutes."""
LAST_S: Final = 10
"""Time limit for the client to read the last bytes of a connection."""
_PIECE_BYTES: Final = 64 * 1024


@asynccontextmanager
async def proxying(port: int, to_port: int, journal: Journal) -> AsyncIterator[int]:
    """Run a proxy on 127.0.0.1 while the context lasts; yield its port. `to_port` is the emulator's port on 127.0.0.1.

    Raises:
        OSError: the port is taken.
    """
    proxy = _Proxy(to_port, journal)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", port, limit=MOST_HEAD_BYTES, backlog=1024)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await proxy.stop()


class _Proxy:
    """The connections of one proxy, each in its own task."""

    def __init__(self, to_port: int, journal: Journal) -> None:
        self._to_port = to_port
        self._journal = journal
        self._running: set[asyncio.Task[None]] = set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it, in a separate task that `stop` may cancel."""
        task = asyncio.create_task(self._serve(reader, writer), name="emulator-proxy")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        """End every connection at once."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._lead(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            writer.transport.abort()  # the other side is closed, silent or aborted: abort this side too
        finally:
            _close(writer)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return await self._refuse(writer, 431, "", "", "The head of the request is too large.", began)
        method, target = _asked(head)
        if method != "CONNECT" or not _microsofts(target):
            text = f"This proxy accepts only CONNECT to Microsoft's host names on port 443, not {target or 'this'}."
            return await self._refuse(writer, 403, method, target, text, began)
        if len(self._running) > MOST_TUNNELS:
            return await self._refuse(writer, 503, method, target, f"{MOST_TUNNELS} tunnels are open already.", began)
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _both_ways((reader, writer), (inner_reader, inner_writer))
        finally:
            _close(inner_writer)
        return None

    async def _refuse(
        self, writer: asyncio.StreamWriter, status: int, method: str, target: str, text: str, began: float
    ) -> None:
        request = Request(method=method, path=target, reason=f"proxy: {text}")
        self._journal.write(request, Answer(status), began)
        body = f"{text}\n".encode()
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        await writer.drain()


def _close(writer: asyncio.StreamWriter) -> None:
    """Close a connection; abort it if the peer does not read the rest in time."""
    writer.close()
    if writer.transport.get_write_buffer_size():
        asyncio.get_running_loop().call_later(LAST_S, writer.transport.abort)


def _asked(head: bytes) -> tuple[str, str]:
    """Return the method and target of a request's first line; empty if missing."""
    method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    return method[:20], rest.partition(" ")[0][:300]


def _microsofts(target: str) -> bool:
    name, _, port = target.lower().partition(":")
    return name in KNOWN and port == "443"


_End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _both_ways(one: _End, other: _End) -> None:
    """Forward bytes until one side ends; TLS cannot use a connection that is open in one direction only.

    Raises:
        ConnectionError: one side was aborted.
        TimeoutError: nothing passed for too long.
    """
    async with asyncio.timeout(IDLE_S) as idle:
        pumps = {asyncio.create_task(_pump(one[0], other[1], idle)), asyncio.create_task(_pump(other[0], one[1], idle))}
        try:
            ended, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
    for pump in ended:
        pump.result()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle: asyncio.Timeout) -> None:
    loop = asyncio.get_running_loop()
    while piece := await reader.read(_PIECE_BYTES):
        idle.reschedule(loop.time() + IDLE_S)
        writer.write(piece)
        await writer.drain()  # backpressure for a slow reader
