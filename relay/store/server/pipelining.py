"""A store for reading much at once: whatever several tasks ask in one turn of the event loop travels in one round trip.

    async with PipeliningStore(settings) as store:
        found = await asyncio.gather(*(Vault(store, ring).list(tenant_id) for tenant_id in tenant_ids))

costs as many round trips as one `list` does, however many tenants there are. It is for commands of operators; roles use `Store`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from relay.store.server.connection import Store, pipelined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.store.server.clients import Server
    from relay.store.server.connection import StoreSettings
    from relay.store.server.scripting import Call


class PipeliningStore(Store):
    """A store whose repeatable commands are gathered into pipelines, one for each server and turn. Others go as in `Store`."""

    def __init__(self, settings: StoreSettings) -> None:
        super().__init__(settings)
        self._pipes = {server: _Pipe(server) for server in {self.main, self.vault}}

    async def run(self, call: Call) -> Any:
        """Run a script that may run twice."""
        async with self.main.asked(call.script.name, call.keys):
            return await call.run(self._pipes[self.main].execute)

    async def vault_run(self, call: Call) -> Any:
        """Run a repeatable script on custody's server; not durable."""
        async with self.vault.asked(call.script.name, call.keys):
            return await call.run(self._pipes[self.vault].execute)

    async def command(self, *command: Any) -> Any:
        """Run one repeatable command on the main server."""
        async with self.main.asked(str(command[0]), command):
            return await self._pipes[self.main].execute(*command)

    async def vault_command(self, *command: Any) -> Any:
        """Run one repeatable command on custody's server; not durable."""
        async with self.vault.asked(str(command[0]), command):
            return await self._pipes[self.vault].execute(*command)

    async def many(self, commands: Sequence[Sequence[Any]], *, vault: bool = False) -> list[Any]:
        """Run repeatable commands in one round trip, not atomically; the first that failed is raised."""
        ask = self.vault_command if vault else self.command
        return await asyncio.gather(*(ask(*command) for command in commands))


class _Pipe:
    """What waits to be sent to one server. A task sends it when every other task that can run has run."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._waiting: list[tuple[tuple[Any, ...], asyncio.Future[Any]]] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def execute(self, *command: Any) -> Any:
        """Run one command with the others of this turn and return its reply. A refusal is raised to its caller alone."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, reply))
        if len(self._waiting) == 1:
            # The new task is behind all tasks that are ready now, so what they ask travels too.
            sending = asyncio.create_task(self._send(), name="store-pipeline")
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
        return await reply

    async def _send(self) -> None:
        batch, self._waiting = self._waiting, []
        replies: Sequence[Any]
        try:
            replies = await pipelined(self._server.client, [command for command, _ in batch])
        except Exception as error:  # no reply came: each caller translates it, as it would its own
            replies = [error] * len(batch)
        for (_, waiting), reply in zip(batch, replies, strict=True):
            if waiting.done():  # its caller was cancelled
                continue
            if isinstance(reply, Exception):
                waiting.set_exception(reply)
            else:
                waiting.set_result(reply)
