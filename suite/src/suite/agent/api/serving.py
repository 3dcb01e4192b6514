"""Uvicorn on a port, with limits for each peer.

TLS handshake                 `HANDSHAKE_S`, else closed
time for a head               `HEAD_S` from its first byte, or from the connection's beginning, else closed
bytes of a head               `HEAD_BYTES`, else 400
connections                   the limit of consoles plus `MORE_CONNECTIONS`; then the longest idle one is closed
requests                      delayed above `REQUESTS` for a connection, and `REQUESTS_OF_ONE` for a machine
idle connection               closed after `IDLE_S`
"""

# ruff: noqa: D102  uvicorn and asyncio document the methods that they call

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from suite.agent.api.accepting import Acceptor, ServerTls
from suite.agent.api.pace import LOOPBACK, Pace, PaceByNetwork
from suite.agent.api.shapes import compact
from suite.system import claim_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

    from suite.agent.api.places import Place, Places

HEAD_S: Final = 10.0
HEAD_BYTES: Final = 16 * 1024
IDLE_S: Final = 30
READ_S: Final = 30.0
LEFTOVER_S: Final = 1.0
"""Timeout of the rest of a body after the response."""
MORE_CONNECTIONS: Final = 200
REQUESTS: Final = (200, 1 / 100)
"""Rate limit of requests of one connection: burst, and then seconds between two. The next one is not read before it is due."""
REQUESTS_OF_ONE: Final = (1000, 1 / 200)
REQUESTS_OF_LOOPBACK: Final = (4000, 1 / 1000)
"""The same for all connections of one machine. A program with many connections waits longest, so other consoles are not blocked."""
STOP_S: Final = 2
"""Timeout of requests that are being answered when the agent stops."""


_BAD_REQUEST: Final = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
)


class BoundedProtocol(H11Protocol):
    """One connection. It is closed when a request's head does not arrive in time."""

    places: Places
    place: Place
    pace_of_one: Pace
    head_s = HEAD_S
    read_s = READ_S
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _paced: asyncio.TimerHandle | None = None
    _pace: Pace

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._pace = Pace(*REQUESTS)
        self._pace.take(self.loop.time())  # for the first request; each response takes a turn for the next one
        self.place.abort = transport.abort
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self.places.answer(self.place)
            self._cancel()
        else:
            self._expect_head()

    def on_response_complete(self) -> None:
        """Continue with the next request when it is due."""
        now = self.loop.time()
        wait_s = max(self._pace.take(now), self.pace_of_one.take(now))
        self.places.wait(self.place)
        if not wait_s or self.transport.is_closing():
            self._go_on()
            return
        self.flow.pause_reading()
        self._paced = self.loop.call_later(wait_s, self._go_on)

    def send_400_response(self, msg: str) -> None:
        """Refuse data that is not HTTP. If a response is being sent, abort it, because it cannot be replaced."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
            return
        body = compact({"error": {"code": "not_http", "message": msg}})
        self.transport.write(_BAD_REQUEST % len(body) + body)
        self.transport.close()

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
        if self._paced is not None:
            self._paced.cancel()
        self.places.leave(self.place)
        super().connection_lost(exc)

    def _go_on(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            # The rest of the body may never end, but the client must read the response before the connection is closed.
            self.loop.call_later(LEFTOVER_S, self._drop_leftover)
        if self.cycle is not None and not self.cycle.response_complete:  # the next request has arrived already
            self.places.answer(self.place)

    def _drop_leftover(self) -> None:
        if self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete:
            self.transport.close()

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
    """Uvicorn's server, with an `Acceptor` for its connections."""

    def __init__(self, config: uvicorn.Config, bound: socket.socket, tls: ServerTls | None, most: int) -> None:
        super().__init__(config)
        self.servers = []
        self._acceptor = Acceptor(bound, self._protocol, tls, most)
        self._accepting: asyncio.Task[None] | None = None
        self._loopback_pace = Pace(*REQUESTS_OF_LOOPBACK)
        self._paces = PaceByNetwork(*REQUESTS_OF_ONE)

    def _protocol(self, place: Place) -> BoundedProtocol:
        protocol = BoundedProtocol(self.config, self.server_state, self.lifespan.state)
        protocol.places, protocol.place = self._acceptor.places, place
        is_loopback = place.network == LOOPBACK
        protocol.pace_of_one = self._loopback_pace if is_loopback else self._paces.of_network(place.network)
        return protocol

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        self._accepting = asyncio.create_task(self._acceptor.run(), name="api-accept")
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        if self._accepting is not None and self._accepting.done():
            self._accepting.result()  # raises its error
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait({self._accepting})
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Do not handle signals; the agent does."""
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
    """Serve an application within the context, and yield the task of the server.

    Args:
        app: the ASGI application.
        bound: the listening socket, closed at the end.
        consoles: limit of open event streams.
        tls: the TLS context; None for plain HTTP.
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
