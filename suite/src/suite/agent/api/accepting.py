"""Connections until HTTP begins on them: each has a place or is closed, and finishes its TLS handshake in time.

A machine that connects too often is closed at once, before TLS, which costs some microseconds. Loopback is one address for every
program of the machine, so its pace is that of a thousand consoles which come back after a restart.

They are accepted here, because the event loop's own server tells of a connection only when its handshake is done: until then it
could be neither counted nor closed.
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
"""Time for TLS' own goodbye, which somebody who only sends never says."""
OF_ONE_MACHINE: Final = 200
"""Connections that one machine of the LAN may have open: a terminal server with as many consoles."""
ARRIVALS: Final = (200, 1 / 20)
"""New connections of one machine of the LAN: at once, and the seconds between two after that."""
LOOPBACK_ARRIVALS: Final = (2000, 1 / 500)
_PAUSE_S: Final = 0.1
"""Pause after the system gave no descriptor, until one is free again."""


class ServerTls:
    """The TLS of a server. New connections get what `context` is when they come, so it may be replaced at any time."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context


class Acceptor:
    """Accepts connections, as many as may be open, and does their TLS handshakes."""

    def __init__(
        self,
        bound: socket.socket,
        protocol: Callable[[Place], asyncio.Protocol],
        tls: ServerTls | None,
        most: int,
    ) -> None:
        """Take a socket that listens.

        Args:
            bound: the socket.
            protocol: makes the protocol of a connection with a place, which leaves it when the connection is lost.
            tls: None serves without TLS.
            most: connections that may be open, those in a handshake included.
        """
        self._bound = bound
        self._protocol = protocol
        self._tls = tls
        self.places = Places(most, OF_ONE_MACHINE)
        self._entering: set[asyncio.Task[None]] = set()
        self._arrivals = PaceByNetwork(*ARRIVALS)
        self._loopback_arrivals = Pace(*LOOPBACK_ARRIVALS)

    async def run(self) -> None:
        """Accept until cancelled; handshakes under way are then given up."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    connection, peer = await loop.sock_accept(self._bound)
                except OSError:  # no descriptors: the system refuses until something is closed
                    await asyncio.sleep(_PAUSE_S)
                    continue
                self._admit(connection, str(peer[0]))
                await asyncio.sleep(
                    0
                )  # `sock_accept` does not wait while somebody waits there, and others have their turn
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
            with contextlib.suppress(OSError):  # no TLS, or not in time
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
