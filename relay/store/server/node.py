"""One Redis server: its address and all connections to it, which are replaced when it is no longer primary.

After a failover another server is behind the address, and the old one may live on as a replica, to which open connections
stay attached until somebody closes them. So when a server turns out to be a replica, all of them are closed:

    pools           idle ones at once, the others when the command on them is over
    single ones     before their next command (`single`): of the durable writes, and of blocking reads

Where sentinels or a cluster name the primaries, each has a Node of its own, which is retired when it is no longer primary:
all its connections are closed at once, and it opens none.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit
from weakref import WeakSet

import structlog
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import ConnectionError, RedisError  # noqa: A004

from relay.errors import NotPrimary, StoreUnavailable
from relay.store.server.metrics import FAILOVERS
from relay.store.server.redis_errors import translated
from relay.store.server.scripting import on
from relay.store.server.statistics import unobserved

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import timedelta

    from redis.asyncio.connection import AbstractConnection

    from relay.store.server.statistics import Observer

log = structlog.get_logger(__name__)

POOL_CONNECTIONS: Final = 64
"""Connections of each kind. A connection carries one command in each round trip: tens of thousands a second to a server beside it, 16 to
one that is
60 ms away; with as many as there are partitions each can be at work. When all are taken, a caller waits for
`operation_timeout`, then gets StoreUnavailable."""

URGENT_CONNECTIONS: Final = 4
"""Connections for leases: three renewals may be under way together."""

DURABLE_CONNECTIONS: Final = 32
"""Durable writes under way together, at most: after a start each grant's token is renewed, and each of these writes waits for the
disk and for three round trips."""

READ_RETRIES: Final = 2
_DRIVER: Final = DriverInfo()
"""What connections call themselves. Without it each looks redis-py's version up in its package's files, for half a millisecond."""
_GRACE_S: Final = 3.0
"""Socket timeout beyond what the server itself waits for: a server this late is not there."""
_ANEW_EVERY_S: Final = 0.5
"""Connections are replaced this often at most, however many commands are refused while there is no other server."""


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """The identity of a server's history of data: a new `replid` means that the last writes may be gone."""

    replid: str
    role: str
    """`master` or `slave`, as Redis calls them."""

    @property
    def is_primary(self) -> bool:
        """Return whether it is a primary."""
        return self.role == "master"


