"""A front that speaks TLS before a server that does not, as stunnel would."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Self

import trustme


class TlsFront:
    """A listener on loopback that ends TLS and passes on what comes; an async context manager.

    Attributes:
        greeted: how many connections completed TLS' handshake.
    """

    def __init__(self, authority: trustme.CA, upstream_port: int) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self._context)
        self._upstream_port = upstream_port
        self._server: asyncio.Server | None = None
        self._tasks = set[asyncio.Task[None]]()
        self.greeted = 0

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.greeted += 1
        with suppress(OSError, asyncio.CancelledError):
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._upstream_port)
            await asyncio.gather(_pass_on(reader, ours), _pass_on(theirs, writer))
        self._tasks.discard(task)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
