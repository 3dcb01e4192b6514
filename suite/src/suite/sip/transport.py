"""All sockets of a user agent, over UDP, TCP and TLS.

A flow is a connection, or for UDP our socket with the peer's address. Connections are reused: a response uses the connection of its request,
and a request to a peer uses the connection that is open (RFC 5923). There are limits on connections, on unsent bytes, on the time for a whole
message, and on requests a second from one address. Above that rate, datagrams are dropped unread, and connections are read later.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from suite.sip.admission import RateLimit
from suite.sip.errors import SipUnreachable
from suite.sip.flows import DatagramEndpoint, DatagramFlow, Flow, Receiver, SipProtocol, StreamFlow, TransportLimits
from suite.sip.tls_listener import TlsListener

DATAGRAM_BYTES: Final = 1300
"""Larger requests go over TCP (RFC 3261 18.1.1)."""
_CLOSE_S: Final = 1.0
"""How long connections may take to close."""


@dataclass(slots=True, eq=False)
class SipTransport:
    """All sockets of a user agent. Call `close` at the end."""

    receiver: Receiver
    limits: TransportLimits = field(default_factory=TransportLimits)
    counts: Counter[str] = field(default_factory=Counter)
    """Refusals by reason: `rate`, `connections`, `unsent`, `half_message`, `idle`, `silent`."""
    trusted: set[str] = field(default_factory=set)
    """IP addresses of our servers. The rate limit does not apply to their NOTIFYs, which have the states of many users."""
    _rate: RateLimit = field(init=False)
    _udp: list[DatagramEndpoint] = field(default_factory=list)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _streams: set[StreamFlow] = field(default_factory=set)
    _of_address: Counter[str] = field(default_factory=Counter)
    _securing: Counter[str] = field(default_factory=Counter)
    _tls: list[TlsListener] = field(default_factory=list)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _emptied: asyncio.Event = field(default_factory=asyncio.Event)
    _connecting: dict[tuple[SipProtocol, str, int], asyncio.Task[StreamFlow]] = field(default_factory=dict)
    _connected: dict[tuple[SipProtocol, str, int], StreamFlow] = field(default_factory=dict)
    is_closed: bool = False
    """Whether `close` was called."""

    def __post_init__(self) -> None:
        self._rate = RateLimit(per_s=self.limits.requests_per_s, burst=self.limits.burst)

    # ---- listening ------------------------------------------------------------------------------------------------------

    async def listen(
        self, protocol: SipProtocol, host: str, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> tuple[str, int]:
        """Listen, and return the address. TLS needs `tls`.

        Raises:
            OSError: the address cannot be used.
        """
        loop = asyncio.get_running_loop()
        if protocol == "udp":
            _, endpoint = await loop.create_datagram_endpoint(lambda: DatagramEndpoint(self), local_addr=(host, port))
            self._udp.append(endpoint)
            return host, endpoint.port
        if protocol == "tls":
            assert tls is not None
            self._tls.append(TlsListener.at(self, host, port, tls))
            return host, self._tls[-1].address[1]
        server = await loop.create_server(lambda: StreamFlow(self, protocol), host, port, backlog=256)
        self._servers.append(server)
        return host, server.sockets[0].getsockname()[1]

    def unlisten(self, protocol: SipProtocol, host: str, port: int, *, connections: bool = False) -> None:
        """Stop listening on an address. A UDP socket is closed, so its subscriptions must have ended.

        Args:
            protocol: of the address.
            host: of the address.
            port: of the address.
            connections: True to close the connections that peers opened to it; otherwise they stay.
        """
        if protocol == "udp":
            for endpoint in [each for each in self._udp if each.address == (host, port)]:
                endpoint.close()
                self._udp.remove(endpoint)
            return
        for listener in [each for each in self._tls if protocol == "tls" and each.address == (host, port)]:
            listener.stop()
            self._tls.remove(listener)
        for server in [
            each for each in self._servers if protocol == "tcp" and each.sockets[0].getsockname()[:2] == (host, port)
        ]:
            server.close()
            self._servers.remove(server)
        if connections:
            for flow in [each for each in self._streams if each.is_of(protocol, host, port)]:
                flow.abort()

    # ---- used by flows --------------------------------------------------------------------------------------------------

    def admits(self, data: bytes, address: str) -> bool:
        """Return whether to read a datagram: a response to one of our requests, or a request within the rate limit."""
        if data[:8] == b"SIP/2.0 ":
            return self.receiver.expects(data)
        return self.wait_s(address, "NOTIFY" if data[:7] == b"NOTIFY " else "", len(data)) == 0

    def wait_s(self, address: str, method: str, size: int) -> float:
        """Count a request from an address, and return 0; above the rate limit, return the seconds to wait."""
        if method == "NOTIFY" and address in self.trusted:
            return 0.0
        wait = self._rate.wait_s(address, asyncio.get_running_loop().time(), 1 + size // 1024)
        self.counts["rate"] += wait > 0
        return wait

    def body_bytes(self, address: str) -> int:
        """Return the largest body allowed over a connection that this address opened: only our servers send lists."""
        limits = self.limits
        return (
            limits.message.body_bytes
            if address in self.trusted
            else min(limits.untrusted_body_bytes, limits.message.body_bytes)
        )

    def securing(self, address: str) -> bool:
        """Count a connection whose TLS handshake begins; return False if there are too many."""
        most = self.limits.connections_of_an_address
        all_ = len(self._streams) + self._securing.total()
        if all_ >= self.limits.connections or self._of_address[address] + self._securing[address] >= most:
            self.counts["connections"] += 1
            return False
        self._securing[address] += 1
        return True

    def secured(self, address: str) -> None:
        """Stop counting a connection as in handshake."""
        self._securing[address] -= 1
        if not self._securing[address]:
            del self._securing[address]

    def opened(self, flow: StreamFlow) -> bool:
        """Register a connection; return False if there are too many, or after `close`."""
        if self.is_closed:  # it was under way when `close` was called
            return False
        address = flow.peer[0]
        most = self.limits.connections_of_an_address
        if len(self._streams) >= self.limits.connections or self._of_address[address] >= most:
            self.counts["connections"] += 1
            return False
        self._of_address[address] += 1
        self._streams.add(flow)
        return True

    def gone(self, flow: StreamFlow) -> None:
        """Unregister a connection."""
        self._streams.discard(flow)
        if not self._streams:
            self._emptied.set()
        self._of_address[flow.peer[0]] -= 1
        if not self._of_address[flow.peer[0]]:
            del self._of_address[flow.peer[0]]
        for key in [key for key, each in self._connected.items() if each is flow]:
            del self._connected[key]
        self.receiver.closed(flow)

    # ---- connecting -----------------------------------------------------------------------------------------------------

    async def flow_to(
        self, protocol: SipProtocol, host: str, port: int, *, tls: ssl.SSLContext | None = None, tls_name: str = ""
    ) -> Flow:
        """Return a flow to an IP address. An open connection is reused.

        Raises:
            SipUnreachable: no connection could be opened; the text says why. Always after `close`.
        """
        if self.is_closed:
            raise SipUnreachable("The user agent is closed.")
        if protocol == "udp":
            return DatagramFlow(await self._socket_for(host), (host, port))
        key = (protocol, host, port)
        held = self._connected.get(key)
        if held is not None and not held.is_closed:
            return held
        if key not in self._connecting:
            self._connecting[key] = asyncio.create_task(self._connect(key, tls, tls_name), name=f"sip connect {key}")
            self._connecting[key].add_done_callback(partial(self._connected_or_not, key))
        # Shielded, because several requests share the attempt, and one may be cancelled.
        return await asyncio.shield(self._connecting[key])

    def _connected_or_not(self, key: tuple[SipProtocol, str, int], task: asyncio.Task[StreamFlow]) -> None:
        self._connecting.pop(key, None)
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it when no request waits any more

    async def _connect(
        self, key: tuple[SipProtocol, str, int], tls: ssl.SSLContext | None, tls_name: str
    ) -> StreamFlow:
        protocol, host, port = key
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.limits.connect_s):
                _, flow = await loop.create_connection(
                    lambda: StreamFlow(self, protocol, ours=True),
                    host,
                    port,
                    ssl=tls if protocol == "tls" else None,
                    server_hostname=(tls_name or host) if protocol == "tls" else None,
                )
        except TimeoutError:
            raise SipUnreachable(f"No connection to {host}:{port} within {self.limits.connect_s:g} s.") from None
        except (OSError, ssl.SSLError) as error:
            raise SipUnreachable(f"No connection to {host}:{port}: {_reason(error)}.") from None
        if flow.is_closed:
            raise SipUnreachable(f"The connection to {host}:{port} was closed at once.")
        self._connected[key] = flow
        return flow

    async def _socket_for(self, host: str) -> DatagramEndpoint:
        wanted = socket.AF_INET6 if ":" in host else socket.AF_INET
        async with self._opening:  # otherwise many requests at once would each open one
            for endpoint in self._udp:
                if endpoint.family == wanted:
                    return endpoint
            try:
                await self.listen("udp", "::" if wanted == socket.AF_INET6 else "0.0.0.0")  # noqa: S104 - our own socket for requests
            except OSError as error:  # such as a machine without IPv6
                raise SipUnreachable(f"No socket towards {host}: {error}") from None
            return self._udp[-1]

    async def close(self) -> None:
        """Close all sockets. Buffered data is sent if the peer reads it within a second; TLS sends close_notify."""
        # Set first: a callback for a closed connection may ask for a new one, which nothing would close.
        self.is_closed = True
        for task in list(self._connecting.values()):
            task.cancel()
            with suppress(asyncio.CancelledError, SipUnreachable):
                await task
        for listener in self._tls:
            await listener.close()
        for server in self._servers:
            server.close()
        for flow in list(self._streams):
            flow.close()
        for endpoint in self._udp:
            endpoint.close()
        self._emptied.clear()
        if self._streams:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._emptied.wait()
        for flow in list(self._streams):
            flow.abort()
        for server in self._servers:
            await server.wait_closed()
        await asyncio.sleep(0)


def _reason(error: OSError) -> str:
    """Return why a connection failed, without the text that asyncio adds."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    is_of_system = (error.errno or 0) > 0 and not isinstance(error, ssl.SSLError)
    return os.strerror(error.errno or 0) if is_of_system else error.strerror or str(error) or type(error).__name__
