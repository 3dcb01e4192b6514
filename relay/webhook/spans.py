"""The spans of the webhook, in addition to those of its requests."""

from __future__ import annotations

from typing import Final

from opentelemetry.trace import SpanKind

from relay.ops.metric import WEBHOOK
from relay.ops.span import SpanType

VERIFY: Final = SpanType(
    name="relay.webhook.verify",
    meaning="The validation tokens of a POST are verified, if need be with keys that are fetched from Entra",
    roles=(WEBHOOK,),
    attributes={"relay.tokens": "tokens in the POST"},
)
PASS_ON: Final = SpanType(
    name="relay.webhook.pass_on",
    meaning="The notifications of one tenant are appended to the inbox of its partition; its worker continues the trace",
    roles=(WEBHOOK,),
    kind=SpanKind.PRODUCER,
    attributes={"relay.notifications": "notifications"},
)
