"""Peers that do what a test says: raw datagrams, a server that answers by a function."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import cast

from suite.sip.errors import MalformedMessage
from suite.sip.message import SipMessage, SipRequest, SipResponse, parse_datagram
from suite.sip.transactions import branch_of
from tests.support.waiting import eventually

Script = Callable[[SipRequest], Iterable[SipMessage | bytes]]
"""A request -> what is sent back."""


class Peer(asyncio.DatagramProtocol):
    """A UDP socket. Requests are answered by a script; all that comes is kept.

    A request that is sent again, as slow machines do, is only counted: on loopback no answer is lost.
    """

    def __init__(self, script: Script) -> None:
        self.requests: list[SipRequest] = []
        self.responses: list[SipResponse] = []
        self.repeats = 0
        self._script = script
        self._seen = set[tuple[str, str]]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            message = parse_datagram(data)
        except MalformedMessage:
            return
        if isinstance(message, SipResponse):
            self.responses.append(message)
            return
        transaction = (branch_of(message), message.method)
        if transaction in self._seen:
            self.repeats += 1
            return
        self._seen.add(transaction)
        self.requests.append(message)
        for each in self._script(message):
            self.send(each, addr)

    @property
    def port(self) -> int:
        return cast("int", self._socket.get_extra_info("sockname")[1])

    def send(self, message: SipMessage | bytes, to: tuple[str, int]) -> None:
        self._socket.sendto(message if isinstance(message, bytes) else message.to_bytes(), to)

    async def answer(self, message: SipMessage | bytes, to: tuple[str, int]) -> SipResponse:
        """Send a request, and return the next response."""
        count = len(self.responses)
        self.send(message, to)
        return (await eventually(lambda: self.responses[count:]))[0]

    def close(self) -> None:
        self._socket.close()


def silent(_: SipRequest) -> list[SipMessage | bytes]:
    """Answer nothing."""
    return []


@asynccontextmanager
async def peer(script: Script = silent, host: str = "127.0.0.1") -> AsyncIterator[Peer]:
    _, made = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Peer(script), local_addr=(host, 0))
    try:
        yield made
    finally:
        made.close()
