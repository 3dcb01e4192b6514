"""Flows: one connection, or our UDP socket towards one peer. They parse messages, send bytes, and enforce limits.

    bytes ──► DatagramEndpoint ──┐
                                 ├──► Receiver.received(message, flow)
    bytes ──► StreamFlow ────────┘

A connection answers keep-alive pings, and sends them if we opened it (RFC 5626 3.5.1). It is closed when its peer exceeds a limit.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import Literal, Protocol, cast

from suite.sip.errors import MalformedMessage
from suite.sip.message import LIMITS, MessageLimits, SipMessage, SipRequest, StreamParser, parse_datagram

SipProtocol = Literal["udp", "tcp", "tls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """Limits of a transport."""

    message: MessageLimits = LIMITS
    connections: int = 4096
    connections_of_an_address: int = 256
    unsent_bytes: int = 4 * 1024 * 1024
    """The connection of a peer that reads too slowly is closed above this."""
    half_message_s: float = 30.0
    idle_s: float = 7200.0
    """Time without received data, after which a connection is closed. Longer than subscriptions last, because NOTIFYs use their connection."""
    connect_s: float = 10.0
    ping_s: float = 30.0
    """Time between two pings. A connection whose peer answered one ping and not the next is closed."""
    untrusted_body_bytes: int = 64 * 1024
    """The largest body over a connection that a peer opened, unless the peer is one of our servers."""
    requests_per_s: float = 500.0
    """Of one address. A proxy sends those of all its phones, so this is generous. A request counts once for each kilobyte begun."""
    burst: float = 1000.0


class Receiver(Protocol):
    """Receives messages from flows. Calls never overlap, and must not block."""

    def received(self, message: SipMessage, flow: Flow) -> None:
        """Take a message that arrived over a flow."""

    def expects(self, data: bytes) -> bool:
        """Return whether a datagram may be a response to one of our requests, without parsing it."""

    def unreadable(self, error: MalformedMessage, flow: Flow) -> None:
        """Take the error of data that is not a message. A connection is closed after this."""

    def closed(self, flow: Flow) -> None:
        """Take the end of a connection."""


class FlowOwner(Protocol):
    """The owner of all flows of a user agent, which counts and limits them."""

    counts: Counter[str]
    receiver: Receiver
    limits: TransportLimits

    def admits(self, data: bytes, address: str) -> bool:
        """Return whether to read a datagram."""

    def wait_s(self, address: str, method: str, size: int) -> float:
        """Count a request from an address; return the seconds to wait before it is delivered."""

    def body_bytes(self, address: str) -> int:
        """Return the largest body allowed over a connection that this address opened."""

    def securing(self, address: str) -> bool:
        """Count a connection whose TLS handshake begins; return False if there are too many."""

    def secured(self, address: str) -> None:
        """Stop counting a connection as in handshake."""

    def opened(self, flow: StreamFlow) -> bool:
        """Register a connection; return False to refuse it."""

    def gone(self, flow: StreamFlow) -> None:
        """Unregister a connection."""


class StreamFlow(asyncio.Protocol):
    """One TCP or TLS connection. It delivers complete messages, and pauses reading above the rate limit."""

    reliable = True

    def __init__(self, owner: FlowOwner, protocol: SipProtocol, *, ours: bool = False) -> None:
        self.protocol = protocol
        self.peer: tuple[str, int] = ("", 0)
        self.local: tuple[str, int] = ("", 0)
        self.is_closed = True
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._ours = ours
        self._parser = StreamParser(owner.limits.message)
        self._waiting: deque[SipMessage] = deque()
        self._resumes: asyncio.TimerHandle | None = None
        self._checks: asyncio.TimerHandle | None = None
        self._pings: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._half_since: float | None = None
        self._pong_seen = False
        self._pinged = False
        self._counted = False

    # ---- asyncio.Protocol -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection, and start its timers; abort it if there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if peer is None or local is None:  # gone already
            self._transport.abort()
            return
        self.peer, self.local = peer[:2], local[:2]
        if not self._ours:
            limits = self._owner.limits.message
            self._parser.limits = replace(limits, body_bytes=self._owner.body_bytes(self.peer[0]))
        self._counted = self._owner.opened(self)
        if not self._counted:
            self._transport.abort()
            return
        self.is_closed = False
        self._heard_at = self._loop.time()
        self._check()
        if self._ours:
            self._pings = self._loop.call_later(self._owner.limits.ping_s, self._ping)

    def data_received(self, data: bytes) -> None:
        """Parse received data, and deliver complete messages."""
        if self.is_closed:
            return
        self._heard_at = self._loop.time()
        pings, pongs = self._parser.pings, self._parser.pongs
        try:
            messages = self._parser.feed(data)
        except MalformedMessage as error:
            self._owner.receiver.unreadable(error, self)
            self.close()
            return
        if self._parser.pings > pings:
            self.send(b"\r\n")
        if self._parser.pongs > pongs:
            self._pong_seen, self._pinged = True, False
        if not self._parser.in_the_middle:
            self._half_since = None
        elif self._half_since is None or messages:
            self._half_since = self._heard_at
        self._waiting.extend(messages)
        if self._resumes is None:
            self._hand_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, and unregister the connection."""
        self.is_closed = True
        for timer in (self._checks, self._pings, self._resumes):
            if timer is not None:
                timer.cancel()
        self._waiting.clear()
        if self._counted:
            self._counted = False
            self._owner.gone(self)

    # ---- used by others -------------------------------------------------------------------------------------------------

    @property
    def has_certificate(self) -> bool:
        """Return whether the peer presented a certificate in the handshake, and it was verified."""
        return bool(self._transport.get_extra_info("peercert"))

    def is_of(self, protocol: SipProtocol, host: str, port: int) -> bool:
        """Return whether a peer opened the connection to this listening address."""
        hosts = (host, self.local[0]) if host in ("0.0.0.0", "::") else (host,)  # noqa: S104 - a comparison
        return not self._ours and self.protocol == protocol and self.local[1] == port and self.local[0] in hosts

    def send(self, data: bytes) -> None:
        """Send data; do nothing on a closed connection. The connection is aborted if its peer does not read."""
        if self.is_closed:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > self._owner.limits.unsent_bytes:
            self._end("unsent")

    def close(self) -> None:
        """Close, after sending what is buffered."""
        if not self.is_closed:
            self.is_closed = True
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self.is_closed = True
        self._transport.abort()

    # ---- inside ---------------------------------------------------------------------------------------------------------

    def _hand_on(self) -> None:
        self._resumes = None
        while self._waiting and not self.is_closed:
            message = self._waiting[0]
            wait = 0.0
            if isinstance(message, SipRequest):
                wait = self._owner.wait_s(self.peer[0], message.method, message.headers.size)
            if wait:
                self._transport.pause_reading()
                self._resumes = self._loop.call_later(wait, self._hand_on)
                return
            self._waiting.popleft()
            self._owner.receiver.received(message, self)
        if not self.is_closed:
            self._transport.resume_reading()

    def _check(self) -> None:
        limits, now = self._owner.limits, self._loop.time()
        if self._half_since is not None and now - self._half_since > limits.half_message_s:
            self._end("half_message")
        elif now - self._heard_at > limits.idle_s:
            self._end("idle")
        else:
            self._checks = self._loop.call_later(min(limits.half_message_s, limits.idle_s) / 2, self._check)

    def _ping(self) -> None:
        if self._pinged and self._pong_seen:
            self._end("silent")
            return
        self._pinged = True
        self.send(b"\r\n\r\n")
        self._pings = self._loop.call_later(self._owner.limits.ping_s, self._ping)

    def _end(self, why: str) -> None:
        self._owner.counts[why] += 1
        self.abort()


