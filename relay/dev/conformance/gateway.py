"""A TCP proxy before the edge, which can be cut, closed, frozen and slowed down. It forwards bytes without decrypting TLS."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_HOST: Final = "127.0.0.1"
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: on, 0 s: closing sends a reset."""
_CHUNK: Final = 65536


class Gateway:
    """A TCP server on loopback in front of an edge, as an async context manager."""

    def __init__(self, port: int, accepted: Callable[[], None]) -> None:
        """Prepare a server that does not listen yet.

        Args:
            port: the port to listen on; 0 is any free port.
            accepted: called for each connection, also for those that are closed at once.
        """
        self.to_port = 0
        """The edge's port, for connections from now on."""
        self.is_closed = False
        """Whether connections are reset as soon as they come."""
        self.holds_back = False
        """Whether data of the relay is being held back."""
        self._delay_s = 0.0
        self._is_at_full_speed = asyncio.Event()
        self._port = port
        self._accepted = accepted
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    @property
    def port(self) -> int:
        """Return the listening port."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Reset all connections."""
        for one in self._connections:
            one.reset()

    def freeze(self) -> None:
        """Leave the connections open and stop forwarding in both directions. New connections are served."""
        for one in self._connections:
            one.goes_on.clear()

    def slow_down(self, delay_s: float) -> None:
        """Delay each piece that the relay sends by this time from now on. 0 ends the delay, also for held-back data."""
        self._delay_s = delay_s
        if delay_s:
            self._is_at_full_speed.clear()
        else:
            self._is_at_full_speed.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, _HOST, self._port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        tasks = [one.task for one in self._connections]
        self.cut()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._accepted()
        task = asyncio.current_task()
        assert task is not None
        one = _Connection(task, writer)
        if self.is_closed:
            one.reset()
            return
        self._connections.add(one)
        try:
            with suppress(OSError, asyncio.CancelledError):
                there, back = await asyncio.open_connection(_HOST, self.to_port)
                one.back = back
                await asyncio.gather(self._pass_on(one, reader, back), self._pass_on(one, there, writer, slow=True))
        finally:
            self._connections.discard(one)
            one.reset()

    async def _pass_on(
        self, one: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool = False
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if slow and self._delay_s:
                    await self._hold_back()
                await one.goes_on.wait()
                writer.write(data)
                await writer.drain()
        await one.goes_on.wait()
        writer.close()

    async def _hold_back(self) -> None:
        self.holds_back = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_at_full_speed.wait(), self._delay_s)
        self.holds_back = False


class _Connection:
    """One connection of a suite, and the matching connection to the edge."""

    def __init__(self, task: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        self.task = task
        self.back: asyncio.StreamWriter | None = None
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self._writer = writer

    def reset(self) -> None:
        """Reset both sides. Does nothing when they are closed."""
        for writer in (self._writer, self.back):
            if writer is None:
                continue
            with suppress(OSError, AttributeError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        self.goes_on.set()
