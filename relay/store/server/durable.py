"""Writes that are on disk when they are confirmed.

WAITAOF confirms only the writes of its own connection; on any other connection it returns at once. So one caller keeps
the connection from its first write until the confirmation. If a caller writes keys of two nodes, the first node
confirms before the first write to the second: the writes on disk are always a prefix of the writes in order.

After a failover the former primary may accept writes for seconds, and one of its remaining replicas may confirm them.
So after WAITAOF the store asks the sentinels or the cluster which server is the primary (`Servers.vouch`).
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from relay.errors import NotSaved, StoreUnavailable
from relay.store.server.metrics import DURABLE_WRITES
from relay.store.server.servers import routed
from relay.store.server.topology import key_of

if TYPE_CHECKING:
    from datetime import timedelta

    from redis.asyncio.connection import AbstractConnection

    from relay.store.server.node import Node
    from relay.store.server.scripting import Call
    from relay.store.server.servers import NodeRoute, Servers


class DurableWrites:
    """The durable writes of one caller to the vault; see `Store.durable`."""

    def __init__(self, servers: Servers, replicas: int, timeout: timedelta) -> None:
        self._servers = servers
        self._replicas = replicas
        self._timeout_ms = int(timeout.total_seconds() * 1000)
        self._lent = AsyncExitStack()
        self._at: tuple[Node, AbstractConnection] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._lent.aclose()

    async def execute(self, *command: Any) -> Any:
        """Run one command on a key. It is not repeated if the connection fails.

        Raises:
            StoreUnavailable: the outcome is unknown.
            NotSaved: an earlier write to another node is not confirmed to be on disk.
        """

        async def run(route: NodeRoute) -> Any:
            return await _send(await self._connection(route.node), *command, asking=route.asking)

        return await routed(self._servers, key_of(command), str(command[0]), command, run)

    async def run(self, call: Call) -> Any:
        """Run a script; see `execute`."""

        async def run(route: NodeRoute) -> Any:
            connection = await self._connection(route.node)
            return await call.run(partial(_send, connection, asking=route.asking))

        return await routed(self._servers, call.keys[0], call.script.name, call.keys, run)

    async def confirm(self) -> None:
        """Wait until all writes are on disk, and on the disks of as many replicas as the settings require.

        Raises:
            NotSaved: a write is not confirmed to be on disk. It may still take effect: repeat or undo it.
        """
        if self._at is None:
            return
        try:
            await self._confirm(*self._at)
        except BaseException:
            DURABLE_WRITES.add(1, "not_confirmed")
            raise
        DURABLE_WRITES.add(1, "confirmed")

    async def _confirm(self, node: Node, connection: AbstractConnection) -> None:
        if not connection.is_connected:
            raise NotSaved("The connection was lost, and its writes cannot be confirmed on another one")
        try:
            async with node.asked("WAITAOF"):
                local, replicas = await _send(connection, "WAITAOF", 1, self._replicas, self._timeout_ms)
        except Exception as error:
            raise NotSaved("The store did not confirm that the write is on disk") from error
        if local < 1 or replicas < self._replicas:
            raise NotSaved(f"On disk at {local} of 1 primary and {replicas} of {self._replicas} replicas")
        try:
            await self._servers.vouch(node)
        except StoreUnavailable as error:
            raise NotSaved("Another server may be the primary by now, without the write") from error

    async def _connection(self, node: Node) -> AbstractConnection:
        if self._at is None or self._at[0] is not node:
            await self.confirm()
            # Release first: a caller that holds one connection while it waits for another could cause a deadlock.
            await self._lent.aclose()
            self._at = None
            self._at = node, await self._lent.enter_async_context(node.durable())
        return self._at[1]


async def _send(connection: AbstractConnection, *command: Any, asking: bool = False) -> Any:
    # redis-py closes the connection after a cancellation or timeout between command and reply, so a reply is never
    # matched with another command. The next command connects again.
    if asking:
        await connection.send_command("ASKING")
        await connection.read_response()
    await connection.send_command(*command)
    return await connection.read_response()
