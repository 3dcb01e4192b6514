"""HTTP for the public internet: uvicorn's fast parser, with limits on memory and time for each client.

    a head, TLS handshake included    `head_time` from the first byte of the socket or of a later request, else closed
    bytes that are not the body       `head_bytes` for each message: head, chunk framing and extensions, trailers; else 431
    requests sent without waiting     16 on a connection, else closed
    requests being answered           `requests` in all, else 503
    an answer that is not read        aborted when 4 KiB a second are not sent
    connections                       see `admission`

The application limits the time and size of a body; after its answer the server does not wait for the rest of the body.
Input that is not HTTP is answered 400 and counted, not logged.
"""

# ruff: noqa: D102  what uvicorn and asyncio call is explained there

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

    from relay.http.admission import ConnectionLimiter, ConnectionSlot
    from relay.ops.refused_requests import RefusalCounter

MOST_PIPELINED: Final = 16
"""Pipelined requests on one connection. No browser sends a second one before the first answer."""
_PIECE: Final = 4096
"""Bytes that the parser gets at once, so that a message exceeds its limit by at most this (a read has up to 256 KiB)."""
_FRAMING_SHARE: Final = 32
"""Body bytes for each byte of chunk framing that is allowed in addition to `head_bytes`: chunks of 256 bytes and more."""
_CHECK_READER_S: Final = 10.0
_SLOWEST_READER: Final = 4096  # bytes a second; a modem of 56 kbit/s takes 7,000
_GOODBYE_S: Final = 16.0
"""Time to send the rest of an answer, at most 64 KiB, after the connection was closed; then it is aborted."""
_GOODBYE_CHECK_S: Final = 0.05
_HEAD_TOO_LONG: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


@dataclass(slots=True, kw_only=True)
class Bounds:
    """The shared limits and counters of the connections of one server.

    Attributes:
        head_bytes: of a message without its body.
        head_time_s: time until a head is complete.
        requests: limit of requests that are answered concurrently.
        admission: decides which connections stay open.
        refusals: counts refusals.
        arriving: connections whose request is being received; their tasks only wait.
    """

    head_bytes: int
    head_time_s: float
    requests: int
    admission: ConnectionLimiter
    refusals: RefusalCounter
    arriving: set[BoundedHttp] = field(default_factory=set)


