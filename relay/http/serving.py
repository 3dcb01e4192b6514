"""An ASGI application on a port, until the context is left; with TLS, or behind a proxy that speaks it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from relay.http.admission import ConnectionLimiter, room_for
from relay.http.handshakes import Acceptor
from relay.http.limits import HttpLimits
from relay.http.protocol import BoundedHttp, Bounds
from relay.ops.listening import listener
from relay.ops.refused_requests import RefusalCounter
from relay.ops.supervision import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """The address and the TLS with which an application is served.

    Attributes:
        host: address to listen on.
        port: its port; 0 takes a free one.
        tls_cert_pem: certificate chain; None serves plain HTTP.
        tls_key_pem: its private key.
        name: of the role, in logs and metrics.
        limits: of connections and requests, the same for all roles.
        proxies: addresses or networks of proxies in front, of which a connection is not one customer's; `*`: everybody is one.
        keep_alive: how long a connection may be idle between two requests.
        head_bytes: the longest request line with headers, chunk framing and trailers.
        grace: for requests under way when the server stops.
    """

    host: str
    port: int
    tls_cert_pem: bytes | None = None
    tls_key_pem: bytes | None = field(default=None, repr=False)
    name: str
    limits: HttpLimits = field(default_factory=HttpLimits)
    proxies: tuple[str, ...] = ()
    keep_alive: timedelta
    head_bytes: int
    grace: timedelta


@contextlib.asynccontextmanager
async def serving(app: Any, settings: Listening, **given: Any) -> AsyncIterator[int]:
    """Serve the application while the context lasts, and yield its port. `given` goes to uvicorn.

    Raises:
        OSError: the port is taken.
    """
    with listener(settings.host, settings.port) as bound:
        async with _server(app, settings, bound, given):
            yield int(bound.getsockname()[1])


@contextlib.asynccontextmanager
async def _server(app: Any, settings: Listening, bound: socket.socket, given: dict[str, Any]) -> AsyncIterator[None]:
    """Not uvicorn's own `serve`, which would take the process's signals, nor its `startup`, which counts no socket before TLS."""
    tls = None
    if settings.tls_cert_pem is not None and settings.tls_key_pem is not None:
        tls = tls_context(settings.tls_cert_pem, settings.tls_key_pem)
    config = uvicorn.Config(
        app,
        http=BoundedHttp,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=int(settings.keep_alive.total_seconds()),
        timeout_graceful_shutdown=int(settings.grace.total_seconds()),
        **{"proxy_headers": False, **given},
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    server.servers = []
    bounds = _bounds(settings)
    bound.listen(config.backlog)
    bound.settimeout(0)
    door = Acceptor(bound, lambda: BoundedHttp(config, server.server_state, server.lifespan.state), bounds, tls)
    try:
        async with running({f"{settings.name}-server": server.main_loop, f"{settings.name}-door": door.run}):
            yield
    finally:
        await server.shutdown(sockets=[bound])
        bounds.refusals.close()


def _bounds(settings: Listening) -> Bounds:
    limits, refusals = settings.limits, RefusalCounter(settings.name)
    room = room_for(limits.connections)
    if room < limits.connections:
        log.warning(
            "http_connections_lowered", server=settings.name, connections=room, hint="few descriptors: ulimit -n"
        )
    return Bounds(
        head_bytes=settings.head_bytes,
        head_time_s=limits.head_time.total_seconds(),
        requests=limits.requests,
        admission=ConnectionLimiter(room, limits.connections_per_address, settings.proxies, refusals),
        refusals=refusals,
    )


def tls_context(cert_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    """Return a server's TLS context, for TLS 1.2 at least."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python reads certificates from files only; this one is its owner's, and gone at once.
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "server.pem"
        pem.touch(0o600)
        pem.write_bytes(key_pem + b"\n" + cert_pem)
        context.load_cert_chain(pem)
    return context
