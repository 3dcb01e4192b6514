"""A connection to a manager of Asterisk: login without sending the secret, actions answered in any order, events, pings."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from typing import TYPE_CHECKING, Final

from suite.agent.feeds.ami import AmiClosed, AmiDenied, AmiReader, AmiRefused, answer_to, write_action
from suite.agent.settings.kinds import is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from suite.agent.feeds.ami import AmiMessage

CONNECT_S: Final = 10.0
ANSWER_S: Final = 10.0
"""Timeout of an action in seconds, which ends the connection: Asterisk answers in milliseconds."""
PING_S: Final = 20.0
"""Seconds between two pings."""
_CHUNK: Final = 64 * 1024
_LONGEST_BANNER: Final = 200
_MOST_UNSENT: Final = 64 * 1024
_MOST_LISTED: Final = 200_000
_MOST_LISTED_CHARS: Final = 64 * 1024 * 1024


class AmiLink:
    """A connection that is logged in. `opened` makes one."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_event: Callable[[AmiMessage], None],
        answer_s: float,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        self._answer_s = answer_s
        self._messages = AmiReader()
        self._waiting: dict[str, asyncio.Future[AmiMessage]] = {}
        self._lists: dict[str, asyncio.Queue[AmiMessage]] = {}
        self._count = 0
        self._broken: AmiClosed | None = None
        self.is_encrypted = writer.get_extra_info("ssl_object") is not None

    async def listing(self, action: str) -> list[AmiMessage]:
        """Carry out an action whose answer is a list of events, and return the events.

        Raises:
            AmiRefused: the manager does not carry it out.
            AmiClosed: the connection is lost, or the list did not end in time, or is too long.
        """
        self._count += 1
        action_id = str(self._count)
        queue: asyncio.Queue[AmiMessage] = asyncio.Queue()
        self._lists[action_id] = queue
        found: list[AmiMessage] = []
        size = 0
        try:
            await self._carry_out(action, action_id, {})
            async with asyncio.timeout(6 * self._answer_s):
                while (message := await queue.get()).get("eventlist").lower() != "complete":
                    found.append(message)
                    size += message.size
                    if len(found) > _MOST_LISTED or size > _MOST_LISTED_CHARS:
                        raise AmiClosed("Asterisk's list of states is too long.")
        except TimeoutError:
            raise AmiClosed(f"Asterisk does not end its list within {6 * self._answer_s:g} seconds.") from None
        finally:
            del self._lists[action_id]
        return found

    async def action(self, action: str, **fields: str) -> AmiMessage:
        """Carry out an action, and return the manager's answer.

        Raises:
            AmiRefused: the manager does not carry it out.
            AmiClosed: the connection is lost, or there was no answer in time.
        """
        self._count += 1
        return await self._carry_out(action, str(self._count), fields)

    async def _carry_out(self, action: str, action_id: str, fields: dict[str, str]) -> AmiMessage:
        if self._broken is not None:
            raise self._broken
        answer: asyncio.Future[AmiMessage] = asyncio.get_running_loop().create_future()
        self._waiting[action_id] = answer
        try:
            async with asyncio.timeout(self._answer_s):
                self._writer.write(write_action(action, action_id, fields))
                await self._writer.drain()
                message = await answer
        except TimeoutError:
            raise AmiClosed(f"Asterisk does not answer within {self._answer_s:g} seconds.") from None
        except OSError as error:
            raise AmiClosed(f"The connection to Asterisk is lost: {_words(error)}.") from None
        finally:
            self._waiting.pop(action_id, None)
        if message.is_success or message.get("response").lower() == "goodbye":
            return message
        said = _printable(message.get("message") or message.get("response") or "no reason")
        if said.lower().startswith("permission denied"):
            raise AmiDenied(f"Asterisk does not let the manager's user do {action}: {said}.")
        raise AmiRefused(f"Asterisk does not carry out {action}: {said}.")

    async def login(self, user: str, secret: str, *, may_send_secret: bool) -> None:
        """Log in.

        Args:
            user: user name in manager.conf.
            secret: of the user.
            may_send_secret: True on an encrypted or local connection: if Asterisk offers no challenge, the secret itself is sent.

        Raises:
            AmiDenied: the manager refuses the login.
        """
        try:
            challenge = (await self.action("Challenge", AuthType="MD5")).get("challenge")
        except AmiRefused as error:
            if not may_send_secret:
                raise AmiDenied(
                    f"Asterisk offers no challenge ({error}) and the secret is not sent in clear. Use TLS: Asterisk.Tls."
                ) from None
            challenge = ""
        proof = {"AuthType": "MD5", "Key": answer_to(challenge, secret)} if challenge else {"Secret": secret}
        try:
            await self.action("Login", Username=user, **proof, Events="system")
        except AmiRefused as error:
            raise AmiDenied(f"Asterisk does not take the user name and secret: {error}") from None

    async def stay(self, ping_s: float) -> None:
        """Ping until the connection is lost. A refused ping proves the connection too.

        Raises:
            AmiClosed: the connection is lost.
        """
        while True:
            await asyncio.sleep(ping_s)
            with contextlib.suppress(AmiRefused):
                await self.action("Ping")

    async def read(self) -> None:
        """Read until the connection is lost."""
        try:
            while data := await self._reader.read(_CHUNK):
                for message in self._messages.feed(data):
                    self._take(message)
            self._break("Asterisk closed the connection.")
        except OSError as error:
            self._break(f"The connection to Asterisk is lost: {_words(error)}.")

    def _take(self, message: AmiMessage) -> None:
        answer = self._waiting.get(message.get("actionid"))
        if message.event:
            listed = self._lists.get(message.get("actionid"))
            if listed is None:
                self._on_event(message)
            elif listed.qsize() <= _MOST_LISTED:
                listed.put_nowait(message)
        elif answer is not None and not answer.done():
            answer.set_result(message)

    def _break(self, text: str) -> None:
        self._broken = AmiClosed(text)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._broken)


