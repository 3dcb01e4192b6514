"""The HTTP client for webhooks, and the handshake with which a URL confirms that it wants notifications."""

from __future__ import annotations

import asyncio
import ssl
import time
import uuid
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus

import aiohttp
from yarl import URL

if TYPE_CHECKING:
    from pathlib import Path

JSON: Final = "application/json; charset=utf-8"
MOST_CONNECTIONS: Final = 100
MOST_ANSWER_BYTES: Final = 4096
"""Maximum bytes read from an answer: a handshake's has 128, a notification's does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer of a webhook. `status` is 0 without one; then `reason` has the cause, for example `timeout`."""

    status: int = 0
    body: bytes = b""
    content_type: str = ""
    took_s: float = 0.0
    reason: str = ""


class Client:
    """Posts to webhooks over HTTP. It follows no redirects, keeps no cookies and uses no proxy.

    It trusts the system's CAs, the cloud's own CA and those in `ca_file`.
    """

    def __init__(self, ca_pem: bytes, ca_file: Path | None) -> None:
        self._ca_pem = ca_pem
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections to webhooks."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, url: str, body: bytes, content_type: str, timeout_s: float) -> Reply:
        """Post a body; errors are returned in the reply."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._post(url, body, content_type, began)
        except TimeoutError:
            return Reply(reason="timeout", took_s=time.monotonic() - began)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            text = f"{type(error).__name__}: {error}"
            return Reply(reason=text[:300], took_s=time.monotonic() - began)

    async def _post(self, url: str, body: bytes, content_type: str, began: float) -> Reply:
        session = self._session = self._session or self._opened()
        headers = {"content-type": content_type}
        async with session.post(URL(url, encoded=True), data=body, headers=headers, allow_redirects=False) as answer:
            raw = await _beginning(answer.content)
            took_s = time.monotonic() - began
            return Reply(status=answer.status, body=raw, content_type=answer.content_type, took_s=took_s)

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session, opened at the first use: loading the system's CAs takes longer than starting a cloud."""
        trust = _trust(self._ca_pem.decode(), self._ca_file.read_text() if self._ca_file is not None else "")
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=MOST_CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )


@lru_cache(maxsize=4)
def _trust(*ca_pems: str) -> ssl.SSLContext:
    """Return a context that trusts the system's CAs and these; cached, because most clouds of a process have the same."""
    trust = ssl.create_default_context()
    for ca_pem in filter(None, ca_pems):
        trust.load_verify_locations(cadata=ca_pem)
    return trust


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    """Return the beginning of a body."""
    raw = b""
    while len(raw) < MOST_ANSWER_BYTES and (part := await content.read(MOST_ANSWER_BYTES)):
        raw += part
    return raw


def handshake_url(url: str, request_id: str) -> tuple[str, str]:
    """Return the URL that requests a handshake, and the text that the webhook must return.

    The text and its encoding are as seen in the logs of webhooks:
    https://github.com/microsoftgraph/microsoft-graph-docs/issues/21160
    """
    text = f"Validation: Testing client application reachability for subscription Request-Id: {request_id}"
    return f"{url}{'&' if '?' in url else '?'}validationToken={quote_plus(text).replace('%3A', '%3a')}", text


def new_request_id() -> str:
    """Return a new id for a handshake."""
    return str(uuid.uuid4())


def handshake_fault(reply: Reply, text: str) -> str:
    """Return Graph's error text for a failed handshake; empty if it succeeded.

    https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation has the
    requirements; the texts are quoted in public issues, except for the content type's, which is assumed.
    """
    failed = "Subscription validation request failed."
    if reply.reason == "timeout":
        return "Subscription validation request timed out."
    if not reply.status:
        return f"{failed} Notification endpoint must respond with 200 OK to validation request."
    if reply.status != 200:
        name = _status_name(reply.status)
        return f"{failed} HTTP status code is '{name}'. Notification endpoint must respond with 200 OK to validation request."
    if reply.content_type != "text/plain":
        return f"{failed} Response content type must be text/plain."
    if reply.body != text.encode():
        return f"{failed} Response must exactly match validationToken query parameter."
    return ""


def _status_name(status: int) -> str:
    """Return .NET's name of a status: 404 is NotFound."""
    try:
        return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "").replace("'", "")
    except ValueError:
        return str(status)
