"""A mail server and a receiver of signed notices: real ones, on this machine, with certificates of a local authority."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import trustme
from aiosmtpd.handlers import AsyncMessage
from aiosmtpd.smtp import SMTP, AuthResult

from relay.alerts.settings import MailSettings
from tests.support.valkey import free_port

AUTHORITY = trustme.CA()
CA_PEM = AUTHORITY.cert_pem.bytes().decode()


def tls(*names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert(*names or ("localhost", "127.0.0.1")).configure_cert(context)
    return context


@dataclass
class Mailbox(AsyncMessage):
    """What a mail server took, and how it answers."""

    port: int = 0
    taken: list[EmailMessage] = field(default_factory=list)
    refuses: int = 0
    """How many conversations are turned away first."""

    def __post_init__(self) -> None:
        super().__init__()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        if self.refuses:
            self.refuses -= 1
            return "451 4.3.0 Come back later"
        self.taken.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return "250 OK"

    async def handle_message(self, message: Any) -> None:
        raise NotImplementedError

    def settings(self, **changes: Any) -> MailSettings:
        given: dict[str, Any] = {
            "host": "localhost", "port": self.port, "sender": "relay@relay.example", "user": "relay",
            "password": "hunter2", "ca_pem": CA_PEM,
        }  # fmt: skip
        return MailSettings(**(given | changes))


def _known(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    # Not handled: aiosmtpd then answers 535 itself; else a refused client waits until its time is over.
    return AuthResult(success=(data.login, data.password) == (b"relay", b"hunter2"), handled=False)


@asynccontextmanager
async def mail_server() -> AsyncIterator[Mailbox]:
    """A server that demands STARTTLS and a password."""
    mailbox = Mailbox(port=free_port())
    context = tls()

    def conversation() -> SMTP:
        return SMTP(
            mailbox, tls_context=context, require_starttls=True, auth_required=True, authenticator=_known,
            hostname="mail.example",
        )  # fmt: skip

    async with await asyncio.get_running_loop().create_server(conversation, "127.0.0.1", mailbox.port):
        yield mailbox


@dataclass
class Posted:
    """One POST as it arrived."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A tenant's own HTTPS server."""

    port: int
    answers: list[bytes] = field(default_factory=list)
    """What is answered, one after the other; then always 204."""
    posts: list[Posted] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/notices?tenant=contoso"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.posts.append(Posted(head[0].split()[1], headers, body))
            answer = self.answers.pop(0) if self.answers else b"HTTP/1.1 204 No Content\r\n\r\n"
            if answer == b"never":
                await asyncio.sleep(60)
            writer.write(answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """An HTTPS server for `localhost`."""
    here = Receiver(free_port())
    server = await asyncio.start_server(here.serve, "127.0.0.1", here.port, ssl=tls())
    try:
        yield here
    finally:
        server.close()
