"""A front that speaks TLS before a server that does not, as stunnel would."""

from __future__ import annotations

import asyncio
import ssl

import trustme

from tests.support.loopback import LoopbackServer, pump


class TlsFront(LoopbackServer):
    """A listener on loopback that ends TLS and passes on what comes; an async context manager.

    Attributes:
        greeted: how many connections completed TLS' handshake.
    """

    def __init__(self, authority: trustme.CA, upstream_port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        super().__init__(context)
        self._upstream_port = upstream_port
        self.greeted = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.greeted += 1
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        await asyncio.gather(pump(reader, ours), pump(theirs, writer))
