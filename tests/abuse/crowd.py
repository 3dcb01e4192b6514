"""UnauthenticatedCalls by the thousand, in a process of their own so that they take nothing from whoever measures.

`python -m tests.abuse.crowd JSON` does what `Load` says within its time, all of it together, prints `under way` once every silent
connection was opened, and in the end a line of JSON: what it did.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

from tests.abuse.http2 import HEALTH_WATCH, PREFACE, REFLECTION, STREAM, WATCH, Kind, call, frame, peer, tls_of

_TRAILERS: Final = b"".join(b"x-%04d: %s\r\n" % (number, b"a" * 50) for number in range(1000))
_PATHS: Final = (HEALTH_WATCH, WATCH, REFLECTION, STREAM)
_STREAMS_A_CONNECTION: Final = 500
_SHARE_OF_TIME: Final = 0.8
_POURING: Final = 4
"""Connections that send trailers at the same time."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What strangers do.

    Attributes:
        edge: its port, which speaks TLS; so do the others.
        webhook: its port.
        web: its port.
        ca_pem: to trust.
        streams: opened without a key.
        silent: connections open at once that say nothing, a third of them to each port; closed ones are opened again.
        trailer_bytes: sent, half of them to the webhook and half to the pages.
        seconds: within which it all happens.
    """

    edge: int
    webhook: int
    web: int
    ca_pem: str
    streams: int
    silent: int
    trailer_bytes: int
    seconds: float


class Crowd:
    """Does it."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._tls = ssl.create_default_context(cadata=load.ca_pem)
        self._done: Counter[str] = Counter()
        self._began = time.monotonic()

    async def __call__(self) -> dict[str, int]:
        """What was done: streams opened, connections, bytes."""
        load = self._load
        ports = [load.edge, load.webhook, load.web]
        opened = [asyncio.Event() for _ in range(load.silent)]
        tasks = [asyncio.create_task(self._silent(ports[n % 3], n, opened[n])) for n in range(load.silent)]
        tasks += [asyncio.create_task(self._pour((load.webhook, load.web)[n % 2], n)) for n in range(_POURING)]
        tasks += [
            asyncio.create_task(self._streams(min(_STREAMS_A_CONNECTION, load.streams - first)))
            for first in range(0, load.streams, _STREAMS_A_CONNECTION)
        ]
        await asyncio.gather(*(one.wait() for one in opened))
        tell("under way")
        await asyncio.wait(tasks, timeout=self._left_s)
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, OSError):
                raise result
        return dict(self._done)

    @property
    def _left_s(self) -> float:
        return max(0.0, self._load.seconds - (time.monotonic() - self._began))

    async def _keep_pace(self, done: float) -> None:
        """Wait when this share of the work is ahead of its time; the last fifth of the time is left over."""
        due_s = self._load.seconds * _SHARE_OF_TIME * done
        await asyncio.sleep(max(0.0, due_s - (time.monotonic() - self._began)))

    async def _silent(self, port: int, number: int, opened: asyncio.Event) -> None:
        source = (f"127.0.20.{1 + number % 200}", 0)
        while self._left_s:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source)
                self._done["silent"] += 1
                opened.set()
                with suppress(OSError):
                    await reader.read()
                writer.transport.abort()
            opened.set()
            await asyncio.sleep(0.1)

    async def _streams(self, number: int) -> None:
        """A connection's share, evenly over the time; most of them are refused."""
        with suppress(OSError):
            async with peer(self._load.edge, greet=False, tls=tls_of(self._load.ca_pem.encode())) as one:
                one.send(PREFACE + frame(Kind.SETTINGS))
                one.listen()
                for n in range(number):
                    one.headers(2 * n + 1, call(_PATHS[n % len(_PATHS)]))
                    self._done["streams"] += 1
                    if not await one.flood(b""):
                        return
                    await self._keep_pace(n / number)
                await one.closed.wait()

    async def _pour(self, port: int, number: int) -> None:
        """A request with trailers without end, again and again, at a pace that spreads them over the time."""
        wanted, sent = self._load.trailer_bytes // _POURING, 0
        head = (
            f"POST /x HTTP/1.1\r\nHost: localhost:{port}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n".encode()
        )
        while sent < wanted and self._left_s:
            with suppress(OSError):
                source = (f"127.0.21.{1 + self._done['trailers'] % 200}", 0)
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=self._tls, local_addr=source)
                self._done["trailers"] += 1
                try:
                    writer.write(head)
                    while sent < wanted:
                        writer.write(_TRAILERS)
                        await writer.drain()
                        sent += len(_TRAILERS)
                        self._done["trailer_bytes"] += len(_TRAILERS)
                        await self._keep_pace(sent / wanted)
                finally:
                    writer.transport.abort()


def arguments(load: Load) -> list[str]:
    """The command that does it."""
    return [sys.executable, "-m", "tests.abuse.crowd", json.dumps(asdict(load))]


def tell(line: str) -> None:
    """To whoever started this."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    tell(json.dumps(asyncio.run(Crowd(Load(**json.loads(sys.argv[1])))())))
