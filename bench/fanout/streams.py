"""Reads many streams in one process on raw sockets; only counts items and samples their latency.

A client library in Python would need more CPU than the measured servers. HTTP/2 is implemented only as far as one
server-streaming call needs it: frames are split, pings and settings answered, windows renewed as gRPC's own clients do.
"""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.fanout.schedule import INITIAL, MARK_CHARS

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_RECEIVE_BYTES: Final = 1 << 18
_SAMPLE_EVERY: Final = 4
"""One of this many reads is sampled for latency, with all its items."""


@dataclass(frozen=True, slots=True)
class Target:
    """One stream to open, and the bytes that open it.

    Attributes:
        port: the port on loopback.
        call: path, metadata and encoded request of a gRPC call; None for a NATS subscription.
        subject: of the subscription.
    """

    port: int
    call: tuple[str, dict[str, str], bytes] | None = None
    subject: str = ""


class _Stream:
    """One connection. `payload` takes received bytes and returns those that may contain items."""

    def __init__(self, target: Target, first: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", target.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(first)
        self.socket.settimeout(0)
        self.carried = b""  # the end of the last bytes: an item's mark may be split

    def payload(self, data: bytes) -> tuple[bytes, int]:
        raise NotImplementedError


class _Nats(_Stream):
    def __init__(self, target: Target) -> None:
        options = json.dumps({"verbose": False, "pedantic": False, "lang": "bench", "version": "0"})
        super().__init__(target, f"CONNECT {options}\r\nSUB {target.subject} 1\r\nPING\r\n".encode())
        self._is_open = False

    def payload(self, data: bytes) -> tuple[bytes, int]:
        if not self._is_open and b"PONG\r\n" in data:
            self._is_open = True
            return data + INITIAL.encode(), 1
        return data, 1


_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_WINDOW_BYTES: Final = 1 << 20
_FRAME_BYTES: Final = 16_000


class _Grpc(_Stream):
    def __init__(self, target: Target) -> None:
        assert target.call is not None
        path, metadata, request = target.call
        head = {
            ":method": "POST", ":scheme": "http", ":path": path, ":authority": f"127.0.0.1:{target.port}",
            "te": "trailers", "content-type": "application/grpc", **metadata,
        }  # fmt: skip
        settings = struct.pack(">HIHI", 4, _WINDOW_BYTES, 2, 0)  # initial window; no push
        message = struct.pack(">BI", 0, len(request)) + request
        first = [_PREFACE, _frame(_SETTINGS, 0, 0, settings), _frame(_WINDOW, 0, 0, struct.pack(">I", _WINDOW_BYTES))]
        first.append(_frame(_HEADERS, _END_HEADERS, 1, b"".join(_literal(*pair) for pair in head.items())))
        parts = [message[start : start + _FRAME_BYTES] for start in range(0, len(message), _FRAME_BYTES)]
        first += [_frame(_DATA, _END_STREAM if part is parts[-1] else 0, 1, part) for part in parts]
        super().__init__(target, b"".join(first))
        self._rest = b""
        self._unsaid = 0

    def payload(self, data: bytes) -> tuple[bytes, int]:
        data = self._rest + data if self._rest else data
        at, end = 0, len(data)
        items: list[bytes] = []
        while end - at >= 9:
            length = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            after = at + 9 + length
            if after > end:
                break
            if data[at + 3] == _DATA:
                items.append(data[at + 9 : after])
            else:
                self._control(data[at + 3], data[at + 4], data[at + 9 : after])
            at = after
        self._rest = data[at:]
        received = b"".join(items)
        self._renew_windows(len(received))
        return received, len(items)

    def _control(self, kind: int, flags: int, content: bytes) -> None:
        if kind in {_SETTINGS, _PING} and not flags & _ACK:
            self.socket.send(_frame(kind, _ACK, 0, content if kind == _PING else b""))
        elif kind == _GOAWAY and content[4:8] == bytes(4):
            pass  # the connection accepts no new streams; this one continues
        elif kind in {_RST, _GOAWAY} or (kind == _HEADERS and flags & _END_STREAM):
            raise RuntimeError(f"a stream was ended by the server: frame {kind}, {content!r}")

    def _renew_windows(self, received: int) -> None:
        self._unsaid += received
        if self._unsaid > _WINDOW_BYTES // 4:
            step = struct.pack(">I", self._unsaid)
            self.socket.send(_frame(_WINDOW, 0, 0, step) + _frame(_WINDOW, 0, 1, step))
            self._unsaid = 0


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, flags, stream) + content


def _literal(name: str, value: str) -> bytes:
    """Return a header field in HPACK without a table."""
    return b"\x00" + b"".join(_length(len(text)) + text.encode() for text in (name, value))


def _length(number: int) -> bytes:
    if number < 127:
        return bytes([number])
    number -= 127
    more = bytearray([127])
    while number >= 128:
        more.append(number & 127 | 128)
        number >>= 7
    return bytes([*more, number])


@dataclass(slots=True)
class Received:
    """The messages that arrived since the last `phase`.

    Attributes:
        items: number of items with the phase's mark.
        writes: number of the server's writes, as far as they can be distinguished.
        latencies_ms: latencies of a sample of the items.
    """

    items: int
    writes: int
    latencies_ms: list[float]


def read(pipe: Connection, targets: list[Target]) -> None:
    """Open the streams, then count items. Messages: `phase MARK` restarts the count; `count` and `samples` are answered."""
    reader = _Reader(targets)
    pipe.send("open")
    reader.poll.register(pipe.fileno(), select.EPOLLIN)
    while True:
        for number, _ in reader.poll.poll():
            if number == pipe.fileno():
                _obey(pipe, reader)
            else:
                reader.receive(number)


def _obey(pipe: Connection, reader: _Reader) -> None:
    match pipe.recv():
        case ("phase", str(mark)):
            reader.begin(mark)
        case ("count",):
            pipe.send(reader.received.items)
        case ("received",):
            pipe.send(reader.received)


class _Reader:
    def __init__(self, targets: list[Target]) -> None:
        self.poll = select.epoll()
        self._streams: dict[int, _Stream] = {}
        self._reads = 0
        self.begin(INITIAL)
        for target in targets:
            stream = _Grpc(target) if target.call is not None else _Nats(target)
            self._streams[stream.socket.fileno()] = stream
            self.poll.register(stream.socket.fileno(), select.EPOLLIN)

    def begin(self, mark: str) -> None:
        self._mark = mark.encode()
        self._stamp: re.Pattern[bytes] = re.compile(re.escape(self._mark) + rb"(\d{19})")
        self.received = Received(0, 0, [])

    def receive(self, number: int) -> None:
        stream = self._streams[number]
        data = stream.socket.recv(_RECEIVE_BYTES)
        if not data:
            raise RuntimeError("a stream was closed by the server")
        came, writes = stream.payload(data)
        came = stream.carried + came if stream.carried else came
        stream.carried = came[1 - MARK_CHARS :]
        self.received.items += came.count(self._mark)
        self.received.writes += writes
        self._reads += 1
        if self._reads % _SAMPLE_EVERY == 0:
            self._sample(came)

    def _sample(self, came: bytes) -> None:
        now = time.monotonic_ns()
        found: Any = self._stamp.findall(came)
        self.received.latencies_ms += [(now - int(due)) / 1e6 for due in found if int(due)]
