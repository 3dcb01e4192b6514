"""A minimal HTTP/2 client: enough to test that the other side supports it, and to keep a stream idle.

Answers are not decoded, because only their frames matter here. gRPC makes the real calls.
"""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from suite.doctor.line import Failed
from suite.doctor.values import Fault, Spoken

if TYPE_CHECKING:
    from collections.abc import Iterable

    from suite.doctor.line import Line

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADER_BYTES: Final = 9
_MAX_PAYLOAD_BYTES: Final = 16 * 1024
"""The largest frame that may be sent by default."""
ACK: Final = 0x1
END_STREAM: Final = 0x1
_END_HEADERS: Final = 0x4
_PING_OF_OURS: Final = b"presence"


class FrameType(enum.IntEnum):
    """The types of frames that are used here."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `stream` is 0 for the connection itself."""

    type: int
    flags: int = 0
    stream: int = 0
    payload: bytes = b""

    def encode(self) -> bytes:
        """Return the frame's bytes."""
        header = len(self.payload).to_bytes(3, "big") + bytes((self.type, self.flags)) + self.stream.to_bytes(4, "big")
        return header + self.payload


def headers(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return a header block in the plainest form of HPACK: literal, never indexed, not compressed.

    "Never indexed" keeps proxies in between from storing the key in their tables.
    """
    block = b""
    for name, value in pairs:
        block += b"\x10" + _string(name.encode("ascii")) + _string(value.encode("ascii"))
    return block


def _string(text: bytes) -> bytes:
    length, prefix = len(text), bytearray()
    if length < 0x7F:
        return bytes((length,)) + text
    prefix.append(0x7F)
    length -= 0x7F
    while length >= 0x80:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + text


class Http2:
    """One HTTP/2 connection. It answers the other side's pings and settings."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._data = b""

    def begin(self) -> None:
        """Send the preface."""
        self._line.send(_PREFACE + Frame(FrameType.SETTINGS).encode())

    def open(self, path: str, authority: str, pairs: Iterable[tuple[str, str]], message: bytes) -> None:
        """Begin a gRPC call on stream 1, send a message, and leave the request open."""
        request = [(":method", "POST"), (":scheme", "https"), (":path", path), (":authority", authority)]
        request += [("te", "trailers"), ("content-type", "application/grpc"), *pairs]
        self._line.send(Frame(FrameType.HEADERS, _END_HEADERS, 1, headers(request)).encode())
        self._line.send(Frame(FrameType.DATA, 0, 1, b"\x00" + len(message).to_bytes(4, "big") + message).encode())

    def ping(self) -> None:
        """Send a ping. Its answer is a frame for which `is_pong` is True."""
        self._line.send(Frame(FrameType.PING, payload=_PING_OF_OURS).encode())

    async def next(self) -> Frame:
        """Return the next frame. Settings and pings have been answered.

        Raises:
            Failed: the connection has ended, or the data is not HTTP/2.
        """
        frame = self._taken()
        while frame is None:
            data = await self._line.receive()
            if not data:
                raise Failed(Fault.CLOSED)
            self._data += data
            frame = self._taken()
        if frame.type == FrameType.SETTINGS and not frame.flags & ACK:
            self._line.send(Frame(FrameType.SETTINGS, ACK).encode())
        elif frame.type == FrameType.PING and not frame.flags & ACK:
            self._line.send(Frame(FrameType.PING, ACK, payload=frame.payload[:8]).encode())
        return frame

    def _taken(self) -> Frame | None:
        if len(self._data) < _HEADER_BYTES:
            if self._data.startswith(b"HTTP/1."):
                raise Failed(Fault.GARBLED)
            return None
        length = int.from_bytes(self._data[:3], "big")
        if length > _MAX_PAYLOAD_BYTES:  # the text "HTTP/1.1" read as a length is 4.7 MB
            raise Failed(Fault.GARBLED)
        if len(self._data) < _HEADER_BYTES + length:
            return None
        kind, flags, stream = self._data[3], self._data[4], int.from_bytes(self._data[5:9], "big") & 0x7FFFFFFF
        payload, self._data = self._data[9 : 9 + length], self._data[9 + length :]
        return Frame(kind, flags, stream, payload)


def is_pong(frame: Frame) -> bool:
    """Return True for the answer to our ping."""
    return frame.type == FrameType.PING and bool(frame.flags & ACK) and frame.payload == _PING_OF_OURS


async def speak(line: Line, within_s: float) -> Spoken:
    """Exchange settings and a ping."""
    spoken = Http2(line)
    has_settings = False
    try:
        async with asyncio.timeout(within_s):
            spoken.begin()
            has_settings = (await spoken.next()).type == FrameType.SETTINGS
            if not has_settings:
                return Spoken(has_settings=False, has_pong=False, fault=Fault.GARBLED)
            spoken.ping()
            while not is_pong(await spoken.next()):
                pass
    except TimeoutError:
        return Spoken(has_settings, has_pong=False, fault=Fault.SILENT)
    except Failed as failed:
        return Spoken(has_settings, has_pong=False, fault=failed.fault)
    return Spoken(has_settings=True, has_pong=True)
