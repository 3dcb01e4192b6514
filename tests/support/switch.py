"""One TCP address in front of servers that take turns behind it, as a service, a name or a load balancer is."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Self

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


class Switch:
    """An address on loopback; every connection goes on to whoever stood behind it when it was opened.

    Attributes:
        to: the port that new connections are led to.
        is_resetting: resets every connection as soon as it was accepted.
        accepted: how many connections there were.
    """

    def __init__(self, to: int) -> None:
        self.to = to
        self.is_resetting = False
        self.accepted = 0
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def reset_for(self, seconds: float) -> None:
        """Reset all connections now, and each new one for a while."""
        self.is_resetting = True
        for client in list(self._clients):
            _reset(client)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.is_resetting = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.is_resetting:
            _reset(writer)
            return
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        self._clients.add(writer)
        server: asyncio.StreamWriter | None = None
        try:
            there, server = await asyncio.open_connection("127.0.0.1", self.to)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, server))
                both.create_task(_pump(there, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._lines.discard(task)
            self._clients.discard(writer)
            for end in (writer, server):
                if end is not None:
                    end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a firewall or a dying process does: the other side gets RST."""
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
