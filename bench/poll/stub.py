"""A stub of Graph's bulk read: a thousand requests a second, with only the necessary behaviour."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from typing import TYPE_CHECKING, Final

import msgspec
import trustme

from bench.processes import message
from relay.ops import loop

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_STATES: Final = (("Available", "Available"), ("Busy", "InACall"), ("Away", "Away"), ("Busy", "InAMeeting"))


class _Asked(msgspec.Struct):
    ids: list[str]


class _Page:
    """One set of users: their entries, and the answer made from them."""

    def __init__(self, ids: list[str]) -> None:
        self._ids = ids
        self._versions = [0] * len(ids)
        self._entries = [self._entry(n) for n in range(len(ids))]
        self._turn = 0
        self.answer = self._encode()

    def change(self, share: float) -> None:
        """Change the presence of a share of the users."""
        count = round(share * len(self._ids))
        for step in range(count):
            n = (self._turn + step) % len(self._ids)
            self._versions[n] += 1
            self._entries[n] = self._entry(n)
        self._turn += count
        self.answer = self._encode()

    def _entry(self, n: int) -> str:
        version = self._versions[n]
        availability, activity = _STATES[(n + version) % len(_STATES)]
        return (
            f'{{"id":"{self._ids[n]}","availability":"{availability}","activity":"{activity}","statusMessage":null,'
            f'"outOfOfficeSettings":{{"message":"","isOutOfOffice":false}},"sequenceNumber":"A{version:010d}"}}'
        )

    def _encode(self) -> bytes:
        context = "https://graph.microsoft.com/v1.0/$metadata#Collection(microsoft.graph.presence)"
        body = f'{{"@odata.context":"{context}","value":[{",".join(self._entries)}]}}'.encode()
        packed = gzip.compress(body, 6)
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Encoding: gzip\r\n"
            f"Content-Length: {len(packed)}\r\n\r\n"
        )
        return head.encode() + packed


class _Stub:
    def __init__(self) -> None:
        self.share = 0.0
        self._pages: dict[str, _Page] = {}
        self._decode = msgspec.json.Decoder(_Asked).decode

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                _, _, rest = head.partition(b"content-length:")
                body = await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
                writer.write(self._answer(body))
        except asyncio.IncompleteReadError:
            writer.close()

    def _answer(self, body: bytes) -> bytes:
        ids = self._decode(body).ids
        page = self._pages.get(ids[0])
        if page is None:
            page = self._pages[ids[0]] = _Page(ids)
        elif self.share:
            page.change(self.share)
        return page.answer


def serve(pipe: Connection) -> None:
    """Run the stub; send its address and its CA. A message sets the share of users that change between two reads."""
    loop.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    authority, stub = trustme.CA(), _Stub()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0, ssl=context, limit=1 << 20)
    port = server.sockets[0].getsockname()[1]
    pipe.send((f"https://127.0.0.1:{port}", authority.cert_pem.bytes().decode()))
    while True:
        (stub.share,) = await message(pipe)
        pipe.send(None)
