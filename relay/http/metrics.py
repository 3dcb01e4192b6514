"""The metrics of the HTTP servers, and an ASGI wrapper that records metrics and spans of requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from relay.http.spans import REQUEST
from relay.ops.instruments import Histogram
from relay.ops.metric import WEB, WEBHOOK, Metric, MetricKind

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from relay.ops.span import TracedWork

RouteOf = Callable[["Scope"], str]
"""Returns the route of an answered request, as a template without ids; empty for an unknown path."""

_KNOWN: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SERVER_ERROR: Final = 500

REQUESTS: Final = Histogram(
    Metric(
        name="http.server.request.duration",
        kind=MetricKind.HISTOGRAM,
        unit="s",
        meaning="Time from a request's head to the end of its answer",
        question="Does Microsoft get the webhook's answers in time, and people their pages?",
        roles=(WEB, WEBHOOK),
        labels={
            "http.request.method": (*sorted(_KNOWN), "_OTHER"),
            "http.route": "templates of paths, `/notifications/{route_id}` for the webhook; absent for other paths",
            "url.scheme": ("http", "https"),
            "http.response.status_code": "statuses of HTTP; absent when no answer was sent",
            "error.type": "the status of an answer from 500 on, `no_answer` when none was sent; absent otherwise",
        },
    )
)


def no_route(_scope: Scope) -> str:
    """Name no route."""
    return ""


class Measured:
    """An ASGI application that wraps another and records the duration of each request."""

    def __init__(self, app: ASGIApp, route_of: RouteOf) -> None:
        self._app = app
        self._route_of = route_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with REQUEST.begins() as span:
            await self._answer(scope, receive, send, span)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, span: TracedWork) -> None:
        begun, status = time.monotonic(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._record(scope, status, time.monotonic() - begun, span)

    def _record(self, scope: Scope, status: int, duration_s: float, span: TracedWork) -> None:
        method = scope["method"] if scope["method"] in _KNOWN else "_OTHER"
        route = self._route_of(scope)
        error = "no_answer" if not status else str(status) if status >= _SERVER_ERROR else ""
        REQUESTS.record(duration_s, method, route, scope["scheme"], str(status or ""), error)
        if not span:
            return
        span.rename(f"{method} {route}".rstrip())
        span.note("http.request.method", method)
        span.note("url.scheme", scope["scheme"])
        if route:
            span.note("http.route", route)
        if status:
            span.note("http.response.status_code", status)
        if error:
            span.fail(error)
