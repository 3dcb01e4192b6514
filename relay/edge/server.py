"""The edge's server: listens, tells how it is, and leaves in good order.

Leaving: health turns NOT_SERVING and no connection is accepted any more. Every suite is asked to leave at a moment of its own within
`drain_delay`, but not before its connection was told to take no new streams (GOAWAY, by `connection_age`), so that the next one
goes elsewhere, on the same channel as well. Streams that were on their way are served until then. What is left in the end is cut
off after `grace`. A process that is killed instead loses nothing: suites resume.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

import grpc
import structlog
from grpc_health.v1 import health

from relay.edge import memory, reflection, sockets
from relay.edge.gate import Gate
from relay.edge.health import Health
from relay.edge.reflection import Reflection
from relay.edge.service import SERVICE, PresenceService
from relay.edge.shared import Shared
from relay.http.admission import room_for
from relay.ops.listening import shown
from relay.ops.supervision import running

if TYPE_CHECKING:
    from relay.edge.settings import EdgeSettings
    from relay.store.sealing.marks import Marks
    from relay.store.server.connection import Store

_log = structlog.get_logger(__name__)

_LAST_ENDINGS: Final = timedelta(seconds=2)
"""For the endings themselves to be sent."""
_LOOK_S: Final = 0.1


class EdgeServer:
    """The edge as an async context manager: it listens while entered, and drains its streams when left.

    Attributes:
        port: where it listens; known once entered.
    """

    def __init__(self, settings: EdgeSettings, store: Store, marks: Marks, edge_id: str | None = None) -> None:
        """Make a server that does not listen yet.

        Args:
            settings: how it listens and what it allows.
            store: outlives the server.
            marks: what suite keys' records are verified with.
            edge_id: must differ from every other edge's that may run at the same time.
        """
        self.port = 0
        self._settings = settings
        self._store = store
        self._marks = marks
        self._edge_id = edge_id or f"{socket.gethostname()}.{secrets.token_hex(4)}"
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._shared = shared = Shared(self._store, self._settings, self._marks, self._edge_id)
            stack.push_async_callback(shared.interest.aclose)
            await stack.enter_async_context(running({"edge-interest": shared.interest.run}))
            stack.push_async_callback(shared.watched.aclose)
            await stack.enter_async_context(running({"edge-watched": shared.watched.run}))
            await stack.enter_async_context(shared.hub)
            stack.push_async_callback(shared.suites.aclose)
            await stack.enter_async_context(
                running({"edge-suites": shared.suites.run, "edge-memory": memory.give_back})
            )
            self._service = PresenceService(shared)
            gate = Gate(shared.auth, shared.strangers, self._settings)
            self._server = grpc.aio.server(interceptors=[gate], options=_options(self._settings))
            self._health = Health(shared.strangers, self._settings)
            reflected = Reflection(shared, (SERVICE, health.SERVICE_NAME, reflection.SERVICE))
            handlers = (self._service.handler(), self._health.handler(), reflected.handler())
            self._server.add_generic_rpc_handlers(handlers)
            self.port = _listen(self._server, self._settings)
            await self._server.start()
            stack.push_async_callback(self._stop)
            await self._health.serving("", SERVICE)
            self._stack = stack.pop_all()
        _log.info("edge_listening", port=self.port, tls=self._settings.tls_cert_pem is not None)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def drain(self) -> None:
        """Ask every suite to leave, and return when all have or their time is over. Leaving the context does this too."""
        await self._health.leave()
        sockets.stop_listening(self.port)
        with suppress(TimeoutError):
            async with asyncio.timeout((self._settings.drain_delay + _LAST_ENDINGS).total_seconds()):
                await self._service.drain()
                await self._nobody_comes()

    async def _nobody_comes(self) -> None:
        """Return when no call can be on its way to this edge, or so late that its connection must have been told."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._service.settled_at):
                while sockets.has_connections(self.port):  # noqa: ASYNC110 nobody tells of it
                    await asyncio.sleep(_LOOK_S)

    async def _stop(self) -> None:
        await self.drain()
        await self._server.stop(self._settings.grace.total_seconds())


def _listen(server: grpc.aio.Server, settings: EdgeSettings) -> int:
    address = shown(settings.host, settings.port)
    if settings.tls_cert_pem is None or settings.tls_key_pem is None:
        if settings.tls_cert_pem is not None or settings.tls_key_pem is not None:
            raise ValueError("TLS needs both a certificate and its key")
        return server.add_insecure_port(address)
    pairs = [(settings.tls_key_pem, settings.tls_cert_pem)]
    return server.add_secure_port(address, grpc.ssl_server_credentials(pairs))


def _options(settings: EdgeSettings) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", settings.message_bytes),
        # Of no use alone, see `relay.edge.gate`.
        ("grpc.max_metadata_size", settings.metadata_bytes),
        ("grpc.absolute_max_metadata_size", settings.metadata_bytes),
        ("grpc.max_concurrent_streams", settings.streams_per_connection),
        ("grpc.server_handshake_timeout_ms", _ms(settings.handshake)),
        # A GOAWAY, give or take a tenth; open streams go on. A connection without any is closed.
        ("grpc.max_connection_age_ms", _ms(settings.connection_age)),
        # The core would accept until no descriptor is left, and then neither reads Redis nor closes anything.
        ("grpc.max_allowed_incoming_connections", _room(settings.connections)),
        # Two processes on one port would share its suites without anybody having said so.
        ("grpc.so_reuseport", 0),
        # A suite behind a NAT may ping every 10 s, streams or not, without being called a nuisance.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", _ms(settings.keepalive)),
        ("grpc.keepalive_timeout_ms", _ms(settings.keepalive_timeout)),
        # Without it the core waits a minute for the answer to a ping, whatever the timeout of keep-alive is.
        ("grpc.http2.ping_timeout_ms", _ms(settings.keepalive_timeout)),
    ]


def _room(wanted: int) -> int:
    """The connections that there is room for; told when they are fewer than wanted."""
    room = room_for(wanted)
    if room < wanted:
        _log.warning("edge_connections_lowered", connections=room, wanted=wanted, hint="few descriptors: ulimit -n")
    return room


def _ms(length: timedelta) -> int:
    return int(length / timedelta(milliseconds=1))
