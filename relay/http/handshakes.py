"""Accepts sockets: each gets a place or is closed, and must finish its TLS handshake in time.

The event loop's own server is not used, because it reports a connection only after its handshake: before that it could
not be counted or closed.
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

_GOODBYE_S: Final = 16.0  # for the TLS shutdown; see `bounded_http`
_PAUSE_S: Final = 0.05
"""Pause after the system had no free descriptor."""


class Acceptor:
    """Accepts connections and does their TLS handshakes in time.

    Args:
        listener: a listening socket.
        protocol: creates the protocol of a connection.
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
        """Accept until cancelled, which also cancels handshakes under way."""
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
                    # While clients wait to be accepted, `sock_accept` never suspends, and connections to close would
                    # stay open.
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
