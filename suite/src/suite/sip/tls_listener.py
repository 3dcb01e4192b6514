"""A TLS listener that counts connections before their handshake, which asyncio's server does not report."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from suite.sip.flows import FlowOwner, StreamFlow

_BACKLOG: Final = 256
_NO_SOCKETS_S: Final = 1.0
"""The pause after the system refused another socket."""


@dataclass(slots=True, eq=False)
class TlsListener:
    """One listening socket. Connections above the limits are closed before the handshake."""

    owner: FlowOwner
    listening: socket.socket
    tls: ssl.SSLContext
    _accepting: asyncio.Task[None] | None = None
    _handshakes: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    def at(cls, owner: FlowOwner, host: str, port: int, tls: ssl.SSLContext) -> TlsListener:
        """Start listening.

        Raises:
            OSError: the address cannot be used.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        listening.settimeout(0)
        made = cls(owner, listening, tls)
        made._accepting = asyncio.create_task(made._accept(), name=f"sip tls {host}:{port}")
        return made

    @property
    def address(self) -> tuple[str, int]:
        """The address that it is bound to."""
        host, port = self.listening.getsockname()[:2]
        return host, port

    def stop(self) -> None:
        """Stop listening, and abort handshakes. Open connections stay."""
        asyncio.get_running_loop().remove_reader(self.listening)
        for task in self._tasks():
            task.cancel()
        self.listening.close()

    async def close(self) -> None:
        """Stop, and wait for the end of all tasks."""
        tasks = self._tasks()
        self.stop()
        if tasks:
            await asyncio.wait(tasks)

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [*self._handshakes, *([self._accepting] if self._accepting is not None else [])]

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self.listening)
            except OSError:
                self.owner.counts["no_sockets"] += 1
                await asyncio.sleep(_NO_SOCKETS_S)
                continue
            if not self.owner.securing(peer[0]):
                connection.close()
                continue
            task = asyncio.create_task(self._secure(connection, peer[0]), name="sip tls handshake")
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _secure(self, connection: socket.socket, address: str) -> None:
        try:
            with suppress(OSError):  # the peer does not speak TLS, or has closed
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: StreamFlow(self.owner, "tls"),
                    connection,
                    ssl=self.tls,
                    ssl_handshake_timeout=self.owner.limits.connect_s,
                )
        finally:
            self.owner.secured(address)
