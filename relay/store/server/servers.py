"""The servers behind one URL: the location of each key, and the repetition of refused commands.

    Standalone    one server, whatever role it reports
    Sentinel      the primary that the sentinels name               sentinel.py
    Cluster       a primary for each slot                           cluster.py

A command is repeated only if a server refused it, because then it did not run. Without an answer, the caller decides.
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
"""Most repetitions of one refused command; under two seconds in total, including the pauses."""

_Reply = TypeVar("_Reply")


@dataclass(frozen=True, slots=True)
class NodeRoute:
    """The node on which one command runs."""

    node: Node
    asking: bool = False
    """True while the slot is being moved to the node: commands need `ASKING` before them."""

    def execute(self, client: Redis) -> Execute:
        """Return the function that runs commands on a client of the node."""
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
        named: the source of their addresses, as a suffix for texts; empty if it is the URL.
    """

    named: str

    async def node_of(self, key: bytes) -> Node:
        """Return the node that has a key at present; any node for an empty key.

        Raises:
            StoreUnavailable: the node is not known.
        """

    async def nodes(self) -> Sequence[Node]:
        """Return all primaries."""

    async def reroute(self, route: NodeRoute, key: bytes, error: StoreUnavailable, repeats: int) -> NodeRoute | None:
        """Return the route on which to repeat a command, after a pause if needed; None if it must not be repeated.

        Args:
            route: the route on which it failed.
            key: its key.
            error: the error.
            repeats: number of repetitions so far.
        """

    async def vouch(self, node: Node) -> None:
        """Check with the sentinels or the cluster that a node is the primary and no failover is in progress.

        Raises:
            NotPrimary: they do not; another server may be the primary, without the write.
        """

    async def inspect(self) -> list[str]:
        """Return faults of the topology that do not stop the relay, as text for operators."""

    async def aclose(self) -> None:
        """Close all connections."""


class Standalone:
    """One server. Commands that it refuses are not repeated."""

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
        """See `Servers.vouch`. Nothing to do: there is only one server."""

    async def inspect(self) -> list[str]:
        """See `Servers.inspect`."""
        return []

    async def aclose(self) -> None:
        """See `Servers.aclose`."""
        await self.node.aclose()


async def routed(
    servers: Servers, key: bytes, what: str, about: Sequence[Any], run: Callable[[NodeRoute], Awaitable[_Reply]]
) -> _Reply:
    """Run an operation on the node that has a key, and repeat it where the servers say if it was refused.

    Args:
        servers: the servers that have the key.
        key: the key that decides on the node.
        what: the name of the command or script, for statistics and errors.
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
    """Return the replies in one pipeline, including errors, because redis-py would raise errors without codes."""
    pipe = client.pipeline(transaction=False)
    for command in commands:
        pipe.execute_command(*command)
    return list(await pipe.execute(raise_on_error=False))
