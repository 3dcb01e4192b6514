"""Reads of streams of many slots over one connection to a cluster node, which cannot block for more than one slot.

The server remembers which keys a tracking connection has read, and reports once when one of them is written
(https://redis.io/docs/latest/develop/reference/client-side-caching/). A stream without new entries is not read again until the server
reports a write to it. No write is missed in between: the server registers the read in the same step.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from relay.store.server.node import Node

_TRUST_S: Final = 5.0
"""Interval at which quiet streams are read again anyway."""

StreamEntry = tuple[bytes, list[bytes]]
"""The id of an entry, and its fields and values, alternating."""


class TrackingConnection:
    """One connection that reads streams of one node as they grow. One reader at a time.

    An error closes the connection and is raised; the next read opens another connection.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._connection = node.single(protocol=3)
        self._quiet: dict[bytes, bytes] = {}
        """Stream -> position after which it had no entries."""
        self._trusted_until = 0.0
        self._woken = asyncio.Event()

    async def read(
        self, positions: Mapping[bytes, bytes], block: timedelta, count: int
    ) -> list[tuple[bytes, list[StreamEntry]]]:
        """Return the entries after these positions; empty after a timeout or a wake. See `StreamReader.read`."""
        self._woken.clear()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + block.total_seconds()
        try:
            async with self._node.asked("XREAD", list(positions)):
                await self._prepare()
                while True:
                    if found := await self._read(positions, count):
                        return found
                    left_s = deadline - loop.time()
                    if left_s <= 0 or self._woken.is_set():
                        return []
                    # Read streams that were written meanwhile before waiting.
                    if all(self._quiet.get(stream) == position for stream, position in positions.items()):
                        await self._wait(left_s)
        except BaseException:
            await self.aclose()
            raise

    async def wake(self) -> None:
        """Make a running read return now; do nothing if none is running."""
        self._woken.set()

    async def aclose(self) -> None:
        """Close the connection."""
        self._quiet.clear()
        await self._connection.disconnect(nowait=True)

    async def _prepare(self) -> None:
        """Open a connection with tracking on, if there is none."""
        now = asyncio.get_running_loop().time()
        if now >= self._trusted_until:
            self._quiet.clear()
            self._trusted_until = now + _TRUST_S
        if self._connection.should_reconnect():  # type: ignore[no-untyped-call]
            await self.aclose()
        if not self._connection.is_connected:
            await self._connection.connect()  # type: ignore[no-untyped-call]
            self._connection._parser.set_invalidation_push_handler(self._note_written)  # type: ignore[attr-defined]
            await self._connection.send_command("CLIENT", "TRACKING", "ON")
            await self._connection.read_response()
            self._quiet.clear()

    async def _read(self, positions: Mapping[bytes, bytes], count: int) -> list[tuple[bytes, list[StreamEntry]]]:
        """Read all streams that are not quiet, in one round trip."""
        asked = {stream: position for stream, position in positions.items() if self._quiet.get(stream) != position}
        if not asked:
            return []
        self._quiet.update(asked)  # before the read, so that reports during the read count
        commands = [("XREAD", "COUNT", count, "STREAMS", stream, position) for stream, position in asked.items()]
        await self._connection.send_packed_command(self._connection.pack_commands(commands))
        found: list[tuple[bytes, list[StreamEntry]]] = []
        refusal: Exception | None = None
        for _ in commands:
            try:
                reply: Any = await self._connection.read_response()
            except ResponseError as error:
                refusal = error
                continue
            for stream, entries in (reply or {}).items():
                found.append((stream, [tuple(entry) for entry in entries]))
                if self._quiet.pop(stream, None) is not None and len(entries) < count:
                    self._quiet[stream] = entries[-1][0]
        if refusal is not None:
            raise refusal
        return found

    async def _wait(self, seconds: float) -> None:
        """Wait for a report of a write, or for a wake."""
        told = asyncio.ensure_future(self._told())
        woken = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait((told, woken), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                told.result()
        finally:
            for one in (told, woken):
                one.cancel()
            await asyncio.gather(told, woken, return_exceptions=True)

    async def _told(self) -> None:
        # After a cancellation, received data stays in the connection's buffer.
        await self._connection.read_response(disconnect_on_error=False, push_request=True)

    async def _note_written(self, message: list[Any]) -> None:
        """Note which streams were written; None means all."""
        if message[1] is None:
            self._quiet.clear()
        else:
            for stream in message[1]:
                self._quiet.pop(stream, None)
