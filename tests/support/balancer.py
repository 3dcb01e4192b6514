"""A TCP balancer: passes bytes on and knows nothing of what they are, as those in front of suites' relays do."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self


class Balancer:
    """Hands each new connection to the first of its ports that accepts it; none of them: the connection is closed.

    Attributes:
        port: where it listens, on loopback.
        ports: where connections go, the most wanted first. May be changed at any time; open connections stay.
        delay_s: how long every piece of bytes is on its way, each way.
        opened: how many connections went to each port.
    """

    def __init__(self, *ports: int, delay_s: float = 0.0) -> None:
        self.port = 0
        self.ports = list(ports)
        self.delay_s = delay_s
        self.opened: dict[int, int] = {}
        self._passing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass(reader, writer), name="balancer-connection")
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if (behind := await self._connect()) is not None:
                behind_reader, behind_writer = behind
                try:
                    await asyncio.gather(self._copy(reader, behind_writer), self._copy(behind_reader, writer))
                finally:
                    behind_writer.close()
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for port in list(self.ports):
            with suppress(OSError):
                behind = await asyncio.open_connection("127.0.0.1", port)
                self.opened[port] = self.opened.get(port, 0) + 1
                return behind
        return None

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, each piece when its time is over, and in the end that there is no more."""
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while data := await reader.read(65536):
                if self.delay_s:
                    loop.call_later(self.delay_s, writer.write, data)
                else:
                    writer.write(data)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if writer.can_write_eof():
            with suppress(OSError):
                writer.write_eof()
