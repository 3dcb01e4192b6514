"""Uvicorn on a port, with bounds on what a peer may make it keep or wait for.

a TLS handshake               `HANDSHAKE_S`, else closed
a head                        `HEAD_S` from its first byte, or from the connection's, else closed
bytes of a head               `HEAD_BYTES`, else 400
connections                   as many as consoles may be, and `MORE_CONNECTIONS`; then the longest idle one gives way
requests                      a connection waits after `REQUESTS`, and all of one machine together after `REQUESTS_OF_ONE`
an idle connection            closed after `IDLE_S`
"""

# ruff: noqa: D102  what uvicorn and asyncio call is explained there

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
"""Time for the rest of a body after the answer."""
MORE_CONNECTIONS: Final = 200
REQUESTS: Final = (200, 1 / 100)
"""Requests of one connection: at once, and the seconds between two after that. A sooner one is not read before, and so costs nothing."""
REQUESTS_OF_ONE: Final = (1000, 1 / 200)
REQUESTS_OF_LOOPBACK: Final = (4000, 1 / 1000)
"""The same of all connections of one machine. Whoever has most connections waits most, so a console among them is not kept out."""
STOP_S: Final = 2
"""Time for requests that are being answered when the agent stops."""


_BAD_REQUEST: Final = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
)


class BoundedProtocol(H11Protocol):
    """One connection, which is closed when a request's head does not come in time."""

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
        self._pace.take(self.loop.time())  # the first request; each answer then pays for the next one
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
        """Go on with the next request, when it is due."""
        now = self.loop.time()
        wait_s = max(self._pace.take(now), self.pace_of_one.take(now))
        self.places.wait(self.place)
        if not wait_s or self.transport.is_closing():
            self._go_on()
            return
        self.flow.pause_reading()
        self._paced = self.loop.call_later(wait_s, self._go_on)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP; the answer that is being sent cannot be another one any more."""
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
            # Nobody wants the rest of the body, and it may never end; but the answer must be read before the connection is closed.
            self.loop.call_later(LEFTOVER_S, self._drop_leftover)
        if self.cycle is not None and not self.cycle.response_complete:  # the next request was here already
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
    """Uvicorn's server, whose connections are accepted by an `Acceptor`."""

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
