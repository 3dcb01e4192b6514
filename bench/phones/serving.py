"""The SIP server with a board that changes on time; and the peer: whoever writes finished messages to connections, without rule or state."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from ipaddress import ip_network
from itertools import cycle
from typing import TYPE_CHECKING, Final

from bench.processes import message
from suite.agent.board import Board
from suite.agent.core.values import RichState, RichStatement, SourceName
from suite.agent.settings.groups.sip_server import SipAddress, SipServerSettings
from suite.agent.sipserver.server import PhoneServer
from suite.agent.users.reading import Colleague
from suite.names import key_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from suite.names import Key

STAMP: Final = b"at "
"""Stands before the time of a change, in the note."""
_LOOPBACK: Final = (ip_network("127.0.0.0/8"),)
_NOTIFY_BYTES: Final = 1900
"""Of one NOTIFY of the SIP server for one change, so that the peer's are as long."""


def serve(pipe: Connection, port: int, colleagues: int) -> None:
    """Serve phones. Messages: (changes a second, seconds) plays changes, and is answered with their number."""
    asyncio.run(_serve(pipe, port, colleagues))


async def _serve(pipe: Connection, port: int, colleagues: int) -> None:
    notes: dict[Key, str] = {}
    board = Board(SourceName.TEAMS)
    board.set_colleagues(
        [Colleague(login=f"login{number}", extension=str(1000 + number)) for number in range(colleagues)]
    )
    address = SipAddress(protocol="tcp", host="127.0.0.1", port=port)
    settings = SipServerSettings(addresses=(address,), networks=_LOOPBACK, servers=_LOOPBACK, per_s=0)
    server = PhoneServer(settings, board, lambda key: notes.get(key, ""))
    states = cycle((RichState.AVAILABLE, RichState.BUSY))
    names = cycle([key_of(f"login{number}") for number in range(colleagues)])

    def change(stamp: str) -> None:
        key = next(names)
        notes[key] = stamp
        board.state_rich(key, SourceName.TEAMS, RichStatement(state=next(states)))
        board.note_changed(board.entries[key].subject)

    for _ in range(colleagues):
        board.state_rich(next(names), SourceName.TEAMS, RichStatement(state=RichState.AWAY))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        await _play(pipe, change)


def write(pipe: Connection, port: int, _colleagues: int) -> None:
    """Serve as the peer does."""
    asyncio.run(_write(pipe, port))


async def _write(pipe: Connection, port: int) -> None:
    connections: set[asyncio.StreamWriter] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        with suppress(OSError):
            while await reader.read(65_536):
                pass

    def change(stamp: str) -> None:
        body = stamp.encode() + b"<"
        head = (
            b"NOTIFY sip:phone@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKbare\r\nFrom: <sip:a@b>;tag=a\r\n"
            b"To: <sip:c@d>;tag=c\r\nCall-ID: bare\r\nCSeq: 1 NOTIFY\r\nContent-Length: "
        )
        size = _NOTIFY_BYTES - len(head) - 8
        for each in connections:
            each.write(head + str(size).encode() + b"\r\n\r\n" + body.ljust(size))

    async with await asyncio.start_server(connected, "127.0.0.1", port):
        await _play(pipe, change)


async def _play(pipe: Connection, change: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    pipe.send("serving")
    while True:
        rate, seconds = await message(pipe)
        began, count = loop.time(), round(rate * seconds)
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
            change(f"{STAMP.decode()}{time.time():.6f}")
        pipe.send(count)
