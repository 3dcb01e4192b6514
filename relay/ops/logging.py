"""Logs: one line for each event, as JSON or text, in the same form for the relay and its libraries."""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

from relay.ops import grpc_log, span

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["json", "text"]

MASK: Final = "[hidden]"

# Whole field names, or their last word: `client_secret`, `Authorization`, `refresh_token`. `key_id` and `code`, which is
# what Microsoft calls the cause of a refusal, stay.
_SECRET_FIELD: Final = re.compile(
    r"(?:^|[_\-.])(?:token|secret|password|passwd|authorization|assertion|cookie|key|credential|cache)s?$",
    re.IGNORECASE,
)
_SECRET_TEXT: Final = re.compile(
    r"psk_[0-9a-f]{1,32}_[A-Za-z0-9_-]+"  # a suite key
    r"|\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}"  # a JWT or a JWE
    r"|\b[01]\.A[A-Za-z0-9_-]{40,}(?:\.[A-Za-z0-9_-]+)*"  # Entra's codes and refresh tokens
    r"|(?<=[?&])(?:code|client_secret|client_assertion|refresh_token|access_token|state)=[^&\s\"']+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)",  # user and password of a URL
    re.IGNORECASE,
)
_DEEPEST: Final = 4  # deeper nested values are masked: no log line of ours is that deep

# Libraries whose lines below WARNING are of no use to operators, and may contain secrets at level debug.
_QUIET: Final = (
    "msal",
    "httpx",
    "httpcore",
    "urllib3",
    "aiohttp",
    "asyncio",
    "grpc",
    "opentelemetry",
    "redis",
    "uvicorn",
)


def configure(form: LogFormat, level: str, stream: TextIO | None = None) -> None:
    """Write the logs of the whole process to `stream` (standard error) from now on."""
    output = stream or sys.stderr
    # gRPC's core bypasses Python's logging, and logs each failed handshake. It reads this variable when it starts.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a logger created at import must follow a later configuration
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_shared(), processors=_ending(form, output))
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    of_grpc = logging.getLogger(grpc_log.NAME)
    of_grpc.filters[:] = [grpc_log.StrangersQuiet()]
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask values that look like secrets, by the field's name or by their form; a structlog processor."""
    return {name: MASK if _is_secret(name, value) else _masked(value) for name, value in event.items()}


def _shared() -> list[Processor]:
    """Return the processors of every line, those of libraries included."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_trace,
        structlog.processors.StackInfoRenderer(),
    ]


def _with_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the ids of the trace and the span in which the line is logged, if any."""
    if (ids := span.ids()) is not None:
        event["trace_id"], event["span_id"] = ids
    return event


def _ending(form: LogFormat, stream: TextIO) -> list[Processor]:
    # Exceptions become text before masking, because a library's exception may contain a secret.
    start: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if form == "json":
        return [*start, structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer(default=str)]
    console = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    return [*start, structlog.processors.format_exc_info, redact, console]


def _is_secret(name: str, value: object) -> bool:
    return isinstance(value, str | bytes) and _SECRET_FIELD.search(name) is not None


def _masked(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return _SECRET_TEXT.sub(MASK, value)
    if isinstance(value, bytes):
        return f"[{len(value)} bytes]"
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= _DEEPEST:
        return MASK
    if isinstance(value, dict):
        return _masked_fields(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(item, depth + 1) for item in value]
    return _SECRET_TEXT.sub(MASK, str(value))


def _masked_fields(fields: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {
        str(name): MASK if _is_secret(str(name), value) else _masked(value, depth + 1) for name, value in fields.items()
    }