class BoundedHttp(HttpToolsProtocol):
    """One connection. `place`, `bounds` and `due` are given before `connection_made`.

    Attributes:
        bounds: of the server.
        place: of this connection.
        due: the time, by the loop's clock, by which the first head must be complete.
    """

    bounds: Bounds
    place: ConnectionSlot
    due: float

    _is_over = False
    """Closed by the server: later events of the parser are ignored."""
    _is_in_message = False
    _is_in_head = False
    _framing = 0  # bytes of the message without its body
    _body = 0  # bytes of its body
    _head_timer: asyncio.TimerHandle | None = None
    _reader_timer: asyncio.TimerHandle | None = None
    _goodbye_timer: asyncio.TimerHandle | None = None
    _unsent = 0

    # The transport's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_ClosedOnce(transport))  # type: ignore[arg-type]
        self.place.abort = transport.abort
        self.expect_head(self.due - self.loop.time())

    def connection_lost(self, exc: Exception | None) -> None:
        self._over()
        self.bounds.admission.leave(self.place)
        super().connection_lost(exc)
        for timer in (self._reader_timer, self._goodbye_timer):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        # Replaces uvicorn's: that logs the client's data, and parses all received bytes at once.
        self._unset_keepalive_if_required()
        if self._is_answered and not self._is_in_message:
            self.expect_head()
        for start in range(0, len(data), _PIECE):
            if self._is_over or self.transport.is_closing():
                return
            self._feed(data[start : start + _PIECE])

    def expect_head(self, within_s: float | None = None) -> None:
        """Start the time limit of a head, unless one is already running."""
        if self._head_timer is None:
            limit_s = self.bounds.head_time_s if within_s is None else max(0.0, within_s)
            self._head_timer = self.loop.call_later(limit_s, self._head_is_late)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    # The parser's side

    def on_message_begin(self) -> None:
        self._is_in_message, self._is_in_head, self._framing, self._body = True, True, 0, 0
        if not self._is_over:
            if self._is_answered:
                self.expect_head()
            super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_over:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_over:
            return
        self._is_in_head = False
        self._unset_head_timer()
        if len(self.pipeline) >= MOST_PIPELINED:
            self._refuse("pipelined")
            return
        is_busy = len(self.tasks) - len(self.bounds.arriving) >= self.bounds.requests
        if is_busy:
            self.bounds.refusals("busy")
        self.app = service_unavailable if is_busy else self.config.loaded_app
        self.bounds.arriving.add(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        if not self._is_over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_in_message = False
        self.bounds.arriving.discard(self)
        if not self._is_over:
            self.bounds.admission.answer(self.place)
            super().on_message_complete()

    # uvicorn's side

    def on_response_complete(self) -> None:
        if self._is_in_head:
            self.expect_head()
        elif self._is_in_message and self._is_answered:
            # The rest of the request may never end, and is not needed.
            self._over()
            self.transport.close()
        super().on_response_complete()
        if self.transport.is_closing():
            self._say_goodbye()
        elif not self.pipeline and self._is_answered:
            self.bounds.admission.wait(self.place)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._say_goodbye()

    # Ours

    @property
    def _is_answered(self) -> bool:
        """Return True if no request of this connection is waiting for an answer."""
        return self.cycle is None or self.cycle.response_complete

    def _feed(self, piece: bytes) -> None:
        body = self._body if self._is_in_message else 0
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # Answered like any other request; the bytes that follow are not HTTP/1.1.
            self.bounds.refusals("upgrade")
            self._unset_head_timer()
            self._is_in_message = False
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            self._is_over = True
            return
        except httptools.HttpParserError:
            self._refuse("malformed", self._bad_request)
            return
        self._framing += max(0, len(piece) - max(0, self._body - body))
        if self._is_in_message and self._framing > self.bounds.head_bytes + self._body // _FRAMING_SHARE:
            self._refuse("head_too_long", lambda: self._write(_HEAD_TOO_LONG))

    def _bad_request(self) -> None:
        if self._is_answered:
            self.send_400_response("Invalid HTTP request received.")

    def _write(self, answer: bytes) -> None:
        if self._is_answered or not self.cycle.response_started:
            self.transport.write(answer)

    def _refuse(self, reason: str, answer: Any = None) -> None:
        """Count the refusal, send an answer if there is one, and close; a request under way gets a disconnect."""
        self.bounds.refusals(reason)
        self._over()
        if not self.transport.is_closing():
            if answer is not None:
                answer()
            self.transport.close()
            self._say_goodbye()
        if not self._is_answered:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _over(self) -> None:
        self._is_over = True
        self._unset_head_timer()
        self._unset_keepalive_if_required()
        self.bounds.arriving.discard(self)
        self.pipeline.clear()

    def _head_is_late(self) -> None:
        self._head_timer = None
        self._refuse("head_too_slow")
        self.place.abort()

    def _unset_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _watch_reader(self) -> None:
        """Cut off a peer that does not read, or reads too slowly."""
        if self._reader_timer is None:
            self._unsent = self.transport.get_write_buffer_size()
            self._reader_timer = self.loop.call_later(_CHECK_READER_S, self._check_reader)

    def _check_reader(self) -> None:
        self._reader_timer = None
        unsent = self.transport.get_write_buffer_size()
        if self._unsent - unsent < _SLOWEST_READER * _CHECK_READER_S:
            self.bounds.refusals("reader_too_slow")
            self.place.abort()
        else:
            self._watch_reader()

    def _say_goodbye(self) -> None:
        """Let a closed connection send its remaining bytes to a client that reads; it is the first to be closed for others.

        TLS would read until the client also closes, which a client that only sends never does.
        """
        self.bounds.admission.wait(self.place)
        if self._goodbye_timer is None:
            self._goodbye_timer = self.loop.call_later(_GOODBYE_CHECK_S, self._end, self.loop.time() + _GOODBYE_S)

    def _end(self, latest: float) -> None:
        is_read = self._reader_timer is not None  # a long answer, which is aborted only for its pace
        if self.transport.get_write_buffer_size() and (is_read or self.loop.time() < latest):
            self._goodbye_timer = self.loop.call_later(_GOODBYE_CHECK_S, self._end, latest)
        else:
            self.place.abort()


class _ClosedOnce:
    """A transport that ignores all but the first `close`, because uvicorn closes twice.

    At the second `close` asyncio's TLS transport drops its connection, which can then be neither queried nor aborted.
    """

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def close(self) -> None:
        if not self._transport.is_closing():
            self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
