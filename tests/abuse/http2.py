"""A client of HTTP/2 that sends what it likes: frames made by hand, and headers as gRPC has them."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from enum import IntEnum

from hpack import Encoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
END_STREAM, END_HEADERS = 0x1, 0x4
WATCH = "/relay.api.presence.v1.PresenceService/WatchPresence"
STREAM = "/relay.api.presence.v1.PresenceService/StreamPresence"
HEALTH_WATCH = "/grpc.health.v1.Health/Watch"
HEALTH_CHECK = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
Field = tuple[str, str]


class Kind(IntEnum):
    DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)


def frame(kind: int, payload: bytes = b"", stream: int = 0, flags: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def message(payload: bytes, length: int | None = None) -> bytes:
    """A gRPC message; `length` when it lies."""
    return b"\x00" + struct.pack(">I", len(payload) if length is None else length) + payload


def call(path: str, *fields: Field) -> list[Field]:
    """The header list of a gRPC call."""
    usual = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "relay")]
    return [*usual, ("content-type", "application/grpc"), ("te", "trailers"), *fields]


def bearing(key: str) -> Field:
    return ("authorization", f"Bearer {key}")


class Peer:
    """One connection.

    Attributes:
        seen: the frames that came: kind, flags, stream, payload.
        closed: set when the other side has closed.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._encoder = Encoder()
        self._encoder.header_table_size = 0
        self.seen: list[tuple[int, int, int, bytes]] = []
        self.closed = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    def greet(self, settings: bytes = b"") -> None:
        """Begin HTTP/2, and read what comes."""
        self.send(PREFACE + frame(Kind.SETTINGS, settings))
        self.listen()

    def listen(self) -> None:
        self._reading = asyncio.create_task(self._read())

    def block(self, fields: Iterable[Field]) -> bytes:
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        return self._encoder.encode(raw, huffman=False)

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def flood(self, data: bytes) -> bool:
        """Send as fast as it is taken; False when the other side has closed."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            self.closed.set()
        return not self.closed.is_set()

    def headers(self, stream: int, fields: Iterable[Field], flags: int = END_HEADERS) -> None:
        self.send(b"".join(header_frames(self.block(fields), stream, flags)))

    def data(self, stream: int, payload: bytes, flags: int = 0) -> None:
        for at in range(0, max(1, len(payload)), 16_384):
            last = at + 16_384 >= len(payload)
            self.send(frame(Kind.DATA, payload[at : at + 16_384], stream, flags if last else 0))

    def count(self, kind: Kind) -> int:
        return sum(1 for one in self.seen if one[0] == kind)

    async def _read(self) -> None:
        try:
            while True:
                head = await self._reader.readexactly(9)
                payload = await self._reader.readexactly(int.from_bytes(head[:3]))
                kind, flags, stream = struct.unpack(">BBI", head[3:])
                self.seen.append((kind, flags, stream, payload))
                if kind == Kind.SETTINGS and not flags & 1:
                    self.send(frame(Kind.SETTINGS, flags=1))
                if kind == Kind.PING and not flags & 1:
                    self.send(frame(Kind.PING, payload, flags=1))
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed.set()

    async def aclose(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        self._writer.transport.abort()  # what the other side does not read would be waited for
        with suppress(ConnectionError):
            await self._writer.wait_closed()


def header_frames(block: bytes, stream: int, flags: int = END_HEADERS) -> list[bytes]:
    """A header list in as many frames as it needs."""
    chunks = [block[at : at + 16_384] for at in range(0, max(1, len(block)), 16_384)]
    frames = []
    for number, chunk in enumerate(chunks):
        kind = Kind.CONTINUATION if number else Kind.HEADERS
        own = flags & END_HEADERS if number == len(chunks) - 1 else 0
        frames.append(frame(kind, chunk, stream, own | (0 if number else flags & END_STREAM)))
    return frames


def tls_of(ca_pem: bytes) -> ssl.SSLContext:
    """What a client of gRPC's needs for TLS."""
    context = ssl.create_default_context(cadata=ca_pem.decode())
    context.set_alpn_protocols(["h2"])
    return context


@asynccontextmanager
async def peer(
    port: int, *, greet: bool = True, settings: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    one = Peer(reader, writer)
    try:
        if greet:
            one.greet(settings)
        yield one
    finally:
        await one.aclose()
