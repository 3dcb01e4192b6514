"""The spans of calls to Graph and Entra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind

from relay.graph.errors import marks_of
from relay.graph.metrics import ROUTES, operation_of
from relay.ops.metric import WEB, WEBHOOK, WORKER
from relay.ops.span import SpanType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.ops.span import TracedWork

CALL: Final = SpanType(
    name="{method} {route}",
    meaning="A call of Graph or Entra, from its sending to the end of the answer",
    roles=(WEB, WEBHOOK, WORKER),
    kind=SpanKind.CLIENT,
    attributes={
        "http.request.method": "`GET`, `POST`, `PATCH` or `DELETE`",
        "server.address": "Microsoft's host",
        "url.template": "the path, without ids",
        "http.response.status_code": "the status; absent without an answer",
        "relay.operation": "the operation, as metrics name it",
        "relay.microsoft.request_id": "Microsoft's id of the request, for its support",
        "relay.microsoft.correlation_id": "the id that the relay gave the request: Graph's `client-request-id`, Entra's correlation id",
    },
)


def calling(method: str, url: str) -> TracedWork:
    """Start and return the span of a call, if it is part of traced work."""
    operation = operation_of(method, url)
    route = ROUTES.get(operation, "")
    span = CALL.within(f"{method} {route}".rstrip())
    if span:
        span.note("http.request.method", method)
        span.note("server.address", urlsplit(url).hostname or "")
        span.note("relay.operation", operation.value)
        if route:
            span.note("url.template", route)
    return span


def note_answer(span: TracedWork, status: int, headers: Mapping[str, str], asked_as: str = "") -> None:
    """Note an answer: its status and Microsoft's ids of the request.

    Args:
        span: of the call.
        status: of the answer.
        headers: of it.
        asked_as: our id of the request, if the answer does not repeat it.
    """
    if not span:
        return
    span.note("http.response.status_code", status)
    said = marks_of(headers)
    if said.trace_id:
        span.note("relay.microsoft.request_id", said.trace_id)
    if said.correlation_id or asked_as:
        span.note("relay.microsoft.correlation_id", said.correlation_id or asked_as)
    if status >= _ERROR:
        span.fail(str(status))


_ERROR: Final = 400
