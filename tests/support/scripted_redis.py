"""A server that speaks Redis' protocol and says what a test has it say: for what no real one can be brought to do for long."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Self

Answer = bytes | Callable[[list[bytes]], bytes]
OK = b"+OK\r\n"


def bulk(text: str) -> bytes:
    """A text as an answer."""
    return b"$%d\r\n%s\r\n" % (len(text.encode()), text.encode())


def listed(*items: bytes) -> bytes:
    """Answers as one."""
    return b"*%d\r\n%s" % (len(items), b"".join(items))


def number(value: int) -> bytes:
    """A number as an answer."""
    return b":%d\r\n" % value


class ScriptedRedis:
    """A server on loopback, as an async context manager. What it was not told of it answers with OK.

    Attributes:
        asked: how often each command came, in upper case.
        answers: command -> answer; a function is given the command.
        pause_s: for how long it thinks before each answer.
        connections: how many were opened.
    """

    def __init__(self, answers: Mapping[str, Answer], pause_s: float = 0.0) -> None:
        self.answers = dict(answers)
        self.pause_s = pause_s
        self.asked = Counter[str]()
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._tasks = set[asyncio.Task[None]]()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while command := await _command(reader):
                name = command[0].decode().upper()
                self.asked[name] += 1
                answer = self.answers.get(name, OK)
                await asyncio.sleep(self.pause_s)
                writer.write(answer(command) if callable(answer) else answer)
        self._tasks.discard(task)
        writer.close()


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    """Return the next command, empty at the end."""
    head = await reader.readline()
    if not head:
        return []
    words = []
    for _ in range(int(head[1:])):
        length = int((await reader.readline())[1:])
        words.append((await reader.readexactly(length + 2))[:-2])
    return words
