"""The servers behind one URL: which of them has a key, and where a refused command is repeated.

    Standalone    one server, whatever it says of itself
    Sentinel      the primary that the sentinels name               sentinel.py
    Cluster       a primary for each slot                           cluster.py

A command is repeated only if a server refused it, because then it is known not to have run. If it got no answer, the caller decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from relay.errors import StoreUnavailable
from relay.store.server.node import Node
from relay.store.server.scripting import on

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta

    from redis.asyncio import Redis

    from relay.store.server.scripting import Execute
    from relay.store.server.statistics import Observer

MOST_REPEATS: Final = 6
"""Repeats of one command that was refused; with the pauses between them under two seconds."""

_Reply = TypeVar("_Reply")


@dataclass(frozen=True, slots=True)
class NodeRoute:
    """The way of one command."""

    node: Node
    asking: bool = False
    """The node has the slot only for those who ask: the slot is on its way to it."""

    def execute(self, client: Redis) -> Execute:
        """Return what runs commands on a client of the node."""
        return _asking(client) if self.asking else on(client)


def _asking(client: Redis) -> Execute:
    async def execute(*command: Any) -> Any:
        replies = await pipelined(client, [("ASKING",), command])
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies[1]

    return execute


class Servers(Protocol):
    """The servers behind one URL.

    Attributes:
        named: who says where they are, to stand behind an address; empty when the URL does.
    """

    named: str

    async def node_of(self, key: bytes) -> Node:
        """Return the node that has a key at present; for an empty key any of them.

        Raises:
            StoreUnavailable: nobody can tell which it is.
        """

    async def nodes(self) -> Sequence[Node]:
        """Return all primaries."""

    async def reroute(self, route: NodeRoute, key: bytes, error: StoreUnavailable, repeats: int) -> NodeRoute | None:
        """Return the way on which a command is repeated, after a pause if need be; None when it is not to be repeated.

        Args:
            route: on which it failed.
            key: that it is about.
            error: how it failed.
            repeats: how often it was repeated already.
        """

    async def vouch(self, node: Node) -> None:
        """Return when those who decide say that a node is the primary, and that none is about to take its place.

        Raises:
            NotPrimary: they do not; another one may be without what was written.
        """

    async def inspect(self) -> list[str]:
        """Return what is wrong with the topology though the relay may run, in an operator's words."""

    async def aclose(self) -> None:
        """Close all connections."""


class Standalone:
    """One server. Commands that it refuses are not repeated here."""

    named: str = ""

    def __init__(self, url: str, operation_timeout: timedelta, observe: Observer) -> None:
        self.node = Node(url, operation_timeout, observe)

    async def node_of(self, key: bytes) -> Node:
        """See `Servers.node_of`."""
        return self.node

    async def nodes(self) -> Sequence[Node]:
        """See `Servers.nodes`."""
        return (self.node,)

    async def reroute(self, route: NodeRoute, key: bytes, error: StoreUnavailable, repeats: int) -> NodeRoute | None:
        """See `Servers.reroute`."""
        return None

    async def vouch(self, node: Node) -> None:
        """See `Servers.vouch`: nobody else decides."""

    async def inspect(self) -> list[str]:
        """See `Servers.inspect`."""
        return []

    async def aclose(self) -> None:
        """See `Servers.aclose`."""
        await self.node.aclose()


async def routed(
    servers: Servers, key: bytes, what: str, about: Sequence[Any], run: Callable[[NodeRoute], Awaitable[_Reply]]
) -> _Reply:
    """Run something at the node that has a key, and again where the servers say when it was refused without having run.

    Args:
        servers: that have the key.
        key: that it is about.
        what: runs; for statistics and errors.
        about: its keys, or the whole command.
        run: runs it once.
    """
    route, repeats = NodeRoute(await servers.node_of(key)), 0
    while True:
        try:
            async with route.node.asked(what, about):
                return await run(route)
        except StoreUnavailable as error:
            again = await servers.reroute(route, key, error, repeats) if repeats < MOST_REPEATS else None
            if again is None:
                raise
            route, repeats = again, repeats + 1


async def pipelined(client: Redis, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the replies to commands that travel together, refusals among them: raised by redis-py they would lose their codes."""
    pipe = client.pipeline(transaction=False)
    for command in commands:
        pipe.execute_command(*command)
    return list(await pipe.execute(raise_on_error=False))
