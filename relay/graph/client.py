"""One HTTP client for all tenants: tokens, limits, timeouts and sizes."""

from __future__ import annotations

import asyncio
import copy
import random
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self
from urllib.parse import urlsplit
from uuid import UUID
from weakref import WeakSet

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from relay.core.consent.microsoft_error import NO_ERROR, MicrosoftError
from relay.errors import AccessDenied, RelayError, RequestRefused, SourceUnreachable, marked
from relay.graph import spans
from relay.graph.errors import translate
from relay.graph.lanes import EXTRA, Lanes
from relay.graph.metrics import note
from relay.graph.settings import GraphSettings
from relay.ops.span import UNTRACED


class TokenSource(Protocol):
    """The source of one grant's access tokens for calls of Graph."""

    async def __call__(self, refused: str = "") -> str:
        """Return a valid access token other than `refused`, which Graph did not accept."""
        ...


Gate = Callable[[], None]
"""Returns when a request to Microsoft is allowed, or raises an error instead. Also called from threads."""


def open_gate() -> None:
    """Allow every request at once."""


class Reply(NamedTuple):
    """An unprocessed answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class GraphClient:
    """Calls Graph and Entra over HTTP. An async context manager, shared by all tenants and safe for concurrent use.

    The caller decides on retries. The client repeats only a 401, once, with a fresh token (and the transport repeats a
    GET whose kept connection turns out to be closed). Redirects are not followed and cookies not kept, so nothing of
    one tenant's call reaches another's. Cancelling a call closes its connection. Token sources whose last call was slow
    share half of the connections (`lanes`).

    Raises (from every call): `SourceUnreachable`, `SourceThrottled`, `GrantRefused`, `AccessDenied`, `RequestRefused`,
    and whatever the token source raises.
    """

    def __init__(self, settings: GraphSettings) -> None:
        self.settings = settings
        self._origin = _origin(settings.graph_url)
        self._http = _http_client(settings)
        self._gate: Gate = open_gate
        self._lanes = Lanes(settings.max_connections, WeakSet())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    def behind(self, gate: Gate) -> GraphClient:
        """Return a client with the same connections that calls a gate before each request. Do not enter it."""
        view = copy.copy(self)
        view._gate = gate
        return view

    async def get(self, token: TokenSource, path: str) -> bytes:
        """Return the body of a GET of Graph; `path` is a path with its query, or a whole address at Graph's own origin."""
        return await self._authorised("GET", path, token, None)

    async def post(self, token: TokenSource, path: str, content: bytes) -> bytes:
        """Post JSON to `path` and return the body of Graph's answer."""
        return await self._authorised("POST", path, token, content)

    async def ask(self, method: str, path: str, token: TokenSource, content: bytes | None = None) -> Reply:
        """Return any answer of Graph, including refusals: for callers that inspect the answer itself."""
        return await self._answered(method, path, token, content)

    async def send(
        self,
        method: str,
        token: TokenSource,
        path: str,
        content: bytes | None = None,
        *,
        patience: timedelta | None = None,
    ) -> tuple[int, bytes]:
        """Send a call and return status and body, for 2xx and for 4xx other than 401 and 429, which are raised.

        Args:
            method: GET, POST, PATCH or DELETE.
            token: whose call it is.
            path: as of `get`.
            content: JSON.
            patience: time limit of the whole call, if the usual one is too short.
        """
        status, body, headers = await self._answered(method, path, token, content, patience)
        if 200 <= status < 300:
            return status, body
        error = translate(status, body, headers)
        if isinstance(error, RequestRefused | AccessDenied):
            return status, body
        raise error

    async def fetch(self, url: str) -> bytes:
        """Return the body of a public document, such as Entra's discovery, without a token."""
        return (await self.fetch_reply(url)).body

    async def fetch_reply(self, url: str) -> Reply:
        """Return a public document unprocessed."""
        reply = await self._call(self, "GET", url, {}, None)
        if reply.status == 200:
            return reply
        raise translate(*reply)

    async def _authorised(self, method: str, path: str, token: TokenSource, content: bytes | None) -> bytes:
        status, body, headers = await self._answered(method, path, token, content)
        if status == 200:
            return body
        raise translate(status, body, headers)

    async def _answered(
        self, method: str, path: str, token: TokenSource, content: bytes | None, patience: timedelta | None = None
    ) -> Reply:
        url = self._url(path)
        text = await token()
        reply = await self._call(token, method, url, _headers(text), content, patience)
        if reply.status == 401:
            text = await token(refused=text)
            reply = await self._call(token, method, url, _headers(text), content, patience)
        return reply

    def _url(self, path: str) -> str:
        """Return the whole URL; an access token never leaves Graph's origin."""
        if path.startswith("/"):
            return self.settings.graph_url + path
        if _origin(path) != self._origin:
            raise SourceUnreachable("Graph refers to an address that is not its own")
        # Rebuilt from its parts, so that another parser's reading of the address does not matter.
        parts = urlsplit(path)
        return f"{self.settings.graph_url}{parts.path}?{parts.query}"

    async def _call(
        self,
        whose: object,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        patience: timedelta | None = None,
    ) -> Reply:
        counted = _Counted(method, url)
        headers = {**headers, _ASKED_AS: counted.asked_as}
        try:
            async with (
                asyncio.timeout((patience or self.settings.total_timeout).total_seconds()),
                self._lanes.place(whose),
            ):
                self._gate()  # here, so that no call can skip it and no wait comes after it
                counted.begin()
                async with self._http.stream(
                    method, url, headers=headers, content=content, timeout=self._timeout(patience)
                ) as response:
                    reply = Reply(response.status_code, await self._read(response), counted.told(response))
            counted.answered(reply)
        except RelayError as error:
            counted.unanswered(error)
            raise
        # The transport passes on some of aiohttp's own errors; a header that cannot be parsed raises ValueError.
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            counted.unanswered(error)
            unreachable = SourceUnreachable(f"Microsoft does not answer ({type(error).__name__})")
            raise marked(unreachable, counted.marks) from error
        finally:
            counted.end()
        return reply

    def _timeout(self, patience: timedelta | None) -> httpx.Timeout:
        """Time limit of each step of a call; some calls take Graph longer."""
        read, connect = patience or self.settings.read_timeout, self.settings.connect_timeout.total_seconds()
        return httpx.Timeout(read.total_seconds(), connect=connect, pool=connect)

    async def _read(self, response: httpx.Response) -> bytes:
        limit = self.settings.max_body_bytes
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > limit:
                raise SourceUnreachable(f"Microsoft's answer is longer than {limit} bytes")
            parts.append(part)
        return b"".join(parts)