class Node:
    """The connections to one server. Nothing connects before its first command.

    Attributes:
        client: for reads and repeatable writes; retries.
        writer: for what must not run twice without the caller knowing; never retries.
        urgent: for what must not wait until connections are free; never retries.
        url: carries the password; not for logs.
        user: the Redis user; empty: the default one.
        in_cluster: it is a node of a cluster.
        is_retired: it is used no more.
    """

    def __init__(
        self, url: str, operation_timeout: timedelta, observe: Observer = unobserved, *, in_cluster: bool = False
    ) -> None:
        """Make the connections' pools; nothing connects yet.

        Args:
            url: where it is, with the credentials.
            operation_timeout: how long one command may take, connecting included.
            observe: surrounds each command; it is given its name.
            in_cluster: it is a node of a cluster.
        """
        self.url = url
        self.in_cluster = in_cluster
        self.is_retired = False
        self._is_closed = False
        self._observe = observe
        self.user = unquote(urlsplit(url).username or "")
        self._timeout_s = operation_timeout.total_seconds()
        self.client = self._pooled(READ_RETRIES)
        self.writer = self._pooled(0)
        self.urgent = self._pooled(0, URGENT_CONNECTIONS)
        self._singles: WeakSet[AbstractConnection] = WeakSet()
        self._durable_turns = asyncio.Semaphore(DURABLE_CONNECTIONS)
        self._durable: list[AbstractConnection] = []  # those that nobody writes on; the last used one last
        self._anew_at = 0.0
        self._is_logged = False  # that connections are made anew, since a primary was there
        self._replid = ""

    @property
    def place(self) -> str:
        """Host and port, or the path of the socket; without credentials."""
        parts = urlsplit(self.url)
        return parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"

    @property
    def host(self) -> str:
        """The host; empty for a socket."""
        return urlsplit(self.url).hostname or ""

    def _pooled(self, retries: int, connections: int = POOL_CONNECTIONS) -> Redis:
        pool = BlockingConnectionPool.from_url(
            self.url,
            max_connections=connections,
            timeout=self._timeout_s,
            socket_timeout=self._timeout_s,
            socket_connect_timeout=self._timeout_s,
            protocol=2,
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), retries),
            redis_connect_func=self._greet,
            driver_info=_DRIVER,
        )
        return Redis.from_pool(pool)

    async def _greet(self, connection: AbstractConnection) -> None:
        """Prepare a connection that was opened."""
        if self.is_retired or self._is_closed:
            raise ConnectionError("retired" if self.is_retired else "closed")
        await connection.on_connect()

    def single(self, waits_s: float = 0.0, *, protocol: int = 2) -> AbstractConnection:
        """Return a connection of the caller's own, who closes it and asks it for `should_reconnect` before a command.

        Args:
            waits_s: for how long the server itself waits before it answers, at most; the socket outlasts that.
            protocol: 2 or 3; 3 has messages that nobody asked for.
        """
        pool = ConnectionPool.from_url(
            self.url,
            socket_timeout=waits_s + _GRACE_S,
            socket_connect_timeout=self._timeout_s,
            protocol=protocol,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=self._greet,
            driver_info=_DRIVER,
        )
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        self._singles.add(connection)
        return connection

    @asynccontextmanager
    async def durable(self) -> AsyncIterator[AbstractConnection]:
        """Lend an open connection for durable writes, to one caller at a time; waits while all of them are lent."""
        async with self._durable_turns:
            # The server answers a WAITAOF that was in vain after operation_timeout.
            connection = self._durable.pop() if self._durable else self.single(self._timeout_s)
            try:
                await _open(connection)
                yield connection
            finally:
                self._durable.append(connection)
                if self._is_closed:
                    await connection.disconnect(nowait=True)

    @asynccontextmanager
    async def asked(self, what: str = "command", about: Sequence[Any] = ()) -> AsyncIterator[None]:
        """Run commands of this server inside; their errors become the relay's, see `redis_errors.translated`.

        Raises:
            NotPrimary: it is a replica, and all connections are replaced; or it is retired.
            Redirected: another node of the cluster has the key.
        """
        if self.is_retired:
            raise NotPrimary("The store's server was replaced")
        try:
            with self._observe(what), translated(what, about, self.user, in_cluster=self.in_cluster):
                yield
        except NotPrimary:
            await self.connect_anew()
            raise
        except AttributeError as error:
            # redis-py steps on the writer of a connection that was closed between two of its steps.
            if not self.is_retired:
                raise
            raise NotPrimary("The store's server was replaced") from error

    async def identity(self) -> ServerIdentity:
        """Ask the server who it is. When it is another server than before, all connections are replaced."""
        async with self.asked("INFO"):
            info = await on(self.client)("INFO", "replication")
        identity = ServerIdentity(replid=str(info.get("master_replid", "")), role=str(info.get("role", "")))
        if not identity.replid:
            raise StoreUnavailable("The store did not report its replication history")
        if not identity.is_primary or (self._replid and identity.replid != self._replid):
            await self.connect_anew()
        else:
            self._is_logged = False
        self._replid = identity.replid
        return identity

    async def demand_primary(self) -> None:
        """Return when the server is a primary.

        Raises:
            NotPrimary: it is a replica.
        """
        identity = await self.identity()
        if not identity.is_primary:
            raise NotPrimary(f"The store is a replica (role {identity.role})")

    async def connect_anew(self) -> None:
        """Make every command from now on connect again; those under way end as they can."""
        now = asyncio.get_running_loop().time()
        if now < self._anew_at:
            return
        self._anew_at = now + _ANEW_EVERY_S
        if not self._is_logged:
            self._is_logged = True
            FAILOVERS.add()
            log.warning("store_reconnected", hint="the server is no longer primary, or another one has taken its place")
        for connection in self._singles:
            connection.mark_for_reconnect()  # type: ignore[no-untyped-call]
        for client in (self.client, self.writer, self.urgent):
            pool = client.connection_pool
            await pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]
            with suppress(RedisError, OSError):  # it is closed all the same, if not in order
                await pool.disconnect(inuse_connections=False)

    async def retire(self) -> None:
        """Close all connections at once, those at work too, and open none any more: another server has the place of this one."""
        self.is_retired = True
        for connection in list(self._singles):
            await connection.disconnect(nowait=True)
        for client in (self.client, self.writer, self.urgent):
            with suppress(RedisError, OSError):
                await client.connection_pool.disconnect(inuse_connections=True)

    async def aclose(self) -> None:
        """Close all connections, and open none any more. One that is lent is closed when it comes back."""
        self._is_closed = True
        for connection in self._durable:
            await connection.disconnect(nowait=True)
        for client in (self.client, self.writer, self.urgent):
            await client.aclose()


async def _open(connection: AbstractConnection) -> None:
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


def client_of(url: str, patience_s: float) -> Redis:
    """Return a client of a server that is only asked how things are; it tries each command once, for `patience_s` seconds."""
    return Redis.from_url(
        url,
        socket_timeout=patience_s,
        socket_connect_timeout=patience_s,
        protocol=2,
        max_connections=4,
        retry=Retry(NoBackoff(), 0),
        driver_info=_DRIVER,
    )
