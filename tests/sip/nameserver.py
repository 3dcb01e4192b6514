"""A name server on loopback, which knows SRV records only."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


@dataclass(eq=False)
class NameServer(asyncio.DatagramProtocol):
    """Answers by `records`: name -> the text of its records. `rcode` is answered instead, if it is set."""

    records: dict[str, Sequence[str]] = field(default_factory=dict)
    rcode: dns.rcode.Rcode | None = None
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def address(self) -> tuple[str, int]:
        return cast("tuple[str, int]", self._socket.get_extra_info("sockname"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text(omit_final_dot=True)
        self.asked[name] += 1
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if self.rcode is not None:
            response.set_rcode(self.rcode)
        elif name not in self.records:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif self.records[name]:
            response.answer.append(dns.rrset.from_text(f"{name}.", 300, "IN", "SRV", *self.records[name]))
        self._socket.sendto(response.to_wire(), addr)

    def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def nameserver(records: dict[str, Sequence[str]]) -> AsyncIterator[NameServer]:
    loop = asyncio.get_running_loop()
    _, made = await loop.create_datagram_endpoint(lambda: NameServer(records), local_addr=("127.0.0.1", 0))
    try:
        yield made
    finally:
        made.close()
