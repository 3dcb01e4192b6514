"""One of the processes: starts it, queries it over its ops socket, stops it by closing its standard input."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ASK_S: Final = 2.0
"""Time limit of an answer over the ops socket; scrapers and probes wait for all processes."""
_MOST_ANSWER_BYTES: Final = 64 << 20


@dataclass(eq=False, slots=True)
class Child:
    """A running process, or one that has ended.

    Attributes:
        number: its place, from 1.
        pid: of the process.
        is_up: whether it was ready once, and so listens.
    """

    number: int
    pid: int
    _process: asyncio.subprocess.Process
    _socket: Path
    is_up: bool = False

    @classmethod
    async def start(cls, number: int, command: Sequence[str], ops_socket: Path) -> Self:
        """Start a process that will serve `ops_socket`, in its own session, so that Ctrl-C reaches only the supervisor."""
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, start_new_session=True)
        return cls(number, process.pid, process, ops_socket)

    async def ask(self, path: str) -> tuple[int, str]:
        """Return status and body of the ops server's answer.

        Raises:
            OSError: it does not listen, or its answer is invalid.
            TimeoutError: it does not answer in time.
        """
        async with asyncio.timeout(ASK_S):
            reader, writer = await asyncio.open_unix_connection(self._socket, limit=_MOST_ANSWER_BYTES)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
                answer = await reader.read(-1)
            finally:
                writer.close()
        head, _, body = answer.decode().partition("\r\n\r\n")
        version, _, rest = head.partition(" ")
        if not version.startswith("HTTP/"):
            raise OSError(f"process {self.number} answers without a status")
        return int(rest[:3]), body

    async def ended(self) -> int:
        """Return the exit code when it has ended; negative for a signal."""
        return await self._process.wait()

    def stop(self) -> None:
        """Ask it to stop cleanly."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """Kill it."""
        with suppress(ProcessLookupError):
            self._process.kill()


def in_words(code: int) -> str:
    """Return how a process ended, for an operator."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
