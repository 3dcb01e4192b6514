"""The spans of the store, of every role."""

from __future__ import annotations

from typing import Final

from opentelemetry.trace import SpanKind

from relay.ops.metric import EVERY
from relay.ops.span import SpanType

COMMAND: Final = SpanType(
    name="redis {command}",
    meaning="A command or script at Redis, including the wait for a connection; a pipeline is one span",
    roles=EVERY,
    kind=SpanKind.CLIENT,
    attributes={
        "db.system.name": "`redis`",
        "db.operation.name": "the name of the command (`XREAD`) or script (`accept`)",
    },
)
