"""Sockets until HTTP begins on them: each gets a place or is closed, and finishes its TLS handshake in time.

They are accepted here and not by the event loop's own server, which does not report a connection before its handshake is done: until
then it could not be counted or closed.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from relay.http.admission import ConnectionSlot
    from relay.http.protocol import BoundedHttp, Bounds

_GOODBYE_S: Final = 16.0  # for TLS' own goodbye; see `bounded_http`
_PAUSE_S: Final = 0.05
"""Pause after the system gave no descriptor, until one is free again."""


class Acceptor:
    """Accepts connections and does their TLS handshakes in time.

    Args:
        listener: listens already.
        protocol: makes the protocol of a connection.
        bounds: of the server.
        tls: None serves plain HTTP.
    """

    def __init__(
        self, listener: socket.socket, protocol: Callable[[], BoundedHttp], bounds: Bounds, tls: ssl.SSLContext | None
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._bounds = bounds
        self._tls = tls
        self._entering: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Accept until cancelled; handshakes under way are then given up."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    connection, peer = await loop.sock_accept(self._listener)
                except OSError:
                    # No descriptors, or no memory: the system refuses until something is closed.
                    self._bounds.admission.make_room()
                    await asyncio.sleep(_PAUSE_S)
                else:
                    self._admit(connection, str(peer[0]))
                    # While somebody waits to be accepted `sock_accept` does not, and what is to be closed would stay open.
                    await asyncio.sleep(0)
        finally:
            for task in self._entering:
                task.cancel()
            await asyncio.gather(*self._entering, return_exceptions=True)

    def _admit(self, connection: socket.socket, address: str) -> None:
        def abort() -> None:
            task.cancel()

        place = self._bounds.admission.enter(address, abort)
        if place is None:
            connection.close()
            return
        task = asyncio.create_task(self._enter(connection, place), name="http-door")
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    async def _enter(self, connection: socket.socket, place: ConnectionSlot) -> None:
        loop, limit_s = asyncio.get_running_loop(), self._bounds.head_time_s
        http = self._protocol()
        http.place, http.bounds, http.due = place, self._bounds, loop.time() + limit_s
        given = {} if self._tls is None else {"ssl_handshake_timeout": limit_s, "ssl_shutdown_timeout": _GOODBYE_S}
        is_in = False
        try:
            await loop.connect_accepted_socket(lambda: http, connection, ssl=self._tls, **given)
            is_in = True
        except OSError:
            self._bounds.refusals("no_tls")
        finally:
            if not is_in:
                self._bounds.admission.leave(place)
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
