"""A store for many concurrent reads: commands from one turn of the event loop share a round trip.

    async with PipeliningStore(settings) as store:
        found = await asyncio.gather(*(Vault(store, ring).list(tenant_id) for tenant_id in tenant_ids))

needs as many round trips as a single `list`, for any number of tenants. Operators' commands use it; roles use `Store`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from relay.store.server.connection import Store
from relay.store.server.servers import pipelined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.store.server.connection import StoreSettings
    from relay.store.server.node import Node
    from relay.store.server.scripting import Execute
    from relay.store.server.servers import NodeRoute
    from relay.store.server.topology import Topology


class PipeliningStore(Store):
    """A store that collects repeatable commands into one pipeline per server and turn. Others run as in `Store`."""

    def __init__(self, settings: StoreSettings, topology: Topology | None = None) -> None:
        super().__init__(settings, topology)
        self._pipes: dict[Node, _Pipe] = {}

    def _execute(self, route: NodeRoute) -> Execute:
        return super()._execute(route) if route.asking else self._pipe(route.node).execute

    async def _pipeline(self, node: Node, commands: Sequence[Sequence[Any]]) -> list[Any]:
        replies = (self._pipe(node).execute(*command) for command in commands)
        return await asyncio.gather(*replies, return_exceptions=True)

    def _pipe(self, node: Node) -> _Pipe:
        if node not in self._pipes:
            self._pipes[node] = _Pipe(node)
        return self._pipes[node]


class _Pipe:
    """The commands that wait to be sent to one server. A task sends them after all other ready tasks have run."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._waiting: list[tuple[tuple[Any, ...], asyncio.Future[Any]]] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def execute(self, *command: Any) -> Any:
        """Run one command with the others of this turn and return its reply. Only its own caller gets an error."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, reply))
        if len(self._waiting) == 1:
            # The new task runs after all tasks that are ready now, so the pipeline includes their commands.
            sending = asyncio.create_task(self._send(), name="store-pipeline")
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
        return await reply

    async def _send(self) -> None:
        batch, self._waiting = self._waiting, []
        replies: Sequence[Any]
        try:
            replies = await pipelined(self._node.client, [command for command, _ in batch])
        except Exception as error:  # no reply came: each caller translates the error
            replies = [error] * len(batch)
        for (_, waiting), reply in zip(batch, replies, strict=True):
            if waiting.done():  # its caller was cancelled
                continue
            if isinstance(reply, Exception):
                waiting.set_exception(reply)
            else:
                waiting.set_result(reply)
