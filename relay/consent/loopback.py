"""Receives the answer of a sign-in on this machine, which the browser posts to `http://localhost:…`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from relay.http.paths import CALLBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_MOST_BYTES: Final = 64 * 1024  # codes and error texts together stay below 10 KB
_REQUEST_S: Final = 10.0

_DONE: Final = "Thank you. You may close this page and go back to the command line."
_ELSEWHERE: Final = "Nothing is here."


@asynccontextmanager
async def answer_at(port: int) -> AsyncIterator[asyncio.Future[dict[str, str]]]:
    """Listen on localhost, and yield a future with the fields of the first answer that is posted to `CALLBACK`.

    Raises:
        OSError: the port is taken.
    """
    answer: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_S):
                fields = await _posted(reader)
            if fields and not answer.done():
                answer.set_result(fields)
            writer.write(_page(_DONE if fields else _ELSEWHERE, "200 OK" if fields else "404 Not Found"))
            await writer.drain()
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError, ValueError):
            pass  # not the browser's answer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    # By name, to listen on both loopback addresses: browsers may use either.
    server = await asyncio.start_server(serve, "localhost", port, limit=_MOST_BYTES)
    try:
        yield answer
    finally:
        server.close()
        await server.wait_closed()


async def _posted(reader: asyncio.StreamReader) -> dict[str, str]:
    """Return the form's fields; empty when this is not the answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request, _, rest = head.partition("\r\n")
    method, path, *_ = [*request.split(" "), "", ""]
    if method != "POST" or path.partition("?")[0] != CALLBACK:
        return {}
    headers = dict(line.lower().split(":", 1) for line in rest.splitlines() if ":" in line)
    length = int(headers.get("content-length", "0"))
    if not 0 < length <= _MOST_BYTES:
        return {}
    return dict(parse_qsl((await reader.readexactly(length)).decode()))


def _page(text: str, status: str) -> bytes:
    body = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Presence relay</title><p>{text}</p></html>'.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n".encode() + body
