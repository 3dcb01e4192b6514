"""An HTTP proxy that leads to the relay, wherever that is at the moment."""

from __future__ import annotations

import asyncio

from tests.support.loopback import LoopbackServer, pump

HOST = "relay.example"
"""The relay's name, which only the proxy can lead to."""


class Gateway(LoopbackServer):
    """Does CONNECT. The test says where to, and may move the relay."""

    def __init__(self, to_port: int) -> None:
        super().__init__()
        self.to_port = to_port
        self.asked: list[str] = []
        """Host and port of each CONNECT."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, asked, _ = head.split(b"\r\n")[0].decode().split()
        assert method == "CONNECT"
        self.asked.append(asked)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.to_port)
        except OSError:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, back), pump(there, writer))
