"""A TCP proxy with a delay to a server on this machine, like a connection to another region."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bench.processes import Child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

_READ_BYTES = 256 * 1024


@contextmanager
def lagging(port: int, round_trip_s: float) -> Iterator[int]:
    """Forward a port on loopback to `port`; each byte takes half of `round_trip_s` in each direction. Yield the new port."""
    with Child(_forward, port, round_trip_s / 2) as child:
        yield child.hear()


def _forward(pipe: Connection, port: int, delay_s: float) -> None:
    asyncio.run(_serve(pipe, port, delay_s))


async def _serve(pipe: Connection, port: int, delay_s: float) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass(reader, there[1], delay_s), _pass(there[0], writer, delay_s))

    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def write() -> None:
        while True:
            at, data = await due.get()
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            if not data:
                return
            writer.write(data)

    writing = asyncio.create_task(write())
    with suppress(OSError):
        while data := await reader.read(_READ_BYTES):
            due.put_nowait((time.monotonic() + delay_s, data))
    due.put_nowait((time.monotonic() + delay_s, b""))
    with suppress(OSError):
        await writing
    writer.close()
