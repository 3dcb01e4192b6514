"""The ops port: liveness, readiness and metrics of this process, or of the processes that it supervises.

    GET /livez     200 while the event loop turns; restart a process that does not answer
    GET /readyz    200 when every part is ready, else 503; one line for each part
    GET /metrics   Prometheus' text form

It must not be reachable from the internet, because it requires no credential.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from relay.ops.listening import listener

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

REQUEST_S: Final = 5.0
"""Longest time for a request to arrive and be answered; no connection stays open for longer."""
MOST_CONNECTIONS: Final = 64
"""Concurrent connections; further ones are closed unread. Probes and a scraper need two or three."""
_MOST_REQUEST_BYTES: Final = 8 * 1024
_TEXT: Final = "text/plain; charset=utf-8"
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


class Health:
    """The parts of this process, and whether each is ready."""

    def __init__(self) -> None:
        self._parts: dict[str, bool] = {}
        self._troubles: dict[str, list[Callable[[], str]]] = {}
        self._remarks: dict[str, str] = {}

    def expect(self, *parts: str) -> None:
        """Name parts without which the process is not ready."""
        for part in parts:
            self._parts.setdefault(part, False)

    def set(self, part: str, *, ready: bool) -> None:
        """Set whether a part is ready."""
        self._parts[part] = ready

    def watch(self, part: str, trouble: Callable[[], str]) -> None:
        """Call `trouble` at each readiness check. It returns why the part is not ready, or an empty text."""
        self._troubles.setdefault(part, []).append(trouble)

    def remark(self, about: str, text: str) -> None:
        """Add a line for operators that does not affect readiness; an empty text removes it."""
        self._remarks[about] = text

    @property
    def is_ready(self) -> bool:
        """Return whether all parts are ready."""
        return all(self._parts.values()) and not any(map(self._trouble, self._troubles))

    def report(self) -> str:
        """Return a line for each part, and one for each remark."""
        parts = [f"{part}: {self._words(part)}" for part in sorted(self._parts)]
        remarks = [f"{about}: {text}" for about, text in sorted(self._remarks.items()) if text]
        return "".join(f"{line}\n" for line in [*parts, *remarks])

    def _words(self, part: str) -> str:
        if not self._parts[part]:
            return "not ready"
        trouble = self._trouble(part)
        return f"not ready: {trouble}" if trouble else "ready"

    def _trouble(self, part: str) -> str:
        return "; ".join(filter(None, (trouble() for trouble in self._troubles.get(part, ()))))


class OpsAnswers(Protocol):
    """The answers of an ops port."""

    async def readiness(self) -> tuple[bool, str]:
        """Return whether it is ready, and a line for each part."""

    async def metrics(self) -> bytes:
        """Return all metrics in Prometheus' text form."""


class OwnAnswers:
    """The answers of one process about itself."""

    def __init__(self, health: Health, exposition: Callable[[], bytes]) -> None:
        self._health = health
        self._exposition = exposition

    async def readiness(self) -> tuple[bool, str]:
        """Return whether all parts are ready, and a line for each."""
        return self._health.is_ready, self._health.report()

    async def metrics(self) -> bytes:
        """Return the metrics of this process."""
        return self._exposition()


class OpsServer:
    """Serves the ops port while the context lasts.

    Raises:
        OSError: (on entering) the port is taken.
    """

    def __init__(self, address: tuple[str, int] | Path, answers: OpsAnswers) -> None:
        """Make a server that does not listen yet.

        Args:
            address: host and port, or the path of a Unix socket to create.
            answers: the answers of this process, or of others.
        """
        self._address = address
        self._answers = answers
        self._server: asyncio.Server | None = None
        self._open = 0

    @property
    def port(self) -> int:
        """Return the listening port; 0 on a Unix socket."""
        assert self._server is not None
        return 0 if isinstance(self._address, Path) else int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """Return the number of open connections."""
        return self._open

    async def __aenter__(self) -> Self:
        if isinstance(self._address, Path):
            self._server = await asyncio.start_unix_server(self._serve, self._address, limit=_MOST_REQUEST_BYTES)
            return self
        with listener(*self._address) as bound:  # the server listens on a copy of it
            self._server = await asyncio.start_server(self._serve, sock=bound.dup(), limit=_MOST_REQUEST_BYTES)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._open += 1
        try:
            async with asyncio.timeout(REQUEST_S):
                await self._exchange(reader, writer)
        except (OSError, TimeoutError):
            pass  # the client disconnected, sent nothing, or does not read
        finally:
            self._open -= 1
            # A client that reads has received everything; do not wait for others.
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        status, kind, body = await self._answer(await self._request_line(reader))
        head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def _request_line(self, reader: asyncio.StreamReader) -> str:
        """Return the first line of a request; empty when it cannot be read."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return ""
        return head.split(b"\r\n", 1)[0].decode("latin-1")

    async def _answer(self, line: str) -> tuple[int, str, bytes]:
        method, _, rest = line.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if not path:
            return 400, _TEXT, b"not a request\n"
        if method != "GET":
            return 405, _TEXT, b"only GET\n"
        match path:
            case "/livez":
                return 200, _TEXT, b"alive\n"
            case "/readyz":
                is_ready, report = await self._answers.readiness()
                return (200 if is_ready else 503), _TEXT, report.encode()
            case "/metrics":
                return 200, "text/plain; version=0.0.4; charset=utf-8", await self._answers.metrics()
        return 404, _TEXT, b"/livez, /readyz, /metrics\n"
