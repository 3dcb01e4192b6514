"""The topology: the only module that knows how many Redis servers there are, and which server has which keys.

    Store ──► Topology ──► Servers of presence, of the vault ──► Node: its pools, its durable and blocking connections, its identity

The store looks up the node of each key, so its callers need not know whether all keys are on one server. Keys of one
partition, and keys with the same hash tag (`{p07}`), are always on one node, on a Redis Cluster too. There is no
guarantee for keys of two partitions or for custody's keys outside partitions. A key may move between two calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from relay.store.server.address import TopologyKind, parse_address
from relay.store.server.cluster import Cluster
from relay.store.server.layout import Side
from relay.store.server.sentinel import Sentinel
from relay.store.server.servers import Standalone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from relay.store.server.node import Node
    from relay.store.server.servers import Servers
    from relay.store.server.statistics import Observer


@dataclass(frozen=True, slots=True)
class Topology:
    """The servers of presence and of the vault; the same servers unless the vault is on a separate server."""

    presence: Servers
    vault: Servers

    def of(self, side: Side) -> Servers:
        """Return the servers of presence or of the vault."""
        return self.vault if side is Side.VAULT else self.presence

    async def nodes(self, side: Side) -> Sequence[Node]:
        """Return all nodes of presence, of the vault, or of both, each once."""
        sides = (self.presence, self.vault) if side is Side.BOTH else (self.of(side),)
        return tuple(dict.fromkeys([node for servers in sides for node in await servers.nodes()]))

    async def aclose(self) -> None:
        """Close all connections except lent ones."""
        for servers in dict.fromkeys((self.presence, self.vault)):
            await servers.aclose()


def topology_of(url: str, vault_url: str | None, operation_timeout: timedelta, observe: Observer) -> Topology:
    """Return the topology for these URLs, without connecting."""
    presence = _servers(url, operation_timeout, observe)
    return Topology(presence, presence if vault_url is None else _servers(vault_url, operation_timeout, observe))


def _servers(url: str, operation_timeout: timedelta, observe: Observer) -> Servers:
    address = parse_address(url)
    match address.kind:
        case TopologyKind.STANDALONE:
            return Standalone(address.url, operation_timeout, observe)
        case TopologyKind.SENTINEL:
            return Sentinel(address, operation_timeout, observe)
        case TopologyKind.CLUSTER:
            return Cluster(address, operation_timeout, observe)


def key_of(command: Sequence[Any]) -> bytes:
    """Return the key of a command, its first argument; empty for a command without arguments."""
    key = command[1] if len(command) > 1 else b""
    return key if isinstance(key, bytes) else str(key).encode()
