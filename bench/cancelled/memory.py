"""The memory of a process without streams."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import psutil

_BLOCK_BYTES: Final = 64
"""Average size of a small Python object."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The memory of a server without streams.

    Attributes:
        in_use: bytes that the C library has allocated and not freed, and Python's small objects.
        resident: resident bytes of the process. They include pages in partial use, so they reflect the peak.
        objects: number of objects that the garbage collector tracks, by type.
    """

    in_use: int
    resident: int
    objects: Counter[str] = field(repr=False)


async def kept() -> Kept:
    """Return the memory that this process retains."""
    for _ in range(3):
        gc.collect()
        await asyncio.sleep(0.5)  # gRPC's threads release their memory
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
