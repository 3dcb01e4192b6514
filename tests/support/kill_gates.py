"""Proxies before and behind a process that say when it writes to the store and when it answers; see `tests/support/killing.py`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.killing import Killer

_WRITES = {b"SET", b"GETDEL", b"DEL", b"HSET", b"HDEL", b"SADD", b"SREM", b"EVALSHA"}


@asynccontextmanager
async def store_gate(port: int, killer: Killer) -> AsyncIterator[int]:
    """A proxy to Valkey; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_connection("127.0.0.1", port)
        waiting: asyncio.Queue[str] = asyncio.Queue()
        with suppress(OSError, asyncio.IncompleteReadError):
            await asyncio.gather(
                _commands(reader, upstream[1], killer, waiting), _replies(upstream[0], writer, killer, waiting)
            )
        for end in (writer, upstream[1]):
            end.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield int(server.sockets[0].getsockname()[1])


async def _commands(
    reader: asyncio.StreamReader, upstream: asyncio.StreamWriter, killer: Killer, waiting: asyncio.Queue[str]
) -> None:
    try:
        while True:
            raw, words = await _command(reader)
            is_write = words[0].upper() in _WRITES
            name = f"write {words[0].decode()} {words[1][:12].decode()}" if is_write else ""
            if is_write and killer.reached(f"before {name}"):
                return
            waiting.put_nowait(name)
            upstream.write(raw)
            await upstream.drain()
    finally:
        upstream.close()


async def _replies(
    upstream: asyncio.StreamReader, writer: asyncio.StreamWriter, killer: Killer, waiting: asyncio.Queue[str]
) -> None:
    try:
        while reply := await upstream.read(1 << 16):
            # Each connection has one command under way, or a pipeline of reads.
            names = [waiting.get_nowait() for _ in range(waiting.qsize())]
            if any(name and killer.reached(f"after {name}") for name in names):
                return
            writer.write(reply)
            await writer.drain()
    finally:
        writer.close()


async def _command(reader: asyncio.StreamReader) -> tuple[bytes, list[bytes]]:
    raw = await reader.readuntil(b"\r\n")
    words = []
    for _ in range(int(raw[1:])):
        head = await reader.readuntil(b"\r\n")
        body = await reader.readexactly(int(head[1:]) + 2)
        raw += head + body
        words.append(body[:-2])
    return raw, words


@asynccontextmanager
async def http_gate(port: int, upstream_port: int, context: ssl.SSLContext, killer: Killer) -> AsyncIterator[None]:
    """Where browsers come: TLS ends here."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head, body = await _message(reader)
                answer = await _asked(upstream_port, head, body, killer)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if _counts(head) and killer.reached(f"after answer to {_line(head)}"):
                    break
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port, ssl=context):
        yield


async def _asked(port: int, head: bytes, body: bytes, killer: Killer) -> bytes | None:
    """The process's answer; None when it was killed over it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head + body)
        await writer.drain()
        answer = b"".join(await _message(reader))
    finally:
        writer.close()
    return None if _counts(head) and killer.reached(f"before answer to {_line(head)}") else answer


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    return head, await reader.readexactly(int(fields.get(b"content-length", b"0")))


def _counts(head: bytes) -> bool:
    """Whether an answer is a point: not that of an overview, which writes nothing and is asked for until a proof ends."""
    return _line(head) != "GET /onboarding/{flow}"


def _line(head: bytes) -> str:
    method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
    parts = path.split("/")
    named = ["{flow}" if len(part) == 24 else part for part in parts]
    return f"{method} {'/'.join(named)}"
