"""One Redis server as the relay has it: its address and all connections to it, which are made anew when it is no primary any more.

After a failover another server stands behind the address, and the old one may live on as a replica, to which open connections
stay attached for as long as nobody closes them. So whoever is told that a server is a replica closes them all:

    pools           idle ones at once, the others when the command on them is over
    single ones     before their next command (`single`): of the durable writes, and of blocking reads
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit
from weakref import WeakSet

import structlog
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError

from relay.errors import NotPrimary
from relay.store.server.redis_errors import translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import timedelta

    from redis.asyncio.connection import AbstractConnection

log = structlog.get_logger(__name__)

POOL_CONNECTIONS: Final = 64
"""Of each kind. A connection carries one command in each round trip: tens of thousands a second to a server beside it, 16 to one that is
60 ms away; with as many as there are partitions each can be at work. When all are taken, a caller waits for
`operation_timeout`, then gets StoreUnavailable."""

URGENT_CONNECTIONS: Final = 4
"""For leases: three renewals may be under way together."""

READ_RETRIES: Final = 2
_ANEW_EVERY_S: Final = 0.5
"""Connections are made anew this often at most, however many commands are refused while there is no other server."""


class Server:
    """The connections to one server. Nothing connects before its first command.

    Attributes:
        client: for reads and repeatable writes; retries.
        writer: for what must not run twice without the caller knowing; never retries.
        urgent: for what must not wait until connections are free; never retries.
        url: carries the password; not for logs.
        user: the Redis user; empty: the default one.
    """

    def __init__(self, url: str, operation_timeout: timedelta) -> None:
        self.url = url
        self.user = unquote(urlsplit(url).username or "")
        self._timeout_s = operation_timeout.total_seconds()
        self.client = self._pooled(READ_RETRIES)
        self.writer = self._pooled(0)
        self.urgent = self._pooled(0, URGENT_CONNECTIONS)
        self._singles: WeakSet[AbstractConnection] = WeakSet()
        self._anew_at = 0.0
        self._is_told = False  # that connections are made anew, since a primary was there
        self._replid = ""

    def _pooled(self, retries: int, connections: int = POOL_CONNECTIONS) -> Redis:
        pool = BlockingConnectionPool.from_url(
            self.url,
            max_connections=connections,
            timeout=self._timeout_s,
            socket_timeout=self._timeout_s,
            socket_connect_timeout=self._timeout_s,
            protocol=2,
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), retries),
        )
        return Redis.from_pool(pool)

    def single(self, socket_timeout_s: float) -> AbstractConnection:
        """A connection of the caller's own, which closes it. To be asked for `should_reconnect` before a command."""
        pool = ConnectionPool.from_url(
            self.url,
            socket_timeout=socket_timeout_s,
            socket_connect_timeout=self._timeout_s,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
        )
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        self._singles.add(connection)
        return connection

    @asynccontextmanager
    async def asked(self, what: str = "command", about: Sequence[Any] = ()) -> AsyncIterator[None]:
        """Commands of this server: raises the relay's errors for theirs, see `failures.translated`.

        Raises:
            NotPrimary: it is a replica; connections are made anew from now on.
        """
        try:
            with translated(what, about, self.user):
                yield
        except NotPrimary:
            await self.connect_anew()
            raise

    async def seen(self, replid: str, *, is_primary: bool) -> None:
        """A connection says which history its server has, and whether it is a primary: others may lead to another one."""
        if not is_primary or (self._replid and replid != self._replid):
            await self.connect_anew()
        else:
            self._is_told = False
        self._replid = replid

    async def connect_anew(self) -> None:
        """Have every command from now on connect anew; those under way end as they can."""
        now = asyncio.get_running_loop().time()
        if now < self._anew_at:
            return
        self._anew_at = now + _ANEW_EVERY_S
        if not self._is_told:
            self._is_told = True
            log.warning("store_connected_anew", hint="the server is no primary, or another one has taken its place")
        for connection in self._singles:
            connection.mark_for_reconnect()  # type: ignore[no-untyped-call]
        for client in (self.client, self.writer, self.urgent):
            pool = client.connection_pool
            await pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]
            with suppress(RedisError, OSError):  # it is closed all the same, if not in order
                await pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Close the pools."""
        for client in (self.client, self.writer, self.urgent):
            await client.aclose()
