"""Accept connections: each gets a place or is closed, and must finish its TLS handshake in time.

A connection from a machine that connects too often is closed at once, before TLS, within microseconds. All programs on this machine
share the loopback address, so its limit allows for a thousand consoles that reconnect after a restart.

The event loop's own server reports a connection only after its handshake, so it could not count or close connections before.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final

from suite.agent.api.pace import LOOPBACK, Pace, PaceByNetwork, network_of
from suite.agent.api.places import Place, Places

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

HANDSHAKE_S: Final = 10.0
GOODBYE_S: Final = 2.0
"""Timeout of the TLS shutdown. A peer that only sends never completes it."""
OF_ONE_MACHINE: Final = 200
"""Limit of open connections from one machine of the LAN. A terminal server may have as many consoles."""
ARRIVALS: Final = (200, 1 / 20)
"""Rate limit of new connections from one machine of the LAN: burst, and then seconds between two."""
LOOPBACK_ARRIVALS: Final = (2000, 1 / 500)
_PAUSE_S: Final = 0.1
"""Pause when the system has no free file descriptor."""


class ServerTls:
    """The TLS context of a server. It may be replaced at any time; new connections use the current one."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context


class Acceptor:
    """Accepts connections up to the limits, and does their TLS handshakes."""

    def __init__(
        self,
        bound: socket.socket,
        protocol: Callable[[Place], asyncio.Protocol],
        tls: ServerTls | None,
        most: int,
    ) -> None:
        """Prepare to accept connections of a listening socket.

        Args:
            bound: the socket.
            protocol: creates the protocol of a connection with a place. It must give the place back when the connection is lost.
            tls: the TLS context; None to serve without TLS.
            most: limit of open connections, including those in a handshake.
        """
        self._bound = bound
        self._protocol = protocol
        self._tls = tls
        self.places = Places(most, OF_ONE_MACHINE)
        self._entering: set[asyncio.Task[None]] = set()
        self._arrivals = PaceByNetwork(*ARRIVALS)
        self._loopback_arrivals = Pace(*LOOPBACK_ARRIVALS)

    async def run(self) -> None:
        """Accept connections until cancelled. Then abort handshakes in progress."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    connection, peer = await loop.sock_accept(self._bound)
                except OSError:  # no free file descriptors
                    await asyncio.sleep(_PAUSE_S)
                    continue
                self._admit(connection, str(peer[0]))
                await asyncio.sleep(0)  # `sock_accept` returns at once while connections wait, so let other tasks run
        finally:
            for task in self._entering:
                task.cancel()
            await asyncio.gather(*self._entering, return_exceptions=True)

    def _admit(self, connection: socket.socket, address: str) -> None:
        def abort() -> None:
            task.cancel()

        network = network_of(address)
        pace = self._loopback_arrivals if network == LOOPBACK else self._arrivals.of(address)
        place = self.places.enter(network, abort) if pace.may(asyncio.get_running_loop().time()) else None
        if place is None:
            connection.close()
            return
        task = asyncio.create_task(self._enter(connection, place), name="api-enter")
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    async def _enter(self, connection: socket.socket, place: Place) -> None:
        loop = asyncio.get_running_loop()
        protocol = self._protocol(place)
        is_in = False
        try:
            with contextlib.suppress(OSError):  # the handshake failed or was too slow
                if self._tls is None:
                    await loop.connect_accepted_socket(lambda: protocol, connection)
                else:
                    await loop.connect_accepted_socket(
                        lambda: protocol,
                        connection,
                        ssl=self._tls.context,
                        ssl_handshake_timeout=HANDSHAKE_S,
                        ssl_shutdown_timeout=GOODBYE_S,
                    )
                is_in = True
        finally:
            if not is_in:
                self.places.leave(place)
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
