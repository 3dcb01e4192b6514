"""Serves an ASGI application on a port, with TLS or behind a proxy that ends TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from relay.http.admission import ConnectionLimiter, room_for
from relay.http.handshakes import Acceptor
from relay.http.limits import HttpLimits
from relay.http.metrics import Measured, no_route
from relay.http.protocol import BoundedHttp, Bounds
from relay.ops.listening import listener
from relay.ops.refused_requests import RefusalCounter
from relay.ops.server_certificate import LOOK_EVERY, ServerCertificate, load_pair, tls_context
from relay.ops.supervision import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from relay.http.metrics import RouteOf

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """The address, TLS and limits of a server.

    Attributes:
        host: address to listen on.
        port: its port; 0 takes a free one.
        tls_cert_pem: certificate chain; None serves plain HTTP.
        tls_key_pem: its private key.
        tls_files: files of both, which are read again when they change.
        tls_look_every: interval of checking whether they changed.
        name: of the role, in logs and metrics.
        limits: of connections and requests, the same for all roles.
        proxies: addresses or networks of proxies, whose connections carry requests of many clients; `*`: every client
            is a proxy.
        keep_alive: longest idle time of a connection between two requests.
        head_bytes: the longest request line with headers, chunk framing and trailers.
        grace: for requests under way when the server stops.
    """

    host: str
    port: int
    tls_cert_pem: bytes | None = None
    tls_key_pem: bytes | None = field(default=None, repr=False)
    tls_files: tuple[Path, Path] | None = None
    tls_look_every: timedelta = LOOK_EVERY
    name: str
    limits: HttpLimits = field(default_factory=HttpLimits)
    proxies: tuple[str, ...] = ()
    keep_alive: timedelta
    head_bytes: int
    grace: timedelta


@contextlib.asynccontextmanager
async def serving(app: Any, settings: Listening, route_of: RouteOf = no_route, **given: Any) -> AsyncIterator[int]:
    """Serve the application while the context lasts, and yield its port.

    Args:
        app: the application.
        settings: the address, TLS and limits.
        route_of: returns the route of a request, for metrics.
        given: passed to uvicorn.

    Raises:
        OSError: the port is taken.
    """
    with listener(settings.host, settings.port) as bound:
        async with _server(Measured(app, route_of), settings, bound, given):
            yield int(bound.getsockname()[1])


@contextlib.asynccontextmanager
async def _server(app: Any, settings: Listening, bound: socket.socket, given: dict[str, Any]) -> AsyncIterator[None]:
    """Replaces uvicorn's `serve`, which would handle the process's signals, and its `startup`, which counts no socket before TLS."""
    tls, certificate = None, None
    if settings.tls_cert_pem is not None and settings.tls_key_pem is not None:
        tls = tls_context(settings.tls_cert_pem, settings.tls_key_pem)
        pair = settings.tls_cert_pem, settings.tls_key_pem
        certificate = ServerCertificate(settings.name, *pair, settings.tls_files, settings.tls_look_every)
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
        tasks = {f"{settings.name}-server": server.main_loop, f"{settings.name}-door": door.run}
        if tls is not None and certificate is not None:
            tasks[f"{settings.name}-certificate"] = partial(_follow, certificate, tls, settings.tls_look_every)
        async with running(tasks):
            yield
    finally:
        await server.shutdown(sockets=[bound])
        bounds.refusals.close()


async def _follow(certificate: ServerCertificate, tls: ssl.SSLContext, every: timedelta) -> None:
    """Present a changed certificate to new connections."""
    while True:
        await asyncio.sleep(every.total_seconds())
        if certificate.reload_if_changed():
            load_pair(tls, certificate.cert_pem, certificate.key_pem)


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
