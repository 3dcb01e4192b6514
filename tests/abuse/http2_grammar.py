"""A grammar of broken HTTP/2 as bytes: frames that lie, and whole conversations damaged. The same seed makes the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from hpack import Encoder

from tests.abuse.http2 import (
    END_HEADERS,
    END_STREAM,
    HEALTH_CHECK,
    HEALTH_WATCH,
    PREFACE,
    REFLECTION,
    STREAM,
    WATCH,
    Kind,
    call,
    frame,
    header_frames,
    message,
)

_PATHS: Final = [HEALTH_CHECK, HEALTH_WATCH, REFLECTION, STREAM, WATCH, "/", "", "/no.such/Method", "/" + "a" * 5000]
_STREAMS: Final = [0, 1, 1, 1, 2, 3, 5, 7, 99, 2**31 - 1]
_BEGINNINGS: Final = [
    b"", PREFACE[:10], PREFACE[:-1] + b"X", PREFACE * 2, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 100, b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + PREFACE,
]  # fmt: skip
_SETTINGS: Final = [
    b"", b"\0\x04\0\0\0\0", b"\0\x04\xff\xff\xff\xff", b"\0\x05\0\0\0\0", b"\0\x05\xff\xff\xff\xff", b"\0\x01\xff\xff\xff\xff",
    b"\0\x02\0\0\0\x01", b"\0\x03\0\0\0\0", b"\0\x06\0\0\0\x01", b"\xff\xff\0\0\0\x01" * 100, b"\0\x04\0",
]  # fmt: skip
_BLOCKS: Final = [
    b"\x80", b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x3f\xe1\xff\xff\xff\x0f", b"\x00\x7f\xff\xff\xff\xff\x0f", b"\x00\x81\xff\x00",
    b"\xbe" * 50, b"\x40\x00\x00", b"\x82" * 1000, b"",
]  # fmt: skip
"""Header lists that are none: an index of nothing, integers and lengths beyond all bounds, a table that grows."""


def conversation(random: Random) -> bytes:
    """What one connection sends."""
    if random.random() < 0.3:
        return _damaged(random, _well_formed(random))
    begun = PREFACE if random.random() < 0.85 else random.choice(_BEGINNINGS)
    if random.random() < 0.95:
        begun += frame(Kind.SETTINGS, random.choice(_SETTINGS))
    made = b"".join(random.choice(_MAKERS)(random) for _ in range(random.randrange(1, 20)))
    return _damaged(random, begun + made) if random.random() < 0.15 else begun + made


def _well_formed(random: Random) -> bytes:
    """A conversation by a library that knows how, to be damaged."""
    one = H2Connection(H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False))
    one.initiate_connection()
    for _ in range(random.randrange(1, 6)):
        stream = one.get_next_available_stream_id()
        one.send_headers(stream, call(random.choice(_PATHS)))
        one.send_data(stream, message(random.randbytes(random.randrange(200))), end_stream=random.random() < 0.5)
        if random.random() < 0.2:
            one.reset_stream(stream, random.randrange(20))
        if random.random() < 0.3:
            one.ping(random.randbytes(8))
    return one.data_to_send()


def _damaged(random: Random, text: bytes) -> bytes:
    found = bytearray(text)
    for _ in range(random.randrange(1, 5)):
        place = random.randrange(len(found) + 1)
        match random.randrange(4):
            case 0:
                found[place : place + 1] = random.randbytes(1)
            case 1:
                del found[place : place + random.randrange(1, 30)]
            case 2:
                found[place:place] = found[place : place + 60]
            case _:
                del found[place:]
    return bytes(found)


def _any_frame(random: Random) -> bytes:
    payload = random.randbytes(random.choice([0, 1, 4, 5, 8, 17, 300, 16_384]))
    made = frame(random.randrange(13), payload, random.choice(_STREAMS), random.randrange(256))
    if random.random() < 0.2:  # its length lies
        made = random.choice([0, 1, 7, 16_385, 2**24 - 1]).to_bytes(3) + made[3:]
    return made


def _call(random: Random) -> bytes:
    fields = call(random.choice(_PATHS), *[("x-a", "v" * random.choice([1, 100, 5000]))] * random.randrange(3))
    if random.random() < 0.3:
        random.shuffle(fields)
    if random.random() < 0.3:
        del fields[random.randrange(len(fields))]
    if random.random() < 0.3:
        bad = [
            ("", ""),
            (":path", "/"),
            ("Upper", "x"),
            ("x", "a\r\nb: c"),
            ("grpc-timeout", "-1n"),
            ("grpc-encoding", "gzip"),
            ("x-bin", "%"),
        ]
        fields.append(random.choice(bad))
    return b"".join(
        header_frames(
            _encoder().encode(fields, huffman=random.random() < 0.1),
            random.choice(_STREAMS),
            random.choice([END_HEADERS, 0, 5]),
        )
    )


def _continued(random: Random) -> bytes:
    """A header list that goes on, and perhaps never ends; or a continuation of nothing."""
    stream, block = random.choice(_STREAMS), _encoder().encode(call(HEALTH_WATCH), huffman=False)
    begun = frame(Kind.HEADERS, block, stream) if random.random() < 0.8 else b""
    return begun + frame(Kind.CONTINUATION, random.choice([b"", b"\x00\x01a\x01b" * 500]), stream) * random.randrange(
        1, 60
    )


def _trailers(random: Random) -> bytes:
    """A call, a message, and trailers again and again without an end."""
    stream, encoder = random.choice([1, 3, 5]), _encoder()
    made = frame(Kind.HEADERS, encoder.encode(call(random.choice(_PATHS[:5])), huffman=False), stream, END_HEADERS)
    made += frame(Kind.DATA, message(b""), stream)
    for number in range(random.randrange(1, 40)):
        flags = END_HEADERS | (END_STREAM if random.random() < 0.1 else 0)
        made += frame(Kind.HEADERS, encoder.encode([(f"x-{number}", "v" * 300)], huffman=False), stream, flags)
    return made


def _no_list(random: Random) -> bytes:
    return frame(
        Kind.HEADERS,
        random.choice(_BLOCKS) + random.randbytes(random.randrange(20)),
        random.choice(_STREAMS),
        END_HEADERS,
    )


def _data(random: Random) -> bytes:
    """Messages that lie about their length or are said to be compressed, and padding longer than its frame."""
    stream = random.choice(_STREAMS)
    match random.randrange(3):
        case 0:
            return frame(
                Kind.DATA,
                bytes([random.randrange(256)]) + random.randbytes(random.randrange(100)),
                stream,
                0x8 | END_STREAM,
            )
        case 1:
            return frame(Kind.DATA, message(b"x" * 100, random.choice([0, 1, 99, 101, 2**22, 2**32 - 1])), stream)
        case _:
            return frame(Kind.DATA, b"\x01" + message(random.randbytes(50))[1:], stream, END_STREAM)


def _control(random: Random) -> bytes:
    """Frames about the connection and its windows, many of the wrong size or for the wrong stream."""
    stream = random.choice(_STREAMS)
    return random.choice(
        [
            frame(Kind.WINDOW_UPDATE, b"\0\0\0\0", stream),
            frame(Kind.WINDOW_UPDATE, b"\x7f\xff\xff\xff", stream) * 2,
            frame(Kind.SETTINGS, random.choice(_SETTINGS), random.choice([0, 1])),
            frame(Kind.SETTINGS, b"\0\x04\0\0\0\0", 0, 1),
            frame(Kind.PING, random.randbytes(random.choice([0, 7, 8, 9])), random.choice([0, 1]))
            * random.choice([1, 50]),
            frame(
                Kind.PUSH_PROMISE, b"\0\0\0\x02" + _encoder().encode(call(WATCH), huffman=False), stream, END_HEADERS
            ),
            frame(Kind.RST_STREAM, b"\0\0\0\x08", stream),
            frame(Kind.RST_STREAM, b"\0", stream),
            frame(Kind.GOAWAY, random.randbytes(random.choice([0, 8, 200]))),
            frame(Kind.PRIORITY, b"\0\0\0\x01\xff", stream),
            frame(Kind.PRIORITY, stream.to_bytes(4) + b"\x00", stream),
        ]
    )


def _encoder() -> Encoder:
    encoder = Encoder()
    encoder.header_table_size = 0
    return encoder


_MAKERS: Final[list[Callable[[Random], bytes]]] = [
    _any_frame, _call, _call, _call, _continued, _trailers, _no_list, _data, _data, _control, _control,
]  # fmt: skip
