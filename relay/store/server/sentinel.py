"""Redis Sentinel: only the sentinels decide which server is the primary.

A primary that was cut off or paused reports the role `master` for seconds after a replica took its place. So all
sentinels are queried once a second, and the newest configuration among their answers is in force: the majority of the
sentinels gives each failover a higher epoch. If it names another server, all connections to the former one are closed
at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from relay.errors import NotPrimary, StoreUnavailable
from relay.store.server.election import SentinelAnswer, SentinelView, elect, is_settled_at
from relay.store.server.inspection import sentinel_faults
from relay.store.server.metrics import FAILOVERS
from relay.store.server.node import Node, client_of
from relay.store.server.redis_errors import in_short
from relay.store.server.refresher import Refresher
from relay.store.server.scripting import on
from relay.store.server.servers import NodeRoute

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from relay.store.server.address import RedisAddress
    from relay.store.server.statistics import Observer

log = structlog.get_logger(__name__)

_PATIENCE_S: Final = 1.0
"""Time limit of one query to one sentinel. Sentinels answer faster than this."""


class Sentinel:
    """The primary of one service of Sentinel."""

    named: str = " (as the sentinels say)"

    def __init__(self, address: RedisAddress, operation_timeout: timedelta, observe: Observer) -> None:
        self._address = address
        self._operation_timeout = operation_timeout
        self._observe = observe
        patience_s = min(_PATIENCE_S, operation_timeout.total_seconds())
        self._sentinels = {
            f"{host}:{port}": client_of(address.sentinel_url(host, port), patience_s) for host, port in address.places
        }
        self._refresher = Refresher(self._ask, "sentinels")
        self._believed: SentinelAnswer | None = None
        self._node: Node | None = None
        self._views: list[SentinelView] = []

    async def node_of(self, key: bytes) -> Node:
        """See `Servers.node_of`."""
        await self._refresher.begun()
        assert self._node is not None
        return self._node

    async def nodes(self) -> Sequence[Node]:
        """See `Servers.nodes`."""
        return (await self.node_of(b""),)

    async def reroute(self, route: NodeRoute, key: bytes, error: StoreUnavailable, repeats: int) -> NodeRoute | None:
        """See `Servers.reroute`: commands that a former primary refused are repeated on the new primary."""
        if not isinstance(error, NotPrimary):
            return None
        await self._refresher.now()
        node = await self.node_of(key)
        return NodeRoute(node) if node is not route.node else None

    async def aclose(self) -> None:
        """See `Servers.aclose`."""
        await self._refresher.aclose()
        if self._node is not None:
            await self._node.aclose()
        for client in self._sentinels.values():
            await client.aclose()

    async def vouch(self, node: Node) -> None:
        """See `Servers.vouch`: queries the sentinels after the write was confirmed."""
        await self._refresher.fresh()
        believed = self._believed
        if node is not self._node or believed is None or not is_settled_at(self._views, believed.place):
            raise NotPrimary("The sentinels do not confirm that this server is and remains the primary")

    async def inspect(self) -> list[str]:
        """See `Servers.inspect`."""
        return sentinel_faults(self._address.service, await self.views())

    async def views(self) -> list[SentinelView]:
        """Query all sentinels, and return the view of each."""
        service = self._address.service
        asked = (_view(sentinel, client, service) for sentinel, client in self._sentinels.items())
        return list(await asyncio.gather(*asked))

    async def _ask(self) -> None:
        views = self._views = await self.views()
        found = elect([view.answer for view in views if view.answer], len(views), self._believed)
        if found is not None:
            await self._follow(found)
        elif self._believed is None:
            said = "; ".join(f"{view.sentinel} {view.fault}" for view in views)
            raise StoreUnavailable(f"No sentinel names a primary for {self._address.service!r}: {said}")

    async def _follow(self, answer: SentinelAnswer) -> None:
        before, self._believed = self._believed, answer
        if before is not None and before.place == answer.place:
            return
        url = self._address.server_url(*answer.place)
        former, self._node = self._node, Node(url, self._operation_timeout, self._observe)
        if former is not None:
            FAILOVERS.add()
            log.warning(
                "redis_primary_changed", hint=f"the sentinels name {self._node.place} instead of {former.place}"
            )
            await former.retire()


async def _view(sentinel: str, client: Redis, service: str) -> SentinelView:
    try:
        reply = await on(client)("SENTINEL", "MASTER", service)
        said = dict(zip(map(bytes.decode, reply[::2]), map(bytes.decode, reply[1::2]), strict=True))
        return SentinelView(
            sentinel,
            SentinelAnswer(said["ip"], int(said["port"]), int(said["config-epoch"])),
            quorum=int(said["quorum"]),
            others=int(said["num-other-sentinels"]),
            replicas=int(said["num-slaves"]),
            is_down="o_down" in said["flags"] or "s_down" in said["flags"],
            fails_over="failover_in_progress" in said["flags"],
        )
    except (RedisError, OSError) as error:
        return SentinelView(sentinel, fault=in_short(error))
    except (KeyError, ValueError, TypeError, AttributeError, IndexError):
        return SentinelView(sentinel, fault="does not answer as a sentinel does")
