"""A server that speaks Redis' protocol and says what a test has it say: for what no real one can be brought to do for long."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

from tests.support.loopback import LoopbackServer

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


class ScriptedRedis(LoopbackServer):
    """A server on loopback, as an async context manager. What it was not told of it answers with OK.

    Attributes:
        asked: how often each command came, in upper case.
        answers: command -> answer; a function is given the command.
        pause_s: for how long it thinks before each answer.
        connections: how many were opened.
    """

    def __init__(self, answers: Mapping[str, Answer], pause_s: float = 0.0) -> None:
        super().__init__()
        self.answers = dict(answers)
        self.pause_s = pause_s
        self.asked = Counter[str]()
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while command := await _command(reader):
            name = command[0].decode().upper()
            self.asked[name] += 1
            answer = self.answers.get(name, OK)
            await asyncio.sleep(self.pause_s)
            writer.write(answer(command) if callable(answer) else answer)


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