@contextlib.asynccontextmanager
async def opened(
    host: str,
    port: int,
    user: str,
    secret: str,
    *,
    tls: ssl.SSLContext | None = None,
    on_event: Callable[[AmiMessage], None] = lambda _: None,
    answer_s: float = ANSWER_S,
) -> AsyncIterator[AmiLink]:
    """Connect and log in; the connection is closed when the context ends.

    Raises:
        AmiClosed: the connection failed, or the peer is not a manager.
        AmiDenied: the manager refuses the login.
    """
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=_CHUNK)
    except (TimeoutError, OSError) as error:
        raise AmiClosed(f"Asterisk cannot be reached at {host}, port {port}: {_words(error)}.") from None
    writer.transport.set_write_buffer_limits(_MOST_UNSENT)
    reading: asyncio.Task[None] | None = None
    try:
        await _banner(reader, answer_s)
        link = AmiLink(reader, writer, on_event, answer_s)
        reading = asyncio.create_task(link.read(), name="ami reader")
        await link.login(user, secret, may_send_secret=tls is not None or _is_here(writer))
        yield link
    finally:
        writer.transport.abort()
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})


async def _banner(reader: asyncio.StreamReader, answer_s: float) -> None:
    """Read the first line of a manager."""
    try:
        async with asyncio.timeout(answer_s):
            line = await reader.readline()
    except (TimeoutError, OSError, ValueError):
        line = b""
    if len(line) > _LONGEST_BANNER or b"Call Manager/" not in line:
        raise AmiClosed("The server is not an Asterisk manager. Check Asterisk.Address and Asterisk.Tls.")


def _printable(text: str) -> str:
    """Return a manager's text for logs and pages: printable characters, 200 at most."""
    return "".join(char for char in text if char.isprintable())[:200]


def _is_here(writer: asyncio.StreamWriter) -> bool:
    peer = writer.get_extra_info("peername")
    return bool(peer) and is_loopback(str(peer[0]).partition("%")[0])


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not trusted. Set Asterisk.CaFile, and use the name that the certificate has"
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and (error.errno or 0) > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno or 0)  # asyncio's text has more words around it
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
