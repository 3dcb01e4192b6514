"""A store on two servers, its keys divided between them by their hash tags, as a Redis Cluster divides them by slots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from zlib import crc32

from redis.asyncio import Redis

from relay.store.server.connection import Store
from relay.store.server.layout import Side
from relay.store.server.node import Node
from relay.store.server.topology import key_of


class TwoNodes:
    """A topology of two servers, each of which has half of the partitions and half of all other keys."""

    def __init__(self, urls: tuple[str, str], operation_timeout: timedelta = timedelta(seconds=5)) -> None:
        self._nodes = tuple(Node(url, operation_timeout) for url in urls)

    def node_of(self, side: Side, key: bytes) -> Node:
        """See `Topology.node_of`."""
        return self._nodes[half_of(key)]

    def nodes(self, side: Side) -> Sequence[Node]:
        """See `Topology.nodes`."""
        return self._nodes


class DividedRedis(Redis):
    """A client of two servers that sends each command to the one that has its key, and one that is about no key to both."""

    def __init__(self, clients: tuple[Redis, Redis]) -> None:
        super().__init__()
        self._clients = clients

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run one command; of two replies return both together if they are lists, else the first."""
        if str(args[0]).split()[0] in _FOR_BOTH:
            replies = [await client.execute_command(*args, **options) for client in self._clients]
            return [*replies[0], *replies[1]] if isinstance(replies[0], list) else replies[0]
        return await self._clients[half_of(key_of(args))].execute_command(*args, **options)


_FOR_BOTH = ("FLUSHALL", "KEYS", "SCRIPT", "CONFIG", "ACL", "REPLICAOF", "CLIENT", "INFO")


def half_of(key: bytes) -> int:
    """Return which of the two servers has a key. Keys with the same hash tag are on the same one."""
    _, brace, rest = key.partition(b"{")
    tag, end, _ = rest.partition(b"}")
    return crc32(tag if brace and end and tag else key) % 2


def raw_client(store: Store) -> Redis:
    """Return a client of a store's one server, to look at what it wrote and to do what it never would."""
    [node] = store.topology.nodes(Side.BOTH)
    return node.client
