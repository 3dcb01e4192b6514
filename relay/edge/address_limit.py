"""Limits the connections of one address.

gRPC accepts connections without a callback, so this module lists the process's sockets every second and closes the
newest connections of an address that has too many. Until then only the limit on all connections holds. A check costs
about 2 µs for each descriptor, on a thread, and is skipped while the process has fewer descriptors than one address may
have connections.
"""

from __future__ import annotations

import asyncio
import math
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from relay.edge import sockets
from relay.http.admission import ConnectionLimiter, ConnectionSlot, network_of

if TYPE_CHECKING:
    from relay.edge.settings import EdgeSettings
    from relay.ops.clock import Clock

_log = structlog.get_logger(__name__)

_LOOK_S: Final = 1.0
_SAY_S: Final = 60.0
"""Shortest time between two log lines about it."""


class AddressLimit:
    """Closes the connections that an address has beyond its limit."""

    def __init__(self, port: int, settings: EdgeSettings, clock: Clock) -> None:
        """Limit the connections to `port` of this process."""
        self._port = port
        self._clock = clock
        self._most = settings.connections_per_address
        self._limiter = ConnectionLimiter(settings.connections, self._most, settings.trusted_proxies, lambda _: None)
        self._known: dict[int, ConnectionSlot | None] = {}
        """Inode of a socket -> its place; None for a socket that is not a connection to the port, or was closed here."""
        self._closed = 0
        self._say_at = -math.inf

    async def run(self) -> None:
        """Check every second, until cancelled."""
        while True:
            await self._clock.sleep(_LOOK_S)
            if network := await asyncio.to_thread(self.look):
                self._say(network)

    def look(self) -> str:
        """Close connections beyond the limit; return the network of one of them, empty when none was closed."""
        found = sockets.inodes()
        if len(found) <= self._most:
            self._forget(set(self._known))
            return ""
        self._forget(self._known.keys() - found)
        crowded = ""
        for inode in sorted(found.keys() - self._known.keys()):  # numbered in the order of creation
            crowded = self._take_in(inode, found[inode]) or crowded
        return crowded

    def _forget(self, inodes: set[int]) -> None:
        for inode in inodes:
            place = self._known.pop(inode)
            if place is not None:
                self._limiter.leave(place)

    def _take_in(self, inode: int, descriptor: int) -> str:
        """Give a new socket a place, or close it; return its network when it was closed."""
        with sockets.handle(descriptor) as one:
            address = None if one is None else sockets.peer_of(one, self._port)
            if one is None or address is None:
                self._known[inode] = None
                return ""
            place = self._limiter.enter(address, lambda: None)
            if place is None:
                self._known[inode] = None
                self._closed += 1
                _close(one)
                return network_of(address)
            self._limiter.answer(place)  # the oldest connections stay
            self._known[inode] = place
            return ""

    def _say(self, network: str) -> None:
        now = self._clock.monotonic()
        if now >= self._say_at:
            hint = "if it is a load balancer, add it to RELAY_EDGE_TRUSTED_PROXIES"
            _log.warning(
                "edge_address_limit_reached", address=network, limit=self._most, closed=self._closed, hint=hint
            )
            self._say_at, self._closed = now + _SAY_S, 0


def _close(one: socket.socket) -> None:
    with suppress(OSError):  # closed meanwhile
        one.shutdown(socket.SHUT_RDWR)
