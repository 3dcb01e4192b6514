"""The event loop of all processes: asyncio's own.

Not uvloop: it keeps numbers of descriptors where asyncio keeps sockets. If a connection fails at the wrong moment, its
transport stays registered for the next connection with the same number (https://github.com/MagicStack/uvloop/pull/646),
for example when it is reset while TLS begins, and that brings the process down.
docs/develop/decisions/0005-processes-asyncio-instead-of-uvloop.md has the figures, `tests/faults` reproduces it.
"""

from __future__ import annotations

import asyncio
from asyncio import sslproto
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

TLS_BUFFER_BYTES: Final = 32 * 1024
"""The read buffer of each TLS connection, in bytes. asyncio's own 256 KiB would be 256 MiB with 1,000 connections; reading pages of Graph
with 16 KiB costs some 10 % more."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on a new loop and return its result."""
    sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES
    return asyncio.run(work)
