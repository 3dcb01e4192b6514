"""Requests to the server: each bounded in bytes and time, with the token of its host, without following redirections."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import httpx

from suite.agent.sources.sfb.answers import challenge_of
from suite.agent.sources.sfb.errors import UcwaBroken, UcwaBusy, UcwaCut, UcwaDenied, UcwaGone, UcwaRefused, UcwaUnfit
from suite.agent.sources.sfb.hal import MOST_BYTES, Resource, read_resource
from suite.agent.sources.sfb.hosts import origin_of
from suite.agent.sources.source import Connector
from suite.channel import pem_text

if TYPE_CHECKING:
    from suite.agent.settings.groups.sfb import SfbSettings
    from suite.agent.sources.sfb.hosts import KnownHosts
    from suite.agent.sources.sfb.pace import SessionPace
    from suite.agent.sources.sfb.tokens import UcwaTokens

CONNECT_S: Final = 10.0
MOST_AT_ONCE: Final = 8
"""Requests at a time, the long poll beside them. A server allows about 100 for a user: https://learn.microsoft.com/skype-sdk/ucwa/batchingrequests"""
MOST_COOKIES: Final = 50
"""Load balancers use a few. Python's cookie jar has no limit of its own."""
MOST_WAIT_S: Final = 600.0
"""The longest wait that a server may ask for."""
_JSON: Final = {"accept": "application/json", "accept-encoding": "identity"}
_KEEP_ALIVE: Final = (
    ("SO_KEEPALIVE", "SOL_SOCKET", 1),
    ("TCP_KEEPIDLE", "IPPROTO_TCP", 20),
    ("TCP_KEEPINTVL", "IPPROTO_TCP", 5),
)
"""A long poll is silent for three minutes. With these options, a lost peer is detected within one."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    challenges: tuple[str, ...]
    retry_after: str


class UcwaHttp:
    """The requests of one session. An async context manager."""

    def __init__(self, settings: SfbSettings, hosts: KnownHosts, tokens: UcwaTokens, pace: SessionPace) -> None:
        self._settings = settings
        self.hosts = hosts
        self._tokens = tokens
        self._request_s = pace.request
        self._signing_in = asyncio.Lock()
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                verify=_trust(settings.ca_pem),
                trust_env=False,
                limits=httpx.Limits(max_connections=MOST_AT_ONCE + 2),
                socket_options=_socket_options(),
            ),
            timeout=httpx.Timeout(None, connect=CONNECT_S, pool=pace.request),
            trust_env=False,
        )

    async def __aenter__(self) -> UcwaHttp:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._client.aclose()

    async def get(self, whole: str, *, limit_s: float | None = None) -> Resource:
        """Return the resource at a whole address. Errors are those of `send`."""
        return await self.send("GET", whole, limit_s=limit_s)

    async def send(self, method: str, whole: str, value: Any = None, *, limit_s: float | None = None) -> Resource:
        """Send a request with the token of its host, and return the answer. After a 401 the agent signs in, and sends it once more.

        Args:
            method: HTTP method.
            whole: whole address, which `KnownHosts` returned.
            value: the body, to be sent as JSON; None sends none.
            limit_s: timeout of each attempt in seconds, to the last byte of the answer.

        Raises:
            UcwaRefused: the server refuses.
            UcwaGone: the resource does not exist, or no longer.
            UcwaBusy: the server asks to wait.
            UcwaBroken: anything else.
        """
        origin = origin_of(whole)
        token = self._tokens.of(origin, _now())
        answer = await self._exchange(method, whole, token, value, limit_s)
        if answer.status == 401:
            self._tokens.drop(origin, token)
            token = self._tokens.of(origin, _now()) or await self._sign_in(origin, whole, answer)
            answer = await self._exchange(method, whole, token, value, limit_s)
            if answer.status == 401:
                self._tokens.drop(origin, token)
                raise UcwaRefused(Connector.FORBIDDEN, "The server does not accept the token that it has just given.")
        return _read(answer)

    async def _exchange(self, method: str, whole: str, token: str, value: Any, limit_s: float | None) -> _Answer:
        headers = {**_JSON, **({"authorization": f"Bearer {token}"} if token else {})}
        content = b""
        if value is not None:
            content = json.dumps(value).encode()
            headers["content-type"] = "application/json"
        return await self._request(method, whole, headers, content, limit_s or self._request_s)

    async def _request(
        self, method: str, whole: str, headers: dict[str, str], content: bytes, limit_s: float
    ) -> _Answer:
        try:
            async with (
                asyncio.timeout(limit_s),
                self._client.stream(method, whole, headers=headers, content=content) as response,
            ):
                if len(self._client.cookies.jar) > MOST_COOKIES:
                    self._client.cookies.clear()
                return _Answer(
                    response.status_code,
                    await _body(response),
                    tuple(response.headers.get_list("www-authenticate")),
                    response.headers.get("retry-after", ""),
                )
        except (TimeoutError, httpx.TimeoutException):
            raise UcwaBroken("The server does not answer.") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
            raise UcwaBroken(_words(error)) from None

    # Signing in

    async def _sign_in(self, origin: str, whole: str, answer: _Answer) -> str:
        """Return a token for the host that asked for one."""
        async with self._signing_in:
            if token := self._tokens.of(origin, _now()):
                return token  # another request got it meanwhile
            challenge = self._tokens.checked(origin, challenge_of(answer.challenges), _now())
            issuer = self.hosts.known(whole, challenge.issuer)
            form = {"grant_type": "password", "username": self._settings.user_name, "password": self._settings.password}
            headers = {**_JSON, "content-type": "application/x-www-form-urlencoded;charset=UTF-8"}
            said = await self._request("POST", issuer, headers, urlencode(form).encode(), self._request_s)
            return self._tokens.take(origin, said.status, _resource_or_none(said.body), _now())


async def _body(response: httpx.Response) -> bytes:
    """Return the body, of `MOST_BYTES` at most. A compressed body is refused, because a small one could expand without bound."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise UcwaBroken("The server compressed an answer, which the agent does not accept.")
    read = bytearray()
    async for chunk in response.aiter_raw():
        read += chunk
        if len(read) > MOST_BYTES:
            raise UcwaBroken("The server's answer is too large.")
    return bytes(read)


