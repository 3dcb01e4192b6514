"""A manager of Asterisk that does what a test says: it answers as a real one was recorded to answer, and has its faults.

Recorded from Asterisk 16.28.0~dfsg-0+deb11u4 (Debian 11): the banner, the answers to Challenge, Login, Setvar, Ping and lists.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.support.valkey import free_port

USER, SECRET = "presence", "ami-secret-of-the-test"
_DEVICE_STATES = {"NOT_INUSE", "INUSE", "BUSY", "INVALID", "UNAVAILABLE", "RINGING", "RINGINUSE", "ONHOLD"}
"""A real one refuses to set UNKNOWN."""
BANNER = b"Asterisk Call Manager/5.0.4\r\n"


@dataclass(slots=True)
class StandInManager:
    """One manager. Its states survive `stop` and `start`, as Asterisk keeps custom states.

    Attributes:
        states: variable -> value.
        actions: all actions that came, by name, fields in small letters.
        logins: accepted and refused ones.
        refused_variables: variables that it does not know, as while Asterisk starts.
        permitted: False for a user without `write = call`.
        has_challenge: False for one that answers Challenge with an error.
        answers: False for one that reads and says nothing any more.
        pieces: bytes a write of an answer; 0 writes it whole.
        noise: bytes that come before each answer, such as events.
        ping: the answer to Ping: the response, and further lines.
    """

    port: int = field(default_factory=free_port)
    tls: ssl.SSLContext | None = None
    secret: str = SECRET
    banner: bytes = BANNER
    states: dict[str, str] = field(default_factory=dict)
    changes: list[tuple[str, str]] = field(default_factory=list)
    actions: list[dict[str, str]] = field(default_factory=list)
    logins: list[bool] = field(default_factory=list)
    refused_variables: set[str] = field(default_factory=set)
    permitted: bool = True
    has_challenge: bool = True
    answers: bool = True
    pieces: int = 0
    noise: bytes = b""
    ping: tuple[str, ...] = ("Success", "Ping: Pong", "Timestamp: 1795981386.519882")
    connections: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        await self._server.wait_closed()

    def drop(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def named(self, action: str) -> list[dict[str, str]]:
        return [each for each in self.actions if each["action"] == action]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            writer.write(self.banner)
            challenge, user = "155865346", ""
            while True:
                fields: dict[str, str] = {}
                while line := (await reader.readuntil(b"\r\n")).decode().rstrip("\r\n"):
                    name, _, value = line.partition(": ")
                    fields[name.lower()] = value
                self.actions.append(fields)
                answer = self._answer(fields, challenge, user)
                if fields["action"] == "Login" and answer.startswith("Response: Success"):
                    user = fields["username"]
                if self.answers:
                    await self._write(writer, answer)
                if fields["action"] == "Login" and not user:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            with suppress(OSError):
                writer.close()
                await writer.wait_closed()

    async def _write(self, writer: asyncio.StreamWriter, answer: str) -> None:
        data = self.noise + answer.encode()
        step = self.pieces or len(data)
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])
            await writer.drain()
            await asyncio.sleep(0)

    def _answer(self, fields: dict[str, str], challenge: str, user: str) -> str:
        action_id = fields["actionid"]

        def said(response: str, *lines: str) -> str:
            return "\r\n".join([f"Response: {response}", f"ActionID: {action_id}", *lines, "", ""])

        match fields["action"]:
            case "Challenge" if self.has_challenge:
                return said("Success", f"Challenge: {challenge}")
            case "Challenge":
                return said("Error", "Message: Must specify AuthType")
            case "Login":
                proof = hashlib.md5((challenge + self.secret).encode()).hexdigest()
                right = fields.get("key") == proof or fields.get("secret") == self.secret
                self.logins.append(right and fields["username"] == USER)
                if self.logins[-1]:
                    return said("Success", "Message: Authentication accepted")
                return said("Error", "Message: Authentication failed")
            case "Ping":
                return said(*self.ping)
            case "Setvar" if user and self.permitted:
                variable, value = fields["variable"], fields["value"]
                is_known = value in _DEVICE_STATES if variable.startswith("DEVICE_STATE") else value != "nonsense"
                if not is_known or any(variable.startswith(each) for each in self.refused_variables):
                    return said("Error", "Message: Variable not set")
                self.states[variable] = value
                self.changes.append((variable, value))
                return said("Success", "Message: Variable Set")
            case "DeviceStateList" | "PresenceStateList" as listed if user and self.permitted:
                return said("Success", "EventList: start") + self._list(listed.removesuffix("List"), action_id)
        return said("Error", "Message: Permission denied")

    def _list(self, event: str, action_id: str) -> str:
        function, name_field = (
            ("DEVICE_STATE(", "Device") if event == "DeviceState" else ("PRESENCE_STATE(", "Presentity")
        )
        state_field = "State" if event == "DeviceState" else "Status"
        told = [
            f"Event: {event}Change\r\nActionID: {action_id}\r\n{name_field}: {variable[len(function) : -1]}\r\n"
            f"{state_field}: {value.partition(',')[0]}\r\n\r\n"
            for variable, value in self.states.items()
            if variable.startswith(function)
        ]
        ended = f"Event: {event}ListComplete\r\nActionID: {action_id}\r\nEventList: Complete\r\nListItems: 1\r\n\r\n"
        return "".join(told) + ended


@asynccontextmanager
async def running(made: StandInManager) -> AsyncIterator[StandInManager]:
    """Run one while the context lasts."""
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
