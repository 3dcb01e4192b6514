"""Connect through an HTTP proxy with CONNECT, as gRPC does."""

from __future__ import annotations

import asyncio
import base64
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from suite.doctor.line import Failed
from suite.doctor.values import Fault, Proxied

if TYPE_CHECKING:
    from datetime import datetime

    from suite.doctor.line import Line
    from suite.proxy import Proxy

_MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_VALUE_CHARS: Final = 200
_STATUS: Final = re.compile(r"HTTP/1\.[01] (\d{3})\b")


def endpoint(proxy: Proxy) -> tuple[str, int]:
    """Return the host and port of a proxy."""
    parts = urlsplit(proxy.url)
    return parts.hostname or "", parts.port or 80


async def ask_to_connect(line: Line, proxy: Proxy, address: str, within_s: float) -> Proxied:
    """Send CONNECT and return the answer. After status 200, the line is a tunnel to the address."""
    userinfo, at, _ = urlsplit(proxy.url).netloc.rpartition("@")
    login = ""
    if at:
        encoded = base64.b64encode(unquote(userinfo).encode()).decode()
        login = f"Proxy-Authorization: Basic {encoded}\r\n"
    line.send(f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n{login}\r\n".encode())
    try:
        async with asyncio.timeout(within_s):
            head = await _head(line)
    except TimeoutError:
        return Proxied(proxy.shown, bool(at), fault=Fault.SILENT)
    except Failed as failed:
        return Proxied(proxy.shown, bool(at), fault=failed.fault)
    return _answer(head, proxy.shown, has_login=bool(at))


async def _head(line: Line) -> bytes:
    """Return the answer up to its empty line. Nothing follows it, because the client sends a tunnel's first bytes."""
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        data = await line.receive()
        if not data:
            raise Failed(Fault.GARBLED if head else Fault.CLOSED)
        head += data
        if not head.startswith(b"HTTP/1."[: len(head)]) or len(head) > _MAX_HEAD_BYTES:
            raise Failed(Fault.GARBLED)
    return head


def _answer(head: bytes, shown: str, *, has_login: bool) -> Proxied:
    first, *lines = head.decode("latin-1").replace("\r\n", "\n").partition("\n\n")[0].split("\n")
    status = _STATUS.match(first)
    if status is None:
        return Proxied(shown, has_login, fault=Fault.GARBLED)
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), []).append(value.strip()[:_MAX_VALUE_CHARS])
    schemes = [value.split()[0] for value in headers.get("proxy-authenticate", []) if value.split()]
    return Proxied(
        shown,
        has_login,
        status=int(status[1]),
        schemes=tuple(dict.fromkeys(schemes)),
        server=(headers.get("server") or headers.get("via") or headers.get("proxy-agent") or [""])[0],
        date=read_date((headers.get("date") or [""])[0]),
    )


def read_date(text: str) -> datetime | None:
    """Parse an HTTP `Date` header; None when it is invalid or has no time zone."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo is not None else None
