"""The topology: the one place that knows how many Redis servers there are, and which keys are where.

    Store ──► node_of(side, key) ──► Node: its pools, its durable and blocking connections, its identity

The store asks for the node of each key, so nothing above it knows whether all keys are on one server. Two keys of one partition
are always on one node, and so are two keys with the same hash tag (`{p07}`), on a Redis Cluster too. Nothing is promised of two
partitions, of custody's keys outside of partitions, or of two moments: a key may have moved by the next call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from relay.store.server.layout import Side
from relay.store.server.node import Node

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from relay.store.server.statistics import Observer


class Topology(Protocol):
    """The nodes of a store."""

    def node_of(self, side: Side, key: bytes) -> Node:
        """Return the node that has a key, of presence or of the vault. An empty key is on any node of its side."""

    def nodes(self, side: Side) -> Sequence[Node]:
        """Return all nodes of presence, of the vault, or of both, each once."""


class Standalone:
    """One server, and one for the vault if it has its own."""

    def __init__(self, url: str, vault_url: str | None, operation_timeout: timedelta, observe: Observer) -> None:
        main = Node(url, operation_timeout, observe)
        self._nodes = {
            Side.PRESENCE: main,
            Side.VAULT: main if vault_url is None else Node(vault_url, operation_timeout, observe),
        }

    def node_of(self, side: Side, key: bytes) -> Node:
        """See `Topology.node_of`."""
        return self._nodes[side]

    def nodes(self, side: Side) -> Sequence[Node]:
        """See `Topology.nodes`."""
        return tuple(dict.fromkeys(self._nodes.values())) if side is Side.BOTH else (self._nodes[side],)


def key_of(command: Sequence[Any]) -> bytes:
    """Return the key that a command is about, its first argument; empty for a command without arguments."""
    key = command[1] if len(command) > 1 else b""
    return key if isinstance(key, bytes) else str(key).encode()
