"""What runs on which connection to Redis, and whether the server can be trusted. The connections themselves are in `server.py`.

    command, run           reads, and writes that may be repeated; retried once or twice
    run_once               scripts that must not run twice without the caller knowing; never retried
    vault_command, ...     the same at custody's server (the same one unless it has one of its own)
    vault_connection()   a connection on which a durable write and its WAITAOF run, to one caller alone
    blocking()           a connection for XREAD BLOCK, which another connection can wake

WAITAOF on any other connection than the write's answers at once and says nothing of that write.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from redis.exceptions import NoScriptError, RedisError

from relay.errors import NotPrimary, NotSaved, StoreUnavailable
from relay.store.server import keys, preflight
from relay.store.server.clients import URGENT_CONNECTIONS, Server
from relay.store.server.layout import Side
from relay.store.server.scripting import on
from relay.store.server.user_rights import Permits, permits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from redis.asyncio import Redis
    from redis.asyncio.connection import AbstractConnection

    from relay.store.server.layout import Client
    from relay.store.server.scripting import Call, Script

BLOCK: Final = timedelta(seconds=1)
"""How long a blocking read waits at most: as often as this, its caller can look around."""
_BLOCK_GRACE_S: Final = 3.0  # socket timeout beyond BLOCK: a server this late is not there
DURABLE_CONNECTIONS: Final = 32
"""Durable writes under way together, at most: after a start each grant's token is renewed, and each of these writes waits for the
disk and for three round trips."""
_UNBLOCK_AGAIN_S: Final = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where Redis is and what it must promise."""

    url: str = field(repr=False)
    """`redis://`, `rediss://` or `unix://`; may carry a password, so it is never shown."""
    vault_url: str | None = field(default=None, repr=False)
    """Custody's own server, or None when `url` holds custody too."""
    replicas: int = 0
    """How many replicas must have synced a durable write to disk before it counts as kept."""
    operation_timeout: timedelta = timedelta(seconds=5)
    """How long one command may take, connecting included."""


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Which history of data a server has: a new `replid` means that the last writes may be gone."""

    replid: str
    role: str
    """`master` or `slave`, as Redis says it."""


class VaultConnection:
    """One connection for durable writes; see `Store.vault_connection`."""

    def __init__(self, connection: AbstractConnection, server: Server, replicas: int, timeout: timedelta) -> None:
        self._connection = connection
        self._server = server
        self._replicas = replicas
        self._timeout_ms = int(timeout / timedelta(milliseconds=1))

    async def execute(self, *command: Any) -> Any:
        """Run one command here. Not repeated when the connection fails: the outcome is unknown then.

        Raises:
            StoreUnavailable: see there.
        """
        async with self._server.asked(str(command[0]), command):
            return await self._send(*command)

    async def run(self, call: Call) -> Any:
        """Run a script here."""
        async with self._server.asked(call.script.name, call.keys):
            return await call.run(self._send)

    async def confirm(self) -> None:
        """Wait until everything written here is on disk, and on as many replicas' disks as the settings demand.

        Raises:
            NotSaved: it is not, or nobody can tell. The write may still be in force: it must be repeated or undone.
        """
        try:
            async with self._server.asked("WAITAOF"):
                local, replicas = await self._send("WAITAOF", 1, self._replicas, self._timeout_ms)
        except Exception as error:
            raise NotSaved("The store did not confirm that the write is on disk") from error
        if local < 1 or replicas < self._replicas:
            raise NotSaved(f"On disk at {local} of 1 primary and {replicas} of {self._replicas} replicas")

    async def _send(self, *command: Any) -> Any:
        # Cancelled or timed out between command and reply, redis-py closes the connection: no reply is ever taken for
        # another command's. The next command connects again.
        await self._connection.send_command(*command)
        return await self._connection.read_response()


class Blocking:
    """One connection for blocking reads. One reader at a time.

    A failure closes the connection and is raised; the next read opens another. Nothing is retried, because a repeated
    `XREAD BLOCK` would wait again from the same ids.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = server.single(BLOCK.total_seconds() + _BLOCK_GRACE_S)
        self._client_id: int | None = None
        self._reads = 0
        self._reading = False

    async def read(self, *command: Any) -> Any:
        """Run a blocking command and return the raw RESP2 reply; None when it timed out or was woken."""
        self._reads += 1
        self._reading = True
        try:
            async with self._server.asked(str(command[0]), command):
                if self._connection.should_reconnect():  # type: ignore[no-untyped-call]
                    await self.aclose()
                if self._client_id is None:
                    await self._connection.connect()  # type: ignore[no-untyped-call]
                    await self._connection.send_command("CLIENT", "ID")
                    self._client_id = await self._connection.read_response()
                await self._connection.send_command(*command)
                return await self._connection.read_response()
        except BaseException:
            # A cancelled read leaves its reply in the socket: the connection is of no use any more.
            await self.aclose()
            raise
        finally:
            self._reading = False

    async def wake(self) -> None:
        """Make the read under way return now; without one, do nothing. The connection is kept.

        The two commands travel on two connections, so the wake may be there before the read: it is repeated until it met
        a blocked client or the read is over.
        """
        read = self._reads
        while self._reading and self._reads == read:
            if self._client_id is not None:
                async with self._server.asked("CLIENT UNBLOCK"):
                    if await on(self._server.client)("CLIENT", "UNBLOCK", self._client_id):
                        return
            await asyncio.sleep(_UNBLOCK_AGAIN_S)

    async def aclose(self) -> None:
        """Close the connection."""
        self._client_id = None
        await self._connection.disconnect(nowait=True)


