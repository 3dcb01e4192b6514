"""Checks the metadata size and the suite key of every call, for all methods, before any message is read.

    call ──► metadata below 16 KiB? ──► Health: no key, with its own limits
                                   └──► key in the metadata, verified ──► its method, which finds it in `VERIFIED`

Only then is a message read. gRPC reads the single request of a unary method before it calls the handler, so all methods are
registered as streams, which look the same on the wire.
"""

from __future__ import annotations

import secrets
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog
from grpc_health.v1 import health

from relay.edge import metrics
from relay.edge.errors import MetadataTooLarge, forget_frames, is_expected, wire_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from grpc.aio import ServicerContext

    from relay.edge.auth import KeyVerifier
    from relay.edge.settings import EdgeSettings
    from relay.edge.unauthenticated import UnauthenticatedCalls
    from relay.store.custody.suite_key_records import KeyRecord

    Metadata = Iterable[tuple[str, str | bytes]]

_log = structlog.get_logger(__name__)

VERIFIED: Final[ContextVar[KeyRecord]] = ContextVar("verified")
"""The suite key of the call under way."""

_FIELD_BYTES: Final = 32
"""Bytes that one field counts in addition to name and value: https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2."""
_OTHER: Final = "_OTHER"
"""OpenTelemetry's value for methods that are not named."""
_HEALTH: Final = f"/{health.SERVICE_NAME}/"


class Gate(grpc.aio.ServerInterceptor):  # type: ignore[misc, unused-ignore]
    """Lets calls through, or ends them with the reason."""

    def __init__(self, auth: KeyVerifier, unauthenticated: UnauthenticatedCalls, settings: EdgeSettings) -> None:
        self._auth = auth
        self._unauthenticated = unauthenticated
        self._settings = settings

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Return the method's handler, or one that refuses the call."""
        metadata, begun = handler_call_details.invocation_metadata or (), time.monotonic()
        try:
            self._check(metadata)
            if not handler_call_details.method.startswith(_HEALTH):
                VERIFIED.set(await self._auth.verify(metadata))
        except Exception as error:
            return self._refusal(error, begun)
        return await continuation(handler_call_details)

    def _check(self, metadata: Metadata) -> None:
        # gRPC's core does not enforce the limit that is set: measured with grpcio 1.85.1.
        limit = self._settings.metadata_bytes
        if _bytes(metadata) > limit:
            raise MetadataTooLarge(f"The call's metadata is longer than {limit} bytes")

    def _refusal(self, error: Exception, begun: float) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def refuse(_requests: object, context: ServicerContext[bytes, bytes]) -> None:
            await self._unauthenticated.read_first(context.read)
            await refused(context, error, begun)

        return grpc.stream_stream_rpc_method_handler(refuse)


async def refused(context: ServicerContext[Any, Any], error: BaseException, begun: float, method: str = _OTHER) -> None:
    """End a call with an error, and log it if it is unexpected. Raise what `context.abort` raises.

    Args:
        context: of the call.
        error: why it ends.
        begun: when it began, by the monotonic clock.
        method: its name, for methods of the API for suites.
    """
    incident = "" if is_expected(error) else secrets.token_hex(4)
    if incident:
        _log.error("stream_failed", incident=incident, exc_info=error)
    forget_frames(error)
    ending = wire_error(error, incident)
    note_end(begun, method, ending.code.name, ending.reason)
    await context.abort(ending.code, ending.message, ending.trailers())


def note_end(begun: float, method: str, code: str = "OK", reason: str = "") -> None:
    """Record the end of a call: its status and the reason that the suite received."""
    metrics.CALLS.record(time.monotonic() - begun, "grpc", method, code, reason)


def _bytes(metadata: Metadata) -> int:
    return sum(len(name) + len(value) + _FIELD_BYTES for name, value in metadata)
