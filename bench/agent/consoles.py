"""Consoles, which read the event stream of an agent and record when each stamped change reached the last of them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from bench.processes import message

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_SINCE: Final = b'"since":"'
_SPACED: Final = b'"since": "'
_STAMP: Final = len("2026-01-01T00:00:00.000000+00:00")


def read(pipe: Connection, port: int) -> None:
    """Open consoles and read their event streams.

    Messages: ("open", number, query) is answered with the seconds until all consoles had all colleagues, and the bytes; ("came",)
    with stamp -> the number of consoles that its change reached, and the time of the last; ("close",) closes all.
    """
    asyncio.run(_read(pipe, port))


async def _read(pipe: Connection, port: int) -> None:
    consoles: list[_Console] = []
    while True:
        order, *arguments = await message(pipe)
        if order == "open":
            began = time.monotonic()
            count, query = arguments
            consoles += await asyncio.gather(*(_opened(port, query) for _ in range(count)))
            await asyncio.gather(*(one.told.wait() for one in consoles))
            pipe.send((time.monotonic() - began, sum(one.received for one in consoles)))
            _Console.came = {}
        elif order == "came":
            pipe.send(_Console.came)
            _Console.came = {}
        else:
            for one in consoles:
                one.close()
            consoles = []
            pipe.send("closed")


async def _opened(port: int, query: str) -> _Console:
    loop = asyncio.get_running_loop()
    _, console = await loop.create_connection(lambda: _Console(port, query), "127.0.0.1", port)
    return console


class _Console(asyncio.Protocol):
    """One console."""

    came: dict[bytes, tuple[int, float]] = {}  # noqa: RUF012  of all consoles of this process

    def __init__(self, port: int, query: str) -> None:
        self.told = asyncio.Event()
        self.received = 0
        self._rest = b""
        self._request = f"GET /v1/events{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Request the events."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Record the stamps of changes, after the initial events of all colleagues."""
        self.received += len(data)
        if not self.told.is_set():
            self._rest = (self._rest + data)[-100:]
            if b"event: complete" in data or b"event: complete" in self._rest:
                self.told.set()
                self._rest = b""
            return
        now = time.time()
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            for mark in (_SINCE, _SPACED):
                at = event.find(mark)
                if at >= 0:
                    stamp = event[at + len(mark) : at + len(mark) + _STAMP]
                    _Console.came[stamp] = (_Console.came.get(stamp, (0, 0.0))[0] + 1, now)
                    break

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()
