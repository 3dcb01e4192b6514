"""An edge that measures what it keeps."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import psutil

from bench.fanout.relay import MARKS
from bench.processes import message
from relay.edge.server import EdgeServer
from relay.edge.settings import EdgeSettings
from relay.ops import loop
from relay.ops.telemetry import Telemetry, TelemetrySettings
from relay.store.server.connection import Store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from relay.store.server.connection import StoreSettings

_BLOCK_BYTES: Final = 64
"""A small object of Python's, on average."""
_MOST: Final = 1_000_000
"""More names a second than the suites ask for: this is not about the pace of starts."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The memory of an edge without streams.

    Attributes:
        in_use: bytes that the C library has given away and not got back, and Python's small objects.
        resident: bytes of the process in memory: pages that hold anything at all, so the most that was ever in use counts in.
        objects: objects that the collector tracks, by type.
    """

    in_use: int
    resident: int
    objects: Counter[str] = field(repr=False)


def serve(pipe: Connection, servers: StoreSettings, streams: int) -> None:
    """A process with an edge, in plain text; says its port. It takes so many streams of a tenant, and is asked what it keeps."""
    loop.run(_serve(pipe, servers, streams))


async def _serve(pipe: Connection, servers: StoreSettings, streams: int) -> None:
    settings = EdgeSettings(
        host="127.0.0.1", port=0, streams_per_tenant=streams, start_names_at_once=_MOST, start_names_a_second=_MOST,
        watch_goes_on_for=timedelta(seconds=1),
    )  # fmt: skip
    with Telemetry(TelemetrySettings()) as telemetry:
        async with Store(servers) as store, EdgeServer(settings, store, MARKS) as edge:
            pipe.send(edge.port)
            while True:
                (question,) = await message(pipe)
                if question == "state":
                    now = edge.statistics()
                    pipe.send((now.streams, now.writing, now.tasks))
                else:
                    telemetry.exposition()
                    pipe.send(await _kept())


async def _kept() -> Kept:
    for _ in range(3):
        gc.collect()
        await asyncio.sleep(0.5)  # gRPC's own threads let go
    libc = ctypes.CDLL(None)
    libc.malloc_trim(0)
    libc.mallinfo2.restype = _MallInfo
    heap = libc.mallinfo2()
    in_use = heap.uordblks + heap.hblkhd + sys.getallocatedblocks() * _BLOCK_BYTES
    objects = Counter(type(one).__name__ for one in gc.get_objects())
    return Kept(in_use, psutil.Process().memory_info().rss, objects)


class _MallInfo(ctypes.Structure):
    """The C library's `struct mallinfo2`; see `man 3 mallinfo`."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )
