"""The connections to Redis: what runs on which, what their errors mean, and whether the server can be trusted.

    client    reads, and writes that may be repeated; retries once or twice by itself
    writer    scripts that must not run twice without the caller knowing; never retries
    vault     reads of custody (the same server unless it has one of its own)
    vault_connection()   ONE connection on which a durable write and its WAITAOF run, one caller at a time
    blocking()           a connection for XREAD BLOCK, which another connection can wake

WAITAOF on any other connection than the write's answers at once and says nothing of that write.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError

from relay.errors import NotSaved, StoreUnavailable
from relay.store import preflight
from relay.store.failures import translated
from relay.store.layout import Side
from relay.store.permits import Permits, permits
from relay.store.scripting import on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from redis.asyncio.connection import AbstractConnection

    from relay.store.layout import Client
    from relay.store.scripting import Arg, Script

POOL_CONNECTIONS: Final = 32
"""Of each kind. One connection carries tens of thousands of commands a second; more only wait in the server. When all are
taken, a caller waits for `operation_timeout`, then gets StoreUnavailable."""

READ_RETRIES: Final = 2
BLOCK: Final = timedelta(seconds=1)
"""How long a blocking read waits at most: as often as this, its caller can look around."""
_BLOCK_GRACE_S: Final = 3.0  # socket timeout beyond BLOCK: a server this late is not there
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

    def __init__(self, connection: AbstractConnection, replicas: int, timeout: timedelta, user: str) -> None:
        self._connection = connection
        self._user = user
        self._replicas = replicas
        self._timeout_ms = int(timeout / timedelta(milliseconds=1))

    async def execute(self, *command: Any) -> Any:
        """Run one command here. Not repeated when the connection fails: the outcome is unknown then.

        Raises:
            StoreUnavailable: see there.
        """
        with translated(str(command[0]), command, self._user):
            return await self._send(*command)

    async def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Arg]) -> Any:
        """Run a script here."""
        with translated(script.name, keys, self._user):
            return await script.run(self._send, keys, args)

    async def confirm(self) -> None:
        """Wait until everything written here is on disk, and on as many replicas' disks as the settings demand.

        Raises:
            NotSaved: it is not, or nobody can tell. The write may still be in force: it must be repeated or undone.
        """
        try:
            with translated("WAITAOF", user=self._user):
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

    def __init__(self, connection: AbstractConnection, control: Redis, user: str) -> None:
        self._connection = connection
        self._user = user
        self._control = control
        self._client_id: int | None = None
        self._reads = 0
        self._reading = False

    async def read(self, *command: Any) -> Any:
        """Run a blocking command and return the raw RESP2 reply; None when it timed out or was woken."""
        self._reads += 1
        self._reading = True
        try:
            with translated(str(command[0]), command, self._user):
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
                with translated("CLIENT UNBLOCK", user=self._user):
                    if await on(self._control)("CLIENT", "UNBLOCK", self._client_id):
                        return
            await asyncio.sleep(_UNBLOCK_AGAIN_S)

    async def aclose(self) -> None:
        """Close the connection."""
        self._client_id = None
        await self._connection.disconnect(nowait=True)


class Store:
    """The relay's Redis, as an async context manager. Entering does not connect: connections open when first used.

    Every method raises StoreUnavailable when the server does not answer in time, is loading, or is not the primary; the
    outcome of a write is unknown then. No exception's text carries a URL, an argument or a reply.

    Attributes:
        client: for reads and repeatable writes; retries.
        vault: the same for custody.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        self.own_vault = settings.vault_url is not None
        vault_url = settings.vault_url or settings.url
        self._user, self._vault_user = _user(settings.url), _user(vault_url)
        self.client = self._pooled(settings.url, READ_RETRIES)
        self._writer = self._pooled(settings.url, 0)
        self.vault = self._pooled(vault_url, READ_RETRIES) if self.own_vault else self.client
        # The server answers a WAITAOF that was in vain after operation_timeout; the socket must outlast that.
        self._durable = self._connections(vault_url, settings.operation_timeout.total_seconds() + _BLOCK_GRACE_S)
        self._durable_connection = _connection(self._durable)
        self._durable_lock = asyncio.Lock()
        self._blocking = self._connections(settings.url, BLOCK.total_seconds() + _BLOCK_GRACE_S)

    def _pooled(self, url: str, retries: int) -> Redis:
        timeout = self.settings.operation_timeout.total_seconds()
        retry = Retry(ExponentialBackoff(cap=0.2, base=0.02), retries)
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=POOL_CONNECTIONS,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            protocol=2,
            retry=retry,
        )
        return Redis.from_pool(pool)

    def _connections(self, url: str, socket_timeout: float) -> ConnectionPool:
        return ConnectionPool.from_url(
            url,
            socket_timeout=socket_timeout,
            socket_connect_timeout=self.settings.operation_timeout.total_seconds(),
            protocol=2,
            retry=Retry(NoBackoff(), 0),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._durable_connection.disconnect(nowait=True)
        for client in {self.client, self._writer, self.vault}:
            await client.aclose()

    async def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Arg]) -> Any:
        """Run a script that may run twice."""
        with translated(script.name, keys, self._user):
            return await script.run(on(self.client), keys, args)

    async def run_once(self, script: Script, keys: Sequence[bytes], args: Sequence[Arg]) -> Any:
        """Run a script at most once.

        Raises:
            LeaseLost: the script demanded a lease that is no longer in force; nothing was written.
        """
        with translated(script.name, keys, self._user):
            return await script.run(on(self._writer), keys, args)

    async def command(self, *command: Any) -> Any:
        """Run one repeatable command on the main server."""
        with translated(str(command[0]), command, self._user):
            return await on(self.client)(*command)

    async def vault_command(self, *command: Any) -> Any:
        """Run one repeatable command on custody's server; not durable."""
        with translated(str(command[0]), command, self._vault_user):
            return await on(self.vault)(*command)

    async def vault_run(self, script: Script, keys: Sequence[bytes], args: Sequence[Arg]) -> Any:
        """Run a repeatable script on custody's server; not durable."""
        with translated(script.name, keys, self._vault_user):
            return await script.run(on(self.vault), keys, args)

    async def many(self, commands: Sequence[Sequence[Any]], *, vault: bool = False) -> list[Any]:
        """Run repeatable commands in one round trip, not atomically; the first that failed is raised."""
        if not commands:
            return []
        about = [key for command in commands for key in command[1:2]]
        with translated(str(commands[0][0]), about, self._vault_user if vault else self._user):
            pipe = (self.vault if vault else self.client).pipeline(transaction=False)
            for command in commands:
                pipe.execute_command(*command)
            return list(await pipe.execute())

    async def many_runs(self, script: Script, calls: Sequence[tuple[Sequence[bytes], Sequence[Arg]]]) -> list[Any]:
        """Run a repeatable script for several partitions in one round trip."""
        with translated(script.name, [key for keys, _ in calls for key in keys], self._user):
            commands = [(script.command, script.sha, len(keys), *keys, *args) for keys, args in calls]
            pipe = self.client.pipeline(transaction=False)
            for command in commands:
                pipe.execute_command(*command)
            replies = await pipe.execute(raise_on_error=False)
            return [
                await script.run(on(self.client), *call) if isinstance(reply, Exception) else reply
                for call, reply in zip(calls, replies, strict=True)
            ]

    @asynccontextmanager
    async def vault_connection(self) -> AsyncIterator[VaultConnection]:
        """The connection for durable writes, to the caller alone: write on it, then `confirm()`."""
        async with self._durable_lock:
            await self._wake_durable_connection()
            yield VaultConnection(
                self._durable_connection, self.settings.replicas, self.settings.operation_timeout, self._vault_user
            )

    async def _wake_durable_connection(self) -> None:
        """Have it open before the write: one that the server closed while it was idle would fail a write that is not repeated."""
        connection = self._durable_connection
        if connection.is_connected:
            try:
                await connection.send_command("PING")
                await connection.read_response()
            except (RedisError, OSError):
                await connection.disconnect(nowait=True)
            except BaseException:
                await connection.disconnect(nowait=True)
                raise

    def blocking(self) -> Blocking:
        """A new connection for blocking reads of at most `BLOCK`; the caller closes it."""
        return Blocking(_connection(self._blocking), self.client, self._user)

    async def ping(self) -> None:
        """Return when the server answers."""
        await self.command("PING")

    async def server(self) -> ServerIdentity:
        """Whom the main server is at present. To be asked after every reconnect and once a second."""
        info = await self.command("INFO", "replication")
        identity = ServerIdentity(replid=str(info["master_replid"]), role=str(info["role"]))
        if not identity.replid:
            raise StoreUnavailable("The store does not say which history it has")
        return identity

    async def preflight(self) -> list[str]:
        """What an operator must put right before the relay may run; empty when all is well.

        Writes the number of partitions at first start, and nothing else.
        """
        faults = await preflight.check(
            self.client, "Redis", self.settings.url, replicas=self.settings.replicas, custody=not self.own_vault
        )
        if self.settings.vault_url is not None:
            faults += await preflight.check(
                self.vault, "the vault's Redis", self.settings.vault_url, replicas=self.settings.replicas, custody=True
            )
        return faults

    async def permits(self, clients: Sequence[Client]) -> list[tuple[str, Permits | None]]:
        """How the rights of the users in the URLs differ from what these roles need, for each server by name."""
        servers: list[tuple[str, ConnectionPool, tuple[Side, ...]]]
        if not self.own_vault:
            servers = [("Redis", self._blocking, (Side.PRESENCE, Side.VAULT))]
        else:
            servers = [("Redis", self._blocking, (Side.PRESENCE,)), ("the vault's Redis", self._durable, (Side.VAULT,))]
        found: list[tuple[str, Permits | None]] = []
        for name, pool, sides in servers:
            connection = _connection(pool)
            try:
                with translated():
                    found.append((name, await permits(connection, clients, sides)))
            finally:
                await connection.disconnect(nowait=True)
        return found


def _user(url: str) -> str:
    """The Redis user that a URL names; empty: the default one."""
    return unquote(urlsplit(url).username or "")


def _connection(pool: ConnectionPool) -> AbstractConnection:
    return pool.make_connection()  # type: ignore[no-untyped-call, no-any-return]
