"""One Redis server: its address and all connections to it, which are replaced when it is no longer primary.

After a failover another server is behind the address. The old server may still run as a replica, and open connections
stay attached to it until they are closed. So when a server reports that it is a replica, all its connections are
closed:

    pools     idle connections at once, the others after their current command
    single    before their next command; these connections are for durable writes and blocking reads (`single`)

If sentinels or a cluster name the primaries, each primary has its own Node. A Node is retired when its server is no
longer primary: all its connections are closed at once, and it opens no new ones.
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
"""Connections in each pool. A connection carries one command in each round trip: tens of thousands per second to a
server nearby, 16 to one that is 60 ms away. There are as many as partitions, so all partitions can work at once. When
all are in use, a caller waits for `operation_timeout`, then gets StoreUnavailable."""

URGENT_CONNECTIONS: Final = 4
"""Connections for leases: three renewals may run at the same time."""

DURABLE_CONNECTIONS: Final = 32
"""Most durable writes at the same time. After a start each grant's token is renewed, and each of these writes waits for
the disk and for three round trips."""

READ_RETRIES: Final = 2
_DRIVER: Final = DriverInfo()
"""The client name of connections. Without it redis-py reads its own version from its package files, for half a
millisecond each."""
_GRACE_S: Final = 3.0
"""Socket timeout in addition to the time for which the server itself waits."""
_ANEW_EVERY_S: Final = 0.5
"""Minimum time between two replacements of connections, however many commands are refused meanwhile."""


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """The identity of a server's data history: a new `replid` means that the last writes may be lost."""

    replid: str
    role: str
    """`master` or `slave`, as Redis calls them."""

    @property
    def is_primary(self) -> bool:
        """Return whether the server is a primary."""
        return self.role == "master"


class Node:
    """The connections to one server. Each connects at its first command.

    Attributes:
        client: for reads and repeatable writes; retries.
        writer: for writes that must not run twice unnoticed; never retries.
        urgent: for commands that must not wait for a free connection; never retries.
        url: contains the password; not for logs.
        user: the Redis user; empty for the default user.
        in_cluster: whether the server is a node of a cluster.
        is_retired: whether the node is no longer used.
    """

    def __init__(
        self, url: str, operation_timeout: timedelta, observe: Observer = unobserved, *, in_cluster: bool = False
    ) -> None:
        """Create the connection pools, without connecting.

        Args:
            url: the address with the credentials.
            operation_timeout: time limit of one command, including the connection.
            observe: returns a context for each command, from the command's name.
            in_cluster: whether the server is a node of a cluster.
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
        self._opened: WeakSet[AbstractConnection] = WeakSet()  # all that were connected at some time
        self._durable_turns = asyncio.Semaphore(DURABLE_CONNECTIONS)
        self._durable: list[AbstractConnection] = []  # the free ones, the last used at the end
        self._anew_at = 0.0
        self._is_logged = False  # whether the replacement of connections was logged since the last primary
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
        """Prepare a new connection."""
        if self.is_retired or self._is_closed:
            raise ConnectionError("retired" if self.is_retired else "closed")
        self._opened.add(connection)
        await connection.on_connect()

    def single(self, waits_s: float = 0.0, *, protocol: int = 2) -> AbstractConnection:
        """Return a connection for one caller, which must close it and check `should_reconnect` before each command.

        Args:
            waits_s: longest time for which the server itself waits before it answers; the socket timeout is longer.
            protocol: 2 or 3; only 3 has push messages.
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
        """Lend an open connection for durable writes to one caller; wait while all of them are lent."""
        async with self._durable_turns:
            # The server answers an unsuccessful WAITAOF after operation_timeout.
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
        """Return a context for commands to this server. It raises the relay's errors, see `redis_errors.translated`.

        Raises:
            NotPrimary: the server is a replica, and all connections are replaced; or the node is retired.
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
            # redis-py raises this if another task closes a connection while a command uses it.
            if not self.is_retired:
                raise
            raise NotPrimary("The store's server was replaced") from error

    async def identity(self) -> ServerIdentity:
        """Return the server's identity. If it is a different server than before, replace all connections."""
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
        """Check that the server is a primary.

        Raises:
            NotPrimary: the server is a replica.
        """
        identity = await self.identity()
        if not identity.is_primary:
            raise NotPrimary(f"The store is a replica (role {identity.role})")

    async def connect_anew(self) -> None:
        """Make all new commands open new connections; running commands continue on the old ones."""
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
            with suppress(RedisError, OSError):  # the pool is closed even so
                await pool.disconnect(inuse_connections=False)

    async def retire(self) -> None:
        """Close all connections at once, even in use, and open no new ones: another server has replaced this one."""
        self.is_retired = True
        for connection in list(self._opened):
            # Without a wait a cancellation cannot come between two of them: nobody would close the rest.
            await connection.disconnect(nowait=True)

    async def aclose(self) -> None:
        """Close all connections, and open no new ones. A lent connection is closed when it is returned."""
        self._is_closed = True
        for connection in self._durable:
            await connection.disconnect(nowait=True)
        for client in (self.client, self.writer, self.urgent):
            await client.aclose()


async def _open(connection: AbstractConnection) -> None:
    """Open a connection, and check it before the write: writes are not repeated if the server has closed it."""
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
    """Return a client for status queries to a server. It tries each command once, for up to `patience_s` seconds."""
    return Redis.from_url(
        url,
        socket_timeout=patience_s,
        socket_connect_timeout=patience_s,
        protocol=2,
        max_connections=4,
        retry=Retry(NoBackoff(), 0),
        driver_info=_DRIVER,
    )
