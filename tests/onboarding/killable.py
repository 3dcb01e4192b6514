"""The pages in a process of their own that can be killed at any of its writes and answers, and a proxy on either side of it
that says when.

    person ──TLS──► HttpGate ──► the process ──► StoreGate ──► Valkey

Nothing in the process knows of it. A point is (what, before or after); they are numbered in the order in which they come.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from onboarding.app import served
from onboarding.settings import WebSettings
from relay.graph.settings import GraphSettings
from relay.store.sealing.keyring import KeyRing
from relay.store.server.connection import Store, StoreSettings

_WRITES = {b"SET", b"GETDEL", b"DEL", b"HSET", b"HDEL", b"SADD", b"SREM", b"EVALSHA"}
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.onboarding.killable"])


@dataclass
class Killer:
    """Counts points, and kills at one of them."""

    target: int | None = None
    """The number of the point to kill at; None only counts."""
    points: list[str] = field(default_factory=list)
    killed: asyncio.Event = field(default_factory=asyncio.Event)
    kill: Callable[[], None] = lambda: None

    def reached(self, point: str) -> bool:
        """Note a point; whether the process was killed at it."""
        if self.killed.is_set():
            return False
        self.points.append(point)
        if self.target != len(self.points) - 1:
            return False
        self.kill()
        self.killed.set()
        return True


class Web:
    """The process; `start` again after it was killed."""

    def __init__(self, settings: WebSettings, store_url: str, ring: str, graph: GraphSettings) -> None:
        self._given = (settings, store_url, ring, graph)
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    async def start(self) -> None:
        ours, theirs = _processes.Pipe()
        self._pipe = ours
        self._process = _processes.Process(target=_run, args=(theirs, *self._given))
        self._process.start()
        theirs.close()
        assert await asyncio.to_thread(ours.recv) == "ready"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def kill(self) -> None:
        """Kill -9, unless it is dead already."""
        if self._process is None or self._pipe is None:
            return
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()
        self._process = None


def _run(pipe: Connection, settings: WebSettings, store_url: str, ring: str, graph: GraphSettings) -> None:
    asyncio.run(_serve(pipe, settings, store_url, ring, graph))


async def _serve(pipe: Connection, settings: WebSettings, store_url: str, ring: str, graph: GraphSettings) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), stop.set)  # the test is gone
    async with (
        Store(StoreSettings(url=store_url)) as store,
        served(settings, store, KeyRing.from_json(ring), graph),
    ):
        pipe.send("ready")
        await stop.wait()


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
