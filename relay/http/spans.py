"""The spans of requests to the servers that speak HTTP."""

from __future__ import annotations

from typing import Final

from opentelemetry.trace import SpanKind

from relay.ops.metric import WEB, WEBHOOK
from relay.ops.span import SpanType

REQUEST: Final = SpanType(
    name="{method} {http.route}",
    meaning="A request to the webhook or the pages, from its head to the end of its answer. Ids of traces that a request brings along are ignored",
    roles=(WEB, WEBHOOK),
    kind=SpanKind.SERVER,
    attributes={
        "http.request.method": "the method; `_OTHER` for one that HTTP does not have",
        "http.route": "the template of the path; absent for other paths",
        "url.scheme": "`http` or `https`",
        "http.response.status_code": "the status; absent when no answer was sent",
    },
)