def _read(answer: _Answer) -> Resource:
    """Return the resource of an answer, or raise the error of its status. Statuses: UCWA/errorsandinformationalmessages."""
    status = answer.status
    if 200 <= status < 300:
        return read_resource(answer.body) if answer.body else Resource()
    subcode = _resource_or_none(answer.body).text("subcode")
    named = f"{status}, {subcode}" if subcode.isascii() and subcode.isalnum() else str(status)
    if status in (404, 410):
        raise UcwaGone(f"The server does not have the requested resource (status {named}).")
    if status in (429, 503):
        raise UcwaBusy(f"The server asks to wait (status {named}).", _wait_s(answer.retry_after))
    if status == 403:
        raise UcwaDenied(f"The server does not permit this to the user (status {named}).", subcode)
    if status in (408, 502, 504):
        raise UcwaCut(f"The server, or a proxy in front of it, timed out (status {named}).")
    if status in (400, 413):
        raise UcwaUnfit(f"The server does not accept a request (status {named}).")
    if 300 <= status < 400:
        raise UcwaBroken("The server sent a redirection, which is not followed. Set SfB.Address.")
    raise UcwaBroken(f"The server answers with status {named}.")


def _resource_or_none(body: bytes) -> Resource:
    try:
        return read_resource(body)
    except UcwaBroken:
        return Resource()


def _wait_s(retry_after: str) -> float:
    """Return the seconds of Retry-After; 0 if there are none. A date is ignored, because clocks differ."""
    text = retry_after.strip()
    return min(float(text), MOST_WAIT_S) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0


def _trust(ca_pem: bytes | None) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=pem_text(ca_pem) if ca_pem is not None else None)


def _socket_options() -> list[tuple[int, int, int]]:
    return [
        (getattr(socket, level), getattr(socket, name), value)
        for name, level, value in _KEEP_ALIVE
        if hasattr(socket, name)
    ]


def _words(error: Exception) -> str:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "The server's certificate is not trusted. Set SfB.CaFile, and use the name that the certificate has."
    is_of_network = isinstance(
        error, httpx.TransportError | OSError
    )  # the text of others may have the address of a colleague
    return f"The server cannot be reached: {(is_of_network and text) or type(error).__name__}."


def _now() -> float:
    return asyncio.get_running_loop().time()