@dataclass(frozen=True, slots=True)
class DatagramFlow:
    """Our UDP socket towards one peer."""

    endpoint: DatagramEndpoint
    peer: tuple[str, int]

    protocol = "udp"
    reliable = False
    is_closed = False
    has_certificate = False

    @property
    def local(self) -> tuple[str, int]:
        """Our address as the peer sees it, unless there is a NAT between."""
        return self.endpoint.local_towards(self.peer)

    def send(self, data: bytes) -> None:
        """Send a datagram; it may be lost."""
        self.endpoint.send(data, self.peer)


class DatagramEndpoint(asyncio.DatagramProtocol):
    """One UDP socket."""

    def __init__(self, owner: FlowOwner) -> None:
        self._owner = owner
        self._socket: asyncio.DatagramTransport | None = None
        self._local: dict[str, str] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._socket = cast("asyncio.DatagramTransport", transport)

    def error_received(self, exc: Exception) -> None:
        """Ignore an ICMP error, which may be forged. The timers of transactions find a dead peer."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Parse a datagram, and deliver its message."""
        peer = addr[:2]
        if not self._owner.admits(data, peer[0]):
            return
        if not data.strip(b"\r\n\x00"):
            return  # a keep-alive
        flow = DatagramFlow(self, peer)
        try:
            message = parse_datagram(data, self._owner.limits.message)
        except MalformedMessage as error:
            self._owner.receiver.unreadable(error, flow)
        else:
            self._owner.receiver.received(message, flow)

    @property
    def family(self) -> socket.AddressFamily:
        """IPv4 or IPv6."""
        assert self._socket is not None
        return cast("socket.AddressFamily", self._socket.get_extra_info("socket").family)

    @property
    def port(self) -> int:
        """The port that it is bound to."""
        assert self._socket is not None
        return cast("int", self._socket.get_extra_info("sockname")[1])

    @property
    def address(self) -> tuple[str, int]:
        """The address that it is bound to."""
        assert self._socket is not None
        host, port = self._socket.get_extra_info("sockname")[:2]
        return host, port

    def send(self, data: bytes, peer: tuple[str, int]) -> None:
        """Send a datagram."""
        if self._socket is not None and not self._socket.is_closing():
            self._socket.sendto(data, peer)

    def local_towards(self, peer: tuple[str, int]) -> tuple[str, int]:
        """Return our address as a peer sees it: the system's choice if the socket is bound to all addresses."""
        assert self._socket is not None
        host, port = self._socket.get_extra_info("sockname")[:2]
        if host not in ("0.0.0.0", "::"):  # noqa: S104 - a comparison
            return host, port
        if peer[0] not in self._local:
            if len(self._local) >= 1024:
                self._local.clear()
            self._local[peer[0]] = _local_host(peer)
        return self._local[peer[0]], port

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()


def _local_host(peer: tuple[str, int]) -> str:
    family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(peer)  # sends nothing
        except OSError:
            return "::1" if family == socket.AF_INET6 else "127.0.0.1"
        return cast("str", probe.getsockname()[0])


Flow = DatagramFlow | StreamFlow
