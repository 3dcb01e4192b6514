"""An ASGI application on a port, until the context is left; with TLS, or behind a proxy that speaks it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


_HEAD_TOO_LONG: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


class _BoundedHead(HttpToolsProtocol):
    """uvicorn's fast parser, with the bound of a request's head that only its slow one has: else it keeps what comes.

    What arrives in one piece is not cut: a head may be longer by one read of the loop, 256 KiB at most.
    """

    _is_in_head = False
    _head_bytes = 0

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_in_head:
            return
        self._head_bytes += len(data)
        most = self.config.h11_max_incomplete_event_size
        if most is not None and self._head_bytes > most and not self.transport.is_closing():
            self.transport.write(_HEAD_TOO_LONG)
            self.transport.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where and how an application is served.

    Attributes:
        host: address to listen on.
        port: its port; 0 takes a free one.
        tls_cert_pem: certificate chain; None serves plain HTTP.
        tls_key_pem: its private key.
        connections: open at once; beyond, requests are answered 503.
        keep_alive: how long a connection may be idle between two requests.
        head_bytes: the longest request line with headers.
        grace: for requests under way when the server stops.
    """

    host: str
    port: int
    tls_cert_pem: bytes | None = None
    tls_key_pem: bytes | None = field(default=None, repr=False)
    connections: int
    keep_alive: timedelta
    head_bytes: int
    grace: timedelta


@contextlib.asynccontextmanager
async def serving(app: Any, settings: Listening, **given: Any) -> AsyncIterator[int]:
    """The port, while the application is served there. `given` goes to uvicorn.

    Raises:
        OSError: the port is taken.
    """
    with _listener(settings.host, settings.port) as listener:
        async with _server(app, settings, listener, given):
            yield int(listener.getsockname()[1])


@contextlib.asynccontextmanager
async def _server(app: Any, settings: Listening, listener: socket.socket, given: dict[str, Any]) -> AsyncIterator[None]:
    """Not uvicorn's own `serve`, which would take the process's signals."""
    if settings.tls_cert_pem is not None and settings.tls_key_pem is not None:
        context = tls_context(settings.tls_cert_pem, settings.tls_key_pem)
        given = {**given, "ssl_context_factory": lambda *_: context}
    config = uvicorn.Config(
        app,
        http=_BoundedHead,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=int(settings.keep_alive.total_seconds()),
        timeout_graceful_shutdown=int(settings.grace.total_seconds()),
        limit_concurrency=settings.connections,
        h11_max_incomplete_event_size=settings.head_bytes,
        **{"proxy_headers": False, **given},
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    ticking = asyncio.create_task(server.main_loop(), name=f"server:{settings.port}")
    try:
        yield
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        await server.shutdown(sockets=[listener])


@contextlib.contextmanager
def _listener(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio's own loop else leaves Nagle's algorithm on: 40 ms for each answer with a body.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        if port:  # a port that the system chooses must be nobody else's
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"{host}:{port}") from error
        yield listener


def tls_context(cert_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    """A server's TLS, 1.2 at least."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python reads certificates from files only; this one is its owner's, and gone at once.
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "server.pem"
        pem.touch(0o600)
        pem.write_bytes(key_pem + b"\n" + cert_pem)
        context.load_cert_chain(pem)
    return context