class Store:
    """The relay's Redis, as an async context manager. Entering does not connect: connections open when first used.

    Every method raises StoreUnavailable when the server does not answer in time, cannot serve now, or is not the primary; the
    outcome of a write is unknown then. No exception's text carries a URL, an argument or a reply.

    Attributes:
        main: the server with presence.
        vault: custody's, which is the same one unless the settings name another.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        self.own_vault = settings.vault_url is not None
        self.main = Server(settings.url, settings.operation_timeout)
        self.vault = self.main
        if settings.vault_url is not None:
            self.vault = Server(settings.vault_url, settings.operation_timeout)
        # The server answers a WAITAOF that was in vain after operation_timeout; the socket must outlast that.
        self._durable_timeout_s = settings.operation_timeout.total_seconds() + _BLOCK_GRACE_S
        self._durable_turns = asyncio.Semaphore(DURABLE_CONNECTIONS)
        self._durable: list[AbstractConnection] = []  # those that nobody writes on; the last used one last

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for connection in self._durable:
            await connection.disconnect(nowait=True)
        for server in {self.main, self.vault}:
            await server.aclose()

    async def run(self, call: Call) -> Any:
        """Run a script that may run twice."""
        async with self.main.asked(call.script.name, call.keys):
            return await call.run(on(self.main.client))

    async def run_once(self, call: Call) -> Any:
        """Run a script at most once.

        Raises:
            LeaseLost: the script demanded a lease that is no longer in force; nothing was written.
        """
        async with self.main.asked(call.script.name, call.keys):
            return await call.run(on(self.main.writer))

    async def command(self, *command: Any) -> Any:
        """Run one repeatable command on the main server."""
        async with self.main.asked(str(command[0]), command):
            return await on(self.main.client)(*command)

    async def vault_command(self, *command: Any) -> Any:
        """Run one repeatable command on custody's server; not durable."""
        async with self.vault.asked(str(command[0]), command):
            return await on(self.vault.client)(*command)

    async def vault_run(self, call: Call) -> Any:
        """Run a repeatable script on custody's server; not durable."""
        async with self.vault.asked(call.script.name, call.keys):
            return await call.run(on(self.vault.client))

    async def many(self, commands: Sequence[Sequence[Any]], *, vault: bool = False) -> list[Any]:
        """Run repeatable commands in one round trip, not atomically; the first that failed is raised."""
        if not commands:
            return []
        about = [key for command in commands for key in command[1:2]]
        server = self.vault if vault else self.main
        async with server.asked(str(commands[0][0]), about):
            return _good(await pipelined(server.client, commands))

    async def run_many(self, calls: Sequence[Call], *, urgent: bool = False) -> list[Any]:
        """Run repeatable scripts for several partitions in one round trip (two when the server does not know them yet).

        Args:
            calls: the keys of each lie in one slot.
            urgent: on connections that other commands cannot fill, and never retried.
        """
        if not calls:
            return []
        client = self.main.urgent if urgent else self.main.client
        async with self.main.asked(calls[0].script.name, [key for call in calls for key in call.keys]):
            replies = await pipelined(client, [call.command for call in calls])
            unknown = [number for number, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if unknown:
                sources = dict.fromkeys(calls[number].script.source for number in unknown)
                load = [("SCRIPT", "LOAD", source) for source in sources]
                again = await pipelined(client, [*load, *(calls[number].command for number in unknown)])
                for number, reply in zip(unknown, again[len(load) :], strict=True):
                    replies[number] = reply
            return _good(replies)

    async def prepare(self, scripts: Sequence[Script]) -> None:
        """Have the urgent connections open, and scripts known to the server: with a slow one that would take too long when it counts."""
        load = [("SCRIPT", "LOAD", script.source) for script in scripts]
        async with self.main.asked("SCRIPT LOAD"):
            opened = (pipelined(self.main.urgent, load) for _ in range(URGENT_CONNECTIONS))
            for replies in await asyncio.gather(*opened):
                _good(replies)

    @asynccontextmanager
    async def vault_connection(self) -> AsyncIterator[VaultConnection]:
        """A connection for durable writes, to the caller alone: write on it, then `confirm()`.

        Several write at once: each costs round trips, and the server syncs what came together in one go.
        """
        async with self._durable_turns:
            connection = self._durable.pop() if self._durable else self.vault.single(self._durable_timeout_s)
            try:
                await _wake(connection)
                settings = self.settings
                yield VaultConnection(connection, self.vault, settings.replicas, settings.operation_timeout)
            finally:
                self._durable.append(connection)

    def blocking(self) -> Blocking:
        """A new connection for blocking reads of at most `BLOCK`; the caller closes it."""
        return Blocking(self.main)

    async def ping(self) -> None:
        """Return when the server answers."""
        await self.command("PING")

    async def server(self) -> ServerIdentity:
        """Whom the main server is at present. To be asked after every reconnect and once a second."""
        return await self._identity(self.main)

    async def _identity(self, server: Server) -> ServerIdentity:
        async with server.asked("INFO"):
            info = await on(server.client)("INFO", "replication")
        identity = ServerIdentity(replid=str(info.get("master_replid", "")), role=str(info.get("role", "")))
        if not identity.replid:
            raise StoreUnavailable("The store does not say which history it has")
        await server.seen(identity.replid, is_primary=identity.role == "master")
        return identity

    async def look(self) -> None:
        """Return when the store is there and trusted: each server is a primary that takes writes at present.

        Writes one key, which nobody reads, the first time; later it is refused without a trace, unless the server would take no
        other write either.

        Raises:
            StoreUnavailable: it is not; the text says why.
        """
        for server in dict.fromkeys((self.main, self.vault)):
            await self._demand_primary(server)
            async with server.asked("SET", [keys.WRITABLE]):
                await on(server.client)("SET", keys.WRITABLE, 1, "NX")

    async def vouch(self) -> None:
        """Return when the vault's server is a primary: what a replica does not have may be somewhere else.

        Raises:
            NotPrimary: it is a replica.
        """
        await self._demand_primary(self.vault)

    async def _demand_primary(self, server: Server) -> None:
        identity = await self._identity(server)
        if identity.role != "master":
            raise NotPrimary(f"The store is a replica (role {identity.role})")

    async def preflight(self) -> list[str]:
        """What an operator must put right before the relay may run; empty when all is well.

        Writes the number of partitions and the key of `look` at first start, and nothing else.

        Raises:
            StoreUnavailable: nobody can tell at present; the text says why.
        """
        replicas = self.settings.replicas
        faults = await preflight.check(self.main, "Redis", replicas=replicas, custody=not self.own_vault)
        if self.own_vault:
            faults += await preflight.check(self.vault, "the vault's Redis", replicas=replicas, custody=True)
        return faults

    async def permits(self, clients: Sequence[Client]) -> list[tuple[str, Permits | None]]:
        """How the rights of the users in the URLs differ from what these roles need, for each server by name."""
        servers: list[tuple[str, Server, tuple[Side, ...]]]
        if not self.own_vault:
            servers = [("Redis", self.main, (Side.PRESENCE, Side.VAULT))]
        else:
            servers = [("Redis", self.main, (Side.PRESENCE,)), ("the vault's Redis", self.vault, (Side.VAULT,))]
        found: list[tuple[str, Permits | None]] = []
        for name, server, sides in servers:
            connection = server.single(self.settings.operation_timeout.total_seconds())
            try:
                async with server.asked():
                    found.append((name, await permits(connection, clients, sides)))
            finally:
                await connection.disconnect(nowait=True)
        return found


async def _wake(connection: AbstractConnection) -> None:
    """Have a connection open before the write: one that the server closed while it was idle would fail a write that is not repeated."""
    if connection.should_reconnect():  # type: ignore[no-untyped-call]
        await connection.disconnect(nowait=True)
    if connection.is_connected:
        try:
            await connection.send_command("PING")
            await connection.read_response()
        except (RedisError, OSError):
            await connection.disconnect(nowait=True)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise


async def pipelined(client: Redis, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """The replies to commands that travel together, refusals among them: raised by redis-py they would lose their codes."""
    pipe = client.pipeline(transaction=False)
    for command in commands:
        pipe.execute_command(*command)
    return list(await pipe.execute(raise_on_error=False))


def _good(replies: list[Any]) -> list[Any]:
    """The replies, when none is a refusal; otherwise the first refusal is raised."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
