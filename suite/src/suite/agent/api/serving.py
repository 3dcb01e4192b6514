"""Uvicorn on a port, with bounds on what a peer may make it keep or wait for.

a TLS handshake               `HANDSHAKE_S`, else closed
a head                        `HEAD_S` from its first byte, or from the connection's, else closed
bytes of a head               `HEAD_BYTES`, else 400
connections                   as many as consoles may be, and `MORE_CONNECTIONS`; others are closed at once
an idle connection            closed after `IDLE_S`
"""

# ruff: noqa: D102  what uvicorn and asyncio call is explained there

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from suite.agent.api.accepting import Acceptor, ServerTls
from suite.system import claim_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

HEAD_S: Final = 10.0
HEAD_BYTES: Final = 16 * 1024
IDLE_S: Final = 30
READ_S: Final = 30.0
MORE_CONNECTIONS: Final = 200
STOP_S: Final = 2
"""Time for requests that are being answered when the agent stops."""


class BoundedProtocol(H11Protocol):
    """One connection, which is closed when a request's head does not come in time."""

    leave: Callable[[], None]
    head_s = HEAD_S
    read_s = READ_S
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._cancel()
        else:
            self._expect_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.read_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        if self._unread is not None:
            self._unread.cancel()
        self.leave()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(self.head_s, self._close)

    def _close(self) -> None:
        self._late = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _cancel(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Server(uvicorn.Server):
    """Uvicorn's server, whose connections are accepted by an `Acceptor`."""

    def __init__(self, config: uvicorn.Config, bound: socket.socket, tls: ServerTls | None, most: int) -> None:
        super().__init__(config)
        self.servers = []
        self._acceptor = Acceptor(bound, self._protocol, tls, most)
        self._accepting: asyncio.Task[None] | None = None

    def _protocol(self, leave: Callable[[], None]) -> BoundedProtocol:
        protocol = BoundedProtocol(self.config, self.server_state, self.lifespan.state)
        protocol.leave = leave
        return protocol

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        self._accepting = asyncio.create_task(self._acceptor.run(), name="api-accept")
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        if self._accepting is not None and self._accepting.done():
            self._accepting.result()  # raises what broke it
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait({self._accepting})
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the process's signals to the agent."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address of this machine; port 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        claim_port(bound)
        bound.bind((host, port))
        bound.listen(256)
        bound.setblocking(False)  # noqa: FBT003
    except OSError:
        bound.close()
        raise
    return bound


@contextlib.asynccontextmanager
async def serving(
    app: Any, bound: socket.socket, consoles: int, tls: ServerTls | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve an application while the context lasts, and yield the task that does.

    Args:
        app: the ASGI application.
        bound: where it listens; it is closed at the end.
        consoles: event streams that may be open at once.
        tls: None serves plain HTTP.
    """
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=STOP_S,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )
    server = _Server(config, bound, tls, consoles + MORE_CONNECTIONS)
    task = asyncio.create_task(server.serve(sockets=[bound]), name="api")
    try:
        yield task
    finally:
        server.should_exit = True
        await asyncio.wait({task})
        bound.close()
