"""A grammar of broken HTTP: requests that are nearly right, as bytes. The same seed makes the same requests."""

from __future__ import annotations

from random import Random

_METHODS = [
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"CONNECT",
    b"OPTIONS",
    b"PRI",
    b"get",
    b"",
    b"G\x00T",
    b"M-SEARCH",
    b"A" * 300,
]
_TARGETS = [
    b"/", b"/onboarding", b"/onboarding/static/x", b"/notifications/x", b"*", b"", b"http://elsewhere/x", b"//", b"/%00", b"/%zz",
    b"/%e2%82", b"/\xff", b"/?" + b"a=b&" * 200, b"/../../etc/passwd", b"hook:443", b"/" + b"a" * 5000, b"/?validationToken=%0d%0aX:1",
]  # fmt: skip
_VERSIONS = [b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.", b"", b"HTTPS/1.1", b"HTTP/9.9"]
_LINE_ENDS = [b"\r\n"] * 8 + [b"\n", b"\r", b"\r\r\n", b""]
_FIELDS = [
    b"Host: localhost", b"Host: a\r\nHost: b", b"Host:", b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: -1",
    b"Content-Length: 99999999999999999999", b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: 0x5", b"Content-Length: 1e9",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: chunked\r\nContent-Length: 3", b"Expect: 100-continue", b"Expect: tea",
    b"Connection: close", b"Connection: keep-alive, upgrade", b"Connection: upgrade\r\nUpgrade: websocket",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk", b"Cookie: " + b"a=b; " * 500, b": no name",
    b"X: \x00", b"X: \xff\xfe", b" folded", b"X y: 1", b"X" * 9000 + b": 1", b"Accept-Language: " + b"it;q=0.1," * 300,
    b"Content-Type: application/x-www-form-urlencoded", b"X-Forwarded-For: ::1, 256.1.1.1", b"Origin: null", b"Range: bytes=0-,1-",
    b"If-Modified-Since: never", b"Sec-Purpose: prefetch",
]  # fmt: skip
_BODIES = [
    b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhel", b"FFFFFFFFFFFFFFFFF\r\n", b"-1\r\n", b"5;x=\"y\r\nhello\r\n0\r\n\r\n",
    b"0\r\nX: y\r\n\r\n", b"0\r\n" + b"X: y\r\n" * 50, b"1\r\nab\r\n0\r\n\r\n", b"a=" + b"%ff" * 1000, b"\x00" * 70_000, b"{" * 5000,
    b'{"value": [{}], "validationTokens": ["a.b.c"]}', b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]  # fmt: skip


def request(random: Random, honest: bytes) -> bytes:
    """One request, or several on a connection; sometimes an honest head with something wrong after it."""
    if random.random() < 0.4:
        head = honest + b"".join(random.choice(_FIELDS) + b"\r\n" for _ in range(random.randrange(3)))
    else:
        start = b" ".join([random.choice(_METHODS), random.choice(_TARGETS), random.choice(_VERSIONS)])
        lines = [start, *(random.choice(_FIELDS) for _ in range(random.randrange(6)))]
        head = b"".join(line + random.choice(_LINE_ENDS) for line in lines)
    found = head + random.choice(_LINE_ENDS) + random.choice(_BODIES)
    if random.random() < 0.3:
        found = _damaged(random, found)
    if random.random() < 0.2:
        found += request(random, honest)
    return found


def _damaged(random: Random, text: bytes) -> bytes:
    """A few bytes changed, taken out, put twice; or the end cut off."""
    found = bytearray(text)
    for _ in range(random.randrange(1, 4)):
        place = random.randrange(len(found) + 1)
        match random.randrange(4):
            case 0:
                found[place : place + 1] = bytes([random.randrange(256)])
            case 1:
                del found[place : place + random.randrange(1, 20)]
            case 2:
                found[place:place] = found[place : place + 50]
            case _:
                del found[place:]
    return bytes(found)
