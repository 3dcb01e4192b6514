"""Checks of every request before any view sees it (host, size, time, rate), and the headers of every response.

A refusal is a page, because a person may have sent the request. A body that is too long is read to its end (up to a limit) and
discarded, because browsers show no response while they are still sending.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection

from pages.layout import HERE, page_address, static_path
from relay.errors import RelayError
from relay.http.bodies import Bodies, TooMuchAtOnce
from relay.locale import languages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pages.layout import Pages
    from pages.rate_limit import RateLimiter
    from pages.settings import PagesSettings
    from relay.http.bodies import Body

log = structlog.get_logger(__name__)

MAX_THROWN_AWAY_BYTES: Final = 8 * 1024 * 1024
"""A client that sends more than this is not a browser with a form; its connection is closed."""

# `form-action` allows this site only. The page follows a link to Microsoft automatically instead of sending a form:
# a policy for forms would have to list every identity provider that Microsoft may redirect people to.
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer: browsers would then also hide the origin of our own forms, which we check.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-robots-tag": "noindex",
}
_NO_STORE: Final = "no-store"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_PROXY_WARNING_S: Final = 3600.0
_BUSY_S: Final = 5
_YEAR: Final = "max-age=31536000"


class _TooLarge(Exception):
    """The body is longer than any form of ours."""


class _Gone(Exception):
    """The browser closed the connection before it had sent everything."""


class PagesMiddleware:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        settings: PagesSettings,
        pages: Pages,
        rate_limiter: RateLimiter,
        record_proxy: Callable[[], Awaitable[None]],
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            settings: the hosts and the limits.
            pages: renders the refusals.
            rate_limiter: counts requests.
            record_proxy: called at most once an hour when requests come through a proxy that the settings do not name.
        """
        self._app = app
        self._settings = settings
        self._pages = pages
        self._rate_limiter = rate_limiter
        self._record_proxy = record_proxy
        self._proxy_warned = -math.inf
        self._bodies = Bodies(settings.max_held_bytes)
        # Browsers apply HSTS to all ports of a host: it would break other services on a developer's localhost.
        self._hsts = not settings.is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._set_context(scope)
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._add_headers(scope, message)
            await send(message)

        try:
            await self._answer(scope, receive, send_guarded)
        except _Gone:
            return
        except Exception:
            log.exception("page_failed", method=scope["method"])
            if started:
                raise
            await self._pages.problem("fault")(scope, receive, send_guarded)

    def _set_context(self, scope: Scope) -> None:
        """Set the language and the page's address for all rendering during this request."""
        request = HTTPConnection(scope)
        languages.CURRENT.set(languages.preferred_language(request.headers, request.cookies.get(languages.COOKIE, "")))
        HERE.set(page_address(scope["method"], scope["path"], request.url.query, self._settings.HOME))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._bodies.one() as held:
            problem, body = await self._refusal(held, scope, receive)
            if not problem:
                await self._app(scope, _replay(body, receive), send)
        if problem:
            retry_after_s = self._retry_after_s(problem)
            # The connection is closed: the rest of a refused request may still be on its way, without an end.
            page = self._pages.problem(problem, retry_after_s=retry_after_s, headers={"connection": "close"})
            await page(scope, receive, send)

    def _retry_after_s(self, problem: str) -> int:
        if problem == "too_busy":
            return _BUSY_S
        return int(self._settings.rate_limits.window.total_seconds()) if problem == "too_fast" else 0

    async def _refusal(self, held: Body, scope: Scope, receive: Receive) -> tuple[str, bytes]:
        """Return (problem, b"") for a request that is refused, or ("", body)."""
        headers = Headers(scope=scope)
        if headers.getlist("host")[:2] != [headers.get("host")] or headers["host"].lower() not in self._settings.hosts:
            return "wrong_host", b""
        address = scope["client"][0] if scope.get("client") else ""
        now = time.monotonic()
        await self._check_proxy(headers, now)
        if not self._rate_limiter.allows(address, now):
            return "too_fast", b""
        try:
            async with asyncio.timeout(self._settings.request_time.total_seconds()), held.arriving():
                return "", await self._body(held, receive)
        except TimeoutError:
            return "too_slow", b""
        except _TooLarge:
            return "too_large", b""
        except TooMuchAtOnce:
            return "too_busy", b""

    async def _check_proxy(self, headers: Headers, now: float) -> None:
        """Warn about a proxy that the settings do not name: all customers behind it share the limits of one network."""
        if self._settings.trusted_proxies or "x-forwarded-for" not in headers:
            return
        if now - self._proxy_warned >= _PROXY_WARNING_S:
            self._proxy_warned = now
            setting = f"RELAY_{self._settings.ROLE.upper()}_TRUSTED_PROXIES"
            log.warning("proxy_not_trusted", remedy=f"set {setting} to the addresses of your proxies")
            with suppress(RelayError):
                await self._record_proxy()

    async def _body(self, held: Body, receive: Receive) -> bytes:
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            part = message.get("body", b"")
            size += len(part)
            if size > MAX_THROWN_AWAY_BYTES:
                raise _TooLarge
            if size <= self._settings.max_body_bytes:
                held.add(len(part))
                parts.append(part)
            elif parts:
                parts.clear()
                held.drop()
            if not message.get("more_body", False):
                break
        if size > self._settings.max_body_bytes:
            raise _TooLarge
        return b"".join(parts)

    def _add_headers(self, scope: Scope, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        is_static = scope["path"].startswith(f"{static_path(self._settings.HOME)}/") and message["status"] in (200, 304)
        headers["cache-control"] = _FOR_EVER if is_static else _NO_STORE
        if self._hsts:
            headers["strict-transport-security"] = _YEAR


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields a body that was already read, then passes on to the original."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
