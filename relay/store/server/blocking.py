"""Blocking reads of streams, which another connection can wake. One connection for each node with streams.

A cluster node refuses a blocking read of several slots. There the server reports over a tracking connection which
streams have grown; see `tracking.py`.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from relay.errors import StoreUnavailable
from relay.store.server.scripting import on
from relay.store.server.tracking import TrackingConnection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.store.server.node import Node
    from relay.store.server.servers import Servers
    from relay.store.server.tracking import StreamEntry

BLOCK: Final = timedelta(seconds=1)
"""Longest wait of a blocking read, so that its caller regains control at least this often."""
READ_COUNT: Final = 200
"""Entries of one stream in one read. Each has at most 650 answers, so a read takes tens of MB at most."""
START_ID: Final = b"0-0"
"""The position before the first entry of a stream."""
_UNBLOCK_AGAIN_S: Final = 0.002


class StreamReader:
    """Reads streams of presence as they grow. One reader at a time.

    The reader keeps no positions: the caller passes them. It does not retry, because a repeated `XREAD BLOCK` would
    wait again from the same ids.
    """

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._connections: dict[Node, BlockingConnection | TrackingConnection] = {}

    async def read(
        self, positions: Mapping[bytes, bytes], block: timedelta = BLOCK, count: int = READ_COUNT
    ) -> list[tuple[bytes, list[StreamEntry]]]:
        """Return the entries after these positions, by stream; empty after `block`, or when woken.

        Args:
            positions: stream -> id of the last entry that was read; not empty.
            block: how long to wait for an entry, at most `BLOCK`.
            count: most entries of each stream.

        Raises:
            StoreUnavailable: a node does not answer, and no other node has an entry.
        """
        by_node: dict[Node, dict[bytes, bytes]] = {}
        for stream, position in positions.items():
            by_node.setdefault(await self._servers.node_of(stream), {})[stream] = position
        await self._forget_others(by_node)
        block = min(block, BLOCK)
        if len(by_node) == 1:
            [(node, part)] = by_node.items()
            return await self._at(node).read(part, block, count)
        return await self._read_all(by_node, block, count)

    async def wake(self) -> None:
        """Make a running read return now; do nothing if none is running. The connections stay open."""
        await asyncio.gather(*(connection.wake() for connection in self._connections.values()))

    async def aclose(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            await connection.aclose()

    async def _read_all(
        self, parts: Mapping[Node, Mapping[bytes, bytes]], block: timedelta, count: int
    ) -> list[tuple[bytes, list[StreamEntry]]]:
        """Read from several nodes at once. After the first answer, wake the others and return their entries too."""
        reads = {asyncio.ensure_future(self._at(node).read(part, block, count)): node for node, part in parts.items()}
        try:
            _, waiting = await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
            wakes = (self._at(reads[read]).wake() for read in waiting)
            # A failed wake only causes a delay: a read ends within BLOCK anyway.
            await asyncio.gather(*wakes, return_exceptions=True)
            replies = await asyncio.gather(*reads, return_exceptions=True)
        except BaseException:
            for read in reads:
                read.cancel()
            await asyncio.gather(*reads, return_exceptions=True)
            raise
        failed = [reply for reply in replies if isinstance(reply, BaseException)]
        found = [each for reply in replies if reply and not isinstance(reply, BaseException) for each in reply]
        if failed and (not found or not all(isinstance(error, StoreUnavailable) for error in failed)):
            raise failed[0]
        return found

    def _at(self, node: Node) -> BlockingConnection | TrackingConnection:
        if node not in self._connections:
            self._connections[node] = TrackingConnection(node) if node.in_cluster else BlockingConnection(node)
        return self._connections[node]

    async def _forget_others(self, nodes: Mapping[Node, object]) -> None:
        """Close the connections to nodes that no longer have any of the streams."""
        for node in [node for node in self._connections if node not in nodes]:
            await self._connections.pop(node).aclose()


class BlockingConnection:
    """One connection for blocking reads from one node. One reader at a time.

    An error closes the connection and is raised; the next read opens another connection.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._connection = node.single(BLOCK.total_seconds())
        self._client_id: int | None = None
        self._reads = 0
        self._reading = False

    async def read(
        self, positions: Mapping[bytes, bytes], block: timedelta, count: int
    ) -> list[tuple[bytes, list[StreamEntry]]]:
        """Return the entries after these positions; empty after a timeout or a wake. See `StreamReader.read`."""
        # BLOCK 0 would wait forever.
        block_ms = max(1, int(block / timedelta(milliseconds=1)))
        streams = (*positions, *positions.values())
        return await self._run("XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS", *streams) or []

    async def _run(self, *command: Any) -> Any:
        """Run a blocking command and return the raw RESP2 reply; None after a timeout or a wake."""
        self._reads += 1
        self._reading = True
        try:
            async with self._node.asked(str(command[0]), command):
                if self._connection.should_reconnect():  # type: ignore[no-untyped-call]
                    await self.aclose()
                if self._client_id is None:
                    await self._connection.connect()  # type: ignore[no-untyped-call]
                    await self._connection.send_command("CLIENT", "ID")
                    self._client_id = await self._connection.read_response()
                await self._connection.send_command(*command)
                return await self._connection.read_response()
        except BaseException:
            # The reply to a cancelled read stays in the socket, so the connection cannot be used again.
            await self.aclose()
            raise
        finally:
            self._reading = False

    async def wake(self) -> None:
        """Make a running read return now; do nothing if none is running. The connection stays open.

        The two commands use two connections, so the wake may arrive before the read. It is repeated until it finds a
        blocked client or the read has ended.
        """
        read = self._reads
        while self._reading and self._reads == read:
            if self._client_id is not None:
                async with self._node.asked("CLIENT UNBLOCK"):
                    if await on(self._node.client)("CLIENT", "UNBLOCK", self._client_id):
                        return
            await asyncio.sleep(_UNBLOCK_AGAIN_S)

    async def aclose(self) -> None:
        """Close the connection."""
        self._client_id = None
        await self._connection.disconnect(nowait=True)