class _Counted:
    """Measures one request for metrics and traces, from its sending: waits for a place or at the gate do not count.

    Attributes:
        asked_as: our id of the request, by which Microsoft's support finds it even without an answer.
    """

    def __init__(self, method: str, url: str) -> None:
        self.asked_as = str(UUID(int=random.getrandbits(128), version=4))
        self._method = method
        self._url = url
        self._begun: float | None = None
        self._span = UNTRACED

    def begin(self) -> None:
        self._begun = time.monotonic()
        self._span = spans.calling(self._method, self._url)

    def told(self, response: httpx.Response) -> Mapping[str, str]:
        """Return the headers of an answer, with our id added if a proxy on the way refused the request without repeating it."""
        if response.status_code < _REFUSED or _ASKED_AS in response.headers:
            return response.headers
        return {_ASKED_AS: self.asked_as, **response.headers}

    def answered(self, reply: Reply) -> None:
        if self._begun is not None:
            asked_to_wait = "retry-after" in reply.headers
            note(self._method, self._url, reply.status, time.monotonic() - self._begun, has_retry_after=asked_to_wait)
            spans.note_answer(self._span, reply.status, reply.headers)

    def unanswered(self, error: Exception) -> None:
        if self._begun is not None:
            note(self._method, self._url, 0, time.monotonic() - self._begun, error=type(error).__name__)
            self._span.fail(type(error).__name__)

    def end(self) -> None:
        self._span.end()

    @property
    def marks(self) -> MicrosoftError:
        """Return the ids by which Microsoft's support can find a request without an answer."""
        if self._begun is None:
            return NO_ERROR
        return MicrosoftError(correlation_id=self.asked_as, time=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}")


def _http_client(settings: GraphSettings) -> httpx.AsyncClient:
    context = ssl.create_default_context(cadata=settings.ca_pem)
    return httpx.AsyncClient(
        transport=AiohttpTransport(verify=context, client=lambda: _session(settings, context)),
        headers={"Accept": "application/json", "Accept-Encoding": "gzip" if settings.compress else "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,  # the session below reads the proxy variables
    )


def _session(settings: GraphSettings, context: ssl.SSLContext) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        ssl=context, limit=(1 + EXTRA) * settings.max_connections, keepalive_timeout=_KEEPALIVE_S
    )
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=not settings.is_local
    )


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


def _origin(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:  # a port that is not a number, or an incomplete IPv6 address
        return "", "", 0
    return parts.scheme, parts.hostname or "", port


_ASKED_AS: Final = "client-request-id"
"""The header for our id of a request; Graph repeats it in its answer."""
_REFUSED: Final = 400
_KEEPALIVE_S: Final = 60.0
"""Longer than the longest regular interval between two polls of one tenant, shorter than what load balancers keep idle."""
