"""Redis Cluster: the primary of each slot, as most of the nodes report it.

Some nodes are queried once a second, and at once when a node refuses a command. A node that no longer has slots,
because a replica took its place or its slots moved away, is retired: all connections to it are closed at once.

    MOVED          another node has the slot: the new owner is noted, and the command repeated there
    ASK            the slot is being moved, and the key is already on the other node: repeated there, once
    TRYAGAIN       only one of two keys is already on the other node: repeated after a pause, for at most a second
    CLUSTERDOWN    no node has the slot at present: repeated after a pause
    READONLY       the node is a replica: repeated at the primary
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

import structlog
from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from relay.errors import NotPrimary, StoreUnavailable
from relay.store.server.inspection import cluster_faults
from relay.store.server.metrics import FAILOVERS
from relay.store.server.node import Node, client_of
from relay.store.server.redis_errors import Redirected, in_short
from relay.store.server.refresher import Refresher
from relay.store.server.scripting import on
from relay.store.server.servers import NodeRoute
from relay.store.server.slots import SLOTS, agreed, owners_of, parse_slots

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from relay.store.server.address import RedisAddress
    from relay.store.server.slots import Place, SlotView
    from relay.store.server.statistics import Observer

log = structlog.get_logger(__name__)

_PATIENCE_S: Final = 1.0
"""Time limit of one query to one node."""
ASKED: Final = 3
"""Nodes in each query: enough for two to outvote one."""
_LOOKS_KEPT: Final = 5
"""Number of queries within which all nodes learn of a change."""
_PAUSE_S: Final = 0.03
_MOST_PAUSE_S: Final = 0.5


class Cluster:
    """The primaries of a cluster."""

    named: str = " (as the cluster says)"

    def __init__(self, address: RedisAddress, operation_timeout: timedelta, observe: Observer) -> None:
        self._address = address
        self._operation_timeout = operation_timeout
        self._observe = observe
        self._patience_s = min(_PATIENCE_S, operation_timeout.total_seconds())
        self._refresher = Refresher(self._ask, "cluster")
        self._view: SlotView = ()
        self._owners: list[Place | None] = [None] * SLOTS
        self._nodes: dict[Place, Node] = {}
        self._told: dict[Place, int] = {}
        """Nodes from redirects -> number of queries for which they are kept although most nodes do not report their
        slots yet."""
        self._witnesses: dict[Place, Redis] = {}

    async def node_of(self, key: bytes) -> Node:
        """See `Servers.node_of`."""
        await self._refresher.begun()
        place = self._owners[key_slot(key)] if key else next(iter(self._nodes), None)
        if place is None:
            raise _down()
        return self._node(place)

    async def nodes(self) -> Sequence[Node]:
        """See `Servers.nodes`."""
        await self._refresher.begun()
        return tuple(self._nodes.values())

    async def reroute(self, route: NodeRoute, key: bytes, error: StoreUnavailable, repeats: int) -> NodeRoute | None:
        """See `Servers.reroute`, and this module."""
        if isinstance(error, Redirected):
            place = error.host or route.node.host, error.port
            node, self._told[place] = self._node(place), _LOOKS_KEPT
            if error.code == "ASK":
                return NodeRoute(node, asking=True)
            self._owners[key_slot(key)] = place
            await asyncio.sleep(0 if repeats == 0 else _pause_s(repeats))
            return NodeRoute(node)
        if isinstance(error, NotPrimary):
            await self._refresher.now()
            node = await self.node_of(key)
            return NodeRoute(node) if node is not route.node else None
        if error.code in ("TRYAGAIN", "CLUSTERDOWN"):
            await asyncio.sleep(_pause_s(repeats))
            if error.code == "CLUSTERDOWN":
                await self._refresher.now()
                return NodeRoute(await self.node_of(key))
            return NodeRoute(route.node, route.asking)
        return None

    async def aclose(self) -> None:
        """See `Servers.aclose`."""
        await self._refresher.aclose()
        for node in self._nodes.values():
            await node.aclose()
        for client in self._witnesses.values():
            await client.aclose()

    async def vouch(self, node: Node) -> None:
        """See `Servers.vouch`. Nothing to do: replicas leave a replaced primary, so none confirms its writes."""

    async def inspect(self) -> list[str]:
        """See `Servers.inspect`."""
        async with self._refresher.turn:  # a query closes the clients of nodes that left
            return cluster_faults(await self.views(dict.fromkeys((*self._nodes, *self._address.places))))

    async def views(self, places: Iterable[Place]) -> dict[Place, SlotView | str]:
        """Query these nodes, and return the view of each, or the reason why it has none."""
        asked = list(places)
        return dict(zip(asked, await asyncio.gather(*map(self._view_of, asked)), strict=True))

    # ------------------------------------------------------------------ inside

    def _node(self, place: Place) -> Node:
        if place not in self._nodes:
            url = self._address.server_url(*place)
            self._nodes[place] = Node(url, self._operation_timeout, self._observe, in_cluster=True)
        return self._nodes[place]

    async def _ask(self) -> None:
        known = list(self._nodes)
        views = await self.views(random.sample(known, min(ASKED, len(known))))
        if not any(isinstance(view, tuple) for view in views.values()):
            views |= await self.views(place for place in (*known, *self._address.places) if place not in views)
        found = [view for view in views.values() if isinstance(view, tuple) and view]
        if found:
            await self._follow(agreed(found, self._view))
        elif not self._view:
            said = "; ".join(f"{host}:{port} {view or 'reports no slots'}" for (host, port), view in views.items())
            raise StoreUnavailable(f"No node of the cluster reports the owners of the slots: {said}")

    async def _follow(self, view: SlotView) -> None:
        """Apply a view."""
        self._owners = owners_of(view)
        places = dict.fromkeys(one.place for one in view if one.place is not None)
        if self._view and view != self._view:
            log.info("redis_cluster_changed", primaries=len(places))
        self._view = view
        for place in places:
            self._node(place)
        self._told = {place: left - 1 for place, left in self._told.items() if left > 1 and place not in places}
        for place in [place for place in self._nodes if place not in places and place not in self._told]:
            FAILOVERS.add()
            await self._nodes.pop(place).retire()
        for place in [place for place in self._witnesses if place not in places]:
            await self._witnesses[place].aclose()
            del self._witnesses[place]  # afterwards: if this is cancelled, `aclose` closes it

    async def _view_of(self, place: Place) -> SlotView | str:
        if place not in self._witnesses:
            self._witnesses[place] = client_of(self._address.server_url(*place), self._patience_s)
        try:
            return parse_slots(await on(self._witnesses[place])("CLUSTER", "SLOTS"), place)
        except (RedisError, OSError) as error:
            return in_short(error)
        except ValueError as error:
            return str(error)


def _down() -> StoreUnavailable:
    error = StoreUnavailable("The store is a cluster in which no node has some of the slots (CLUSTERDOWN)")
    error.code = "CLUSTERDOWN"
    return error


def _pause_s(repeats: int) -> float:
    return min(_MOST_PAUSE_S, _PAUSE_S * float(1 << repeats))
