"""A presence server in memory, on TCP, with only the SIP that the benchmark needs: all users are in one state.

It counts SUBSCRIBEs, and answers 481 for subscriptions of an earlier process.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from typing import TYPE_CHECKING, Final

from bench.processes import message

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_END: Final = b"\r\n\r\n"
_BODY: Final = (
    '<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" '
    'xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:everybody@bench"><tuple id="a"><status><basic>open</basic>'
    '</status></tuple><dm:person id="p"><rpid:activities>{}</rpid:activities></dm:person></presence>'
)


def serve(pipe: Connection, port: int, activity: str) -> None:
    """Serve on a port of loopback; send a message when ready. Answer any message with the times of all SUBSCRIBEs so far."""
    asyncio.run(_serve(pipe, _Server(activity), port))


async def _serve(pipe: Connection, server: _Server, port: int) -> None:
    async with await asyncio.start_server(server.connected, "127.0.0.1", port):
        pipe.send("serving")
        while True:
            await message(pipe)
            pipe.send(server.times)


class _Server:
    def __init__(self, activity: str) -> None:
        self.times: list[float] = []
        self._body = _BODY.format(f"<rpid:{activity}/>" if activity else "")
        self._tag = f"life{time.time_ns()}"
        self._branches = itertools.count()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it ends."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(_END)).decode().strip("\r\n")
                if not head:
                    writer.write(b"\r\n")  # the answer to a ping
                    continue
                line, *rest = head.split("\r\n")
                fields = [
                    (name.strip().lower(), value.strip()) for name, _, value in (each.partition(":") for each in rest)
                ]
                await reader.readexactly(int(dict(fields).get("content-length", "0")))
                if line.startswith("SUBSCRIBE "):
                    self.times.append(time.time())
                    writer.write("".join(self._answers(fields)).encode())
                    await writer.drain()

    def _answers(self, fields: list[tuple[str, str]]) -> list[str]:
        said = dict(fields)
        vias = [f"Via: {value}" for name, value in fields if name == "via"]
        copied = [*vias, f"From: {said['from']}", f"Call-ID: {said['call-id']}", f"CSeq: {said['cseq']}"]
        if "tag=" in said["to"] and self._tag not in said["to"]:
            return [_message("SIP/2.0 481 Subscription Does Not Exist", [*copied, f"To: {said['to']}"])]
        to = said["to"] if "tag=" in said["to"] else f"{said['to']};tag={self._tag}"
        expires = said.get("expires", "3600")
        contact = "Contact: <sip:server@127.0.0.1;transport=tcp>"
        state = f"active;expires={expires}" if expires != "0" else "terminated;reason=timeout"
        number = said["cseq"].split()[0]
        notify = [
            f"Via: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKbench{next(self._branches)}", "Max-Forwards: 70",
            f"From: {to}", f"To: {said['from']}", f"Call-ID: {said['call-id']}", f"CSeq: {number} NOTIFY", contact,
            "Event: presence", f"Subscription-State: {state}", "Content-Type: application/pidf+xml",
        ]  # fmt: skip
        return [
            _message("SIP/2.0 200 OK", [*copied, f"To: {to}", contact, f"Expires: {expires}"]),
            _message("NOTIFY sip:suite@127.0.0.1 SIP/2.0", notify, self._body),
        ]


def _message(line: str, fields: list[str], body: str = "") -> str:
    return "\r\n".join([line, *fields, f"Content-Length: {len(body)}", "", body])
