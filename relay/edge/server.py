"""The edge's server: listens, reports its health, and stops cleanly.

When the edge stops, health turns NOT_SERVING and it accepts no more connections. It asks each suite to leave at a
random moment within `drain_delay`, but not before GOAWAY was sent on the suite's connection (after `connection_age`),
so that the next stream goes to another edge, also on the same channel. Calls that arrive before that are served.
Streams that are still open after `grace` are cut off. A killed process loses nothing: suites resume.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections import Counter
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

import grpc
import structlog
from grpc_health.v1 import health

from relay.core.presence import Status, TenantId
from relay.edge import memory, metrics, reflection, sockets
from relay.edge.address_limit import AddressLimit
from relay.edge.context import EdgeContext
from relay.edge.gate import Gate
from relay.edge.health import HealthService
from relay.edge.reflection import Reflection
from relay.edge.service import SERVICE, PresenceService
from relay.edge.statistics import EdgeStatistics
from relay.http.admission import room_for
from relay.ops.clock import SYSTEM
from relay.ops.instruments import EXPORTED, reading
from relay.ops.listening import shown
from relay.ops.server_certificate import ServerCertificate
from relay.ops.supervision import running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.edge.hub.tenants import TenantView
    from relay.edge.settings import EdgeSettings
    from relay.ops.clock import Clock
    from relay.ops.instruments import Gauge, Read, Reading
    from relay.store.sealing.marks import Marks
    from relay.store.server.connection import Store

_log = structlog.get_logger(__name__)

_LAST_ENDINGS: Final = timedelta(seconds=2)
"""Time for the endings themselves to be sent."""
_POLL_S: Final = 0.1


class EdgeServer:
    """The edge as an async context manager: it listens while entered, and drains its streams when left.

    Attributes:
        port: the port that it listens on; set once entered.
        context: the parts of this edge, for tests; set once entered.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        store: Store,
        marks: Marks,
        edge_id: str | None = None,
        clock: Clock = SYSTEM,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    ) -> None:
        """Make a server that does not listen yet.

        Args:
            settings: addresses and limits.
            store: outlives the server.
            marks: verifies the records of suite keys.
            edge_id: must differ from the ids of all edges that may run at the same time.
            clock: used by all parts of the edge.
            interceptors: run before the gate for each call; for tools that observe suites.
        """
        self.port = 0
        self._settings = settings
        self._store = store
        self._marks = marks
        self._clock = clock
        self._interceptors = interceptors
        self._edge_id = edge_id or f"{socket.gethostname()}.{secrets.token_hex(4)}"
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.context = context = EdgeContext(self._store, self._settings, self._marks, self._edge_id, self._clock)
            stack.push_async_callback(context.tasks.aclose)
            stack.push_async_callback(context.interest.aclose)
            await stack.enter_async_context(running({"edge-interest": context.interest.run}))
            stack.push_async_callback(context.watch_audit.aclose)
            await stack.enter_async_context(running({"edge-watch-audit": context.watch_audit.run}))
            await stack.enter_async_context(context.hub)
            stack.push_async_callback(context.suites.aclose)
            await stack.enter_async_context(
                running({"edge-suites": context.suites.run, "edge-memory": memory.give_back})
            )
            self._service = PresenceService(context)
            gate = Gate(context.auth, context.unauthenticated, self._settings)
            self._server = grpc.aio.server(interceptors=[*self._interceptors, gate], options=_options(self._settings))
            self._health = HealthService(context.unauthenticated, self._settings)
            reflected = Reflection(context, (SERVICE, health.SERVICE_NAME, reflection.SERVICE))
            handlers = (self._service.handler(), self._health.handler(), reflected.handler())
            self._server.add_generic_rpc_handlers(handlers)
            self.port = _listen(self._server, self._settings)
            await self._server.start()
            limit = AddressLimit(self.port, self._settings, self._clock)
            await stack.enter_async_context(running({"edge-address-limit": limit.run}))
            stack.push_async_callback(self._stop)
            await self._health.serving("", SERVICE)
            stack.enter_context(reading(self._readers()))
            self._stack = stack.pop_all()
        _log.info("edge_listening", port=self.port, tls=self._settings.tls_cert_pem is not None)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def drain(self) -> None:
        """Ask every suite to leave, and return when all have or their time is over. Leaving the context drains too."""
        await self._health.leave()
        sockets.stop_listening(self.port)
        with suppress(TimeoutError):
            async with asyncio.timeout((self._settings.drain_delay + _LAST_ENDINGS).total_seconds()):
                await self._service.drain()
                await self._no_call_can_come()

    def statistics(self) -> EdgeStatistics:
        """Return the state of this edge in numbers."""
        context, hub, calls = self.context, self.context.hub, self.context.open_calls
        return EdgeStatistics(
            streams=self._service.streams,
            leaving=self._service.leaving,
            writing=self._service.writing,
            joined={tenant_id: len(view.streams) for tenant_id, view in hub.tenants.items()},
            calls=dict(calls.of),
            waiting_calls=calls.waiting.total(),
            unverified_calls=context.unauthenticated.under_way,
            names=context.interest.names,
            interest_tenants=context.interest.tenants,
            audited_names=context.watch_audit.names,
            partitions=hub.partitions,
            tasks=len(context.tasks),
            is_store_away=hub.is_store_away,
            is_draining=self._service.is_draining,
        )

    async def sweep(self) -> None:
        """End streams whose suite key is no longer valid, and publish which suites are connected. Also runs every few seconds.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        await self.context.suites.sweep()

    def _readers(self) -> dict[Gauge, Read]:
        """Return the gauges of this edge with functions that read them."""
        service, interest = self._service, self.context.interest
        return {
            metrics.STREAMS: lambda: service.streams,
            metrics.WRITING: lambda: service.writing,
            metrics.NAMES: lambda: interest.names,
            metrics.TENANTS: self._tenants,
            metrics.TENANT_STREAMS: lambda: {(one.tenant_id,): len(one.streams) for one in self._named()},
            metrics.TENANT_CONTACT_AGE: lambda: {
                (one.tenant_id,): age_s
                for one in self._named()
                if (age_s := one.contact_age_s(self._clock.monotonic())) is not None
            },
        }

    def _tenants(self) -> Reading:
        told = Counter(view.told.status for view in self.context.hub.tenants.values())
        return {(status.name.lower(),): told[status] for status in Status}

    def _named(self) -> list[TenantView]:
        """Return the tenants that have series of their own and streams at this edge."""
        views = self.context.hub.tenants
        return [view for tenant_id in EXPORTED.tenants if (view := views.get(TenantId(tenant_id))) is not None]

    async def _no_call_can_come(self) -> None:
        """Return when no call can arrive any more, or when GOAWAY must have been sent on every connection."""
        while self._clock.monotonic() < self._service.settled_at and sockets.has_connections(self.port):
            await self._clock.sleep(_POLL_S)  # gRPC has no event for the end of a connection

    async def _stop(self) -> None:
        await self.drain()
        await self._server.stop(self._settings.grace.total_seconds())


def _listen(server: grpc.aio.Server, settings: EdgeSettings) -> int:
    address = shown(settings.host, settings.port)
    if settings.tls_cert_pem is None or settings.tls_key_pem is None:
        if settings.tls_cert_pem is not None or settings.tls_key_pem is not None:
            raise ValueError("TLS needs both a certificate and its key")
        return server.add_insecure_port(address)
    pair = settings.tls_cert_pem, settings.tls_key_pem
    certificate = ServerCertificate("edge", *pair, settings.tls_files, settings.tls_look_every)

    def changed() -> Any:  # gRPC's stubs do not declare that it may be None, which means: unchanged
        return _configuration(certificate) if certificate.reload_if_changed() else None

    # gRPC calls this before each handshake, on a thread of its own.
    credentials = grpc.dynamic_ssl_server_credentials(_configuration(certificate), changed)
    return server.add_secure_port(address, credentials)


def _configuration(certificate: ServerCertificate) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(certificate.key_pem, certificate.cert_pem)])


def _options(settings: EdgeSettings) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", settings.message_bytes),
        # Not sufficient alone, see `relay.edge.gate`.
        ("grpc.max_metadata_size", settings.metadata_bytes),
        ("grpc.absolute_max_metadata_size", settings.metadata_bytes),
        ("grpc.max_concurrent_streams", settings.streams_per_connection),
        ("grpc.server_handshake_timeout_ms", _ms(settings.handshake)),
        # Sends GOAWAY, plus or minus a tenth; open streams continue. A connection without streams is closed.
        ("grpc.max_connection_age_ms", _ms(settings.connection_age)),
        # The core would accept connections until no descriptor is left; then Redis could not be read and nothing closed.
        ("grpc.max_allowed_incoming_connections", _room(settings.connections)),
        # By gRPC's default two processes could share a port, and its suites, without such a configuration.
        ("grpc.so_reuseport", int(settings.shares_port)),
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(settings.ping_interval)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", _ms(settings.keepalive)),
        ("grpc.keepalive_timeout_ms", _ms(settings.keepalive_timeout)),
        # Without it the core waits a minute for the answer to a ping, regardless of the keep-alive timeout.
        ("grpc.http2.ping_timeout_ms", _ms(settings.keepalive_timeout)),
    ]


def _room(wanted: int) -> int:
    """Return the number of connections that the descriptors allow; log when that is less than configured."""
    room = room_for(wanted)
    if room < wanted:
        _log.warning("edge_connections_lowered", connections=room, wanted=wanted, hint="few descriptors: ulimit -n")
    return room


def _ms(length: timedelta) -> int:
    return int(length / timedelta(milliseconds=1))
