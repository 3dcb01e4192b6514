"""Phones: each watches a list over a TCP connection of its own, answers every NOTIFY, and notes when each change came to the last of them."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Final

from bench.phones.serving import STAMP
from bench.processes import message
from suite.sip.headers import Headers
from suite.sip.message import SipRequest, StreamParser
from suite.sip.replies import reply

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_STAMPED: Final = re.compile(STAMP + rb"(\d+\.\d{6})")


def watch(pipe: Connection, port: int, phones: int, colleagues: int) -> None:
    """Open phones. Messages: ("told",) is answered when all were told all colleagues; ("came",) with stamp -> (phones, when to the last)."""
    asyncio.run(_watch(pipe, port, phones, colleagues))


async def _watch(pipe: Connection, port: int, phones: int, colleagues: int) -> None:
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda number=number: _Phone(number, port, colleagues), "127.0.0.1", port))[1]
        for number in range(phones)
    ]
    while True:
        (order,) = await message(pipe)
        if order == "told":
            await asyncio.gather(*(each.whole.wait() for each in opened))
        pipe.send(_Phone.came)
        _Phone.came = {}


class _Phone(asyncio.Protocol):
    """One phone."""

    came: dict[float, tuple[int, float]] = {}  # noqa: RUF012  of all phones of this process

    def __init__(self, number: int, port: int, colleagues: int) -> None:
        self.whole = asyncio.Event()
        self._left = colleagues
        self._number = number
        if not colleagues:
            self.whole.set()
        self._port = port
        self._parser = StreamParser()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Subscribe."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host, port = transport.get_extra_info("sockname")
        headers = Headers.of(
            ("Via", f"SIP/2.0/TCP {host}:{port};branch=z9hG4bKbench{self._number};rport"),
            ("From", f"<sip:phone{self._number}@pbx.example>;tag=phone{self._number}"),
            ("To", "<sip:everyone@pbx.example>"),
            ("Call-ID", f"bench{self._number}"),
            ("CSeq", "1 SUBSCRIBE"),
            ("Contact", f"<sip:phone@{host}:{port};transport=tcp>"),
            ("Event", "presence"),
            ("Supported", "eventlist"),
            ("Expires", "3600"),
        )
        request = SipRequest(method="SUBSCRIBE", uri="sip:everyone@pbx.example", headers=headers)
        transport.write(request.to_bytes())

    def data_received(self, data: bytes) -> None:
        """Answer NOTIFYs, and note the stamps of changes."""
        now = time.time()
        for each in self._parser.feed(data):
            if not isinstance(each, SipRequest):
                continue
            self._transport.write(reply(each, 200, "OK").to_bytes())
            self._left -= each.body.count(b"<presence ")
            if self._left <= 0:
                self.whole.set()
            for found in set(_STAMPED.findall(each.body)):
                stamp = float(found)
                _Phone.came[stamp] = (_Phone.came.get(stamp, (0, 0.0))[0] + 1, now)
