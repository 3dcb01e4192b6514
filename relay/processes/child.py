"""One of the processes: started, asked over its ops socket, told to stop by the end of its standard input."""

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
"""Time limit of an answer over the ops socket; scrapers and probes wait for all of them."""
_MOST_ANSWER_BYTES: Final = 64 << 20


@dataclass(eq=False, slots=True)
class Child:
    """A running process, or one that has ended.

    Attributes:
        number: its place, from 1.
        pid: of the process.
        is_up: whether it was ready once, so that it listens.
    """

    number: int
    pid: int
    _process: asyncio.subprocess.Process
    _socket: Path
    is_up: bool = False

    @classmethod
    async def start(cls, number: int, command: Sequence[str], ops_socket: Path) -> Self:
        """Start a process that will serve `ops_socket`, in a session of its own, so that Ctrl-C reaches the supervisor alone."""
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, start_new_session=True)
        return cls(number, process.pid, process, ops_socket)

    async def ask(self, path: str) -> tuple[int, str]:
        """Return status and body of the ops server's answer.

        Raises:
            OSError: it is not there, or its answer is none.
            TimeoutError: it says nothing.
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
        """Return the exit code once it has ended; that of a signal is negative."""
        return await self._process.wait()

    def stop(self) -> None:
        """Tell it to stop in order."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """End it at once."""
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
