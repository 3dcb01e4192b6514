"""Phones, which watch a list over a TCP connection each, answer every NOTIFY, and record when each change reached the last of them."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from bench.processes import message

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_RESOURCE: Final = re.compile(rb'<resource uri="sip:(\d+)@')
_LENGTH: Final = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_COPIED: Final = re.compile(rb"(?im)^(?:via|from|to|call-id|cseq):[^\r\n]*")

Came = dict[tuple[int, int], tuple[int, float]]
"""(extension, number of its earlier changes) -> (number of phones notified, time of the last)."""


def watch(pipe: Connection, port: int, phones: int, colleagues: int) -> None:
    """Open phones. Messages: ("told",) is answered when all phones have all colleagues; ("came",) with the changes since."""
    asyncio.run(_watch(pipe, port, phones, colleagues))


async def _watch(pipe: Connection, port: int, phones: int, colleagues: int) -> None:
    loop = asyncio.get_running_loop()
    opened: list[_Phone] = []
    for number in range(phones):
        phone = _Phone(number, colleagues)
        await loop.create_connection(lambda phone=phone: phone, "127.0.0.1", port)  # type: ignore[misc]
        opened.append(phone)
    while True:
        (order,) = await message(pipe)
        if order == "told":
            await asyncio.gather(*(each.whole.wait() for each in opened))
        pipe.send(_Phone.came)
        _Phone.came = {}
        for each in opened:
            each.changes.clear()


class _Phone(asyncio.Protocol):
    """One phone."""

    came: Came = {}  # noqa: RUF012  of all phones of this process

    def __init__(self, number: int, colleagues: int) -> None:
        self.whole = asyncio.Event()
        self.changes: Counter[int] = Counter()
        self._left = colleagues
        self._number = number
        self._rest = b""
        if not colleagues:
            self.whole.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Subscribe."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host, port = transport.get_extra_info("sockname")
        number = self._number
        lines = (
            "SUBSCRIBE sip:everyone@pbx.example SIP/2.0",
            f"Via: SIP/2.0/TCP {host}:{port};branch=z9hG4bKbench{number};rport",
            f"From: <sip:phone{number}@pbx.example>;tag=phone{number}",
            "To: <sip:everyone@pbx.example>",
            f"Call-ID: bench{number}",
            "CSeq: 1 SUBSCRIBE",
            "Max-Forwards: 70",
            f"Contact: <sip:phone@{host}:{port};transport=tcp>",
            "Event: presence",
            "Supported: eventlist",
            "Expires: 3600",
            "Content-Length: 0",
        )
        transport.write("\r\n".join([*lines, "", ""]).encode())

    def data_received(self, data: bytes) -> None:
        """Split the bytes into messages."""
        now = time.time()
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length is not None else 0)
            if len(self._rest) < whole:
                return
            body, self._rest = self._rest[end + 4 : whole], self._rest[whole:]
            if head.startswith(b"NOTIFY"):
                self._notified(head, body, now)

    def _notified(self, head: bytes, body: bytes, now: float) -> None:
        """Answer a NOTIFY, and record its changes."""
        answer = [b"SIP/2.0 200 OK", *_COPIED.findall(head), b"Content-Length: 0", b"", b""]
        self._transport.write(b"\r\n".join(answer))
        if not self.whole.is_set():
            self._left -= body.count(b"<presence ")
            if self._left <= 0:
                self.whole.set()
            return
        for extension in map(int, _RESOURCE.findall(body)):
            change = extension, self.changes[extension]
            self.changes[extension] += 1
            _Phone.came[change] = (_Phone.came.get(change, (0, 0.0))[0] + 1, now)
