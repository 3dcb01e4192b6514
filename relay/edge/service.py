"""The two RPCs: who calls, what they ask for, how they end."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog

from relay.api.presence.v1 import presence_service_pb2 as pb
from relay.edge.errors import ShuttingDown, ending_of, is_expected
from relay.edge.requests import Requests, only_start
from relay.edge.watch import DrainReason, Stream
from relay.errors import TooManyWatches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grpc.aio import ServicerContext

    from relay.core.presence import TenantId
    from relay.edge.shared import Shared

    Context = ServicerContext[bytes, bytes]

_log = structlog.get_logger(__name__)

_HEAR_OUT_S: Final = 1.0
"""A start is on its way already when a call arrives; a caller that sends none does not wait for it either."""

SERVICE: Final = pb.DESCRIPTOR.services_by_name["PresenceService"].full_name


class PresenceService:
    """Serves `PresenceService`.

    Requests and responses are bytes here: a request is parsed where it can be refused in words, a response is made by
    joining bytes.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._open: Counter[TenantId] = Counter()
        self._streams: set[Stream] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._closing = False

    def handler(self) -> grpc.GenericRpcHandler:
        """What the gRPC server is given."""
        methods: dict[str, Any] = {
            "WatchPresence": grpc.stream_stream_rpc_method_handler(self._watch_presence),
            "StreamPresence": grpc.unary_stream_rpc_method_handler(self._stream_presence),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def drain(self) -> None:
        """Take no new streams, ask the open ones to leave, and return when all have."""
        self._closing = True
        for stream in self._streams:
            stream.drain(DrainReason.REASON_SHUTDOWN)
        await self._nobody.wait()

    async def _watch_presence(self, _requests: object, context: Context) -> None:
        await self._serve(context, None)

    async def _stream_presence(self, request: bytes, context: Context) -> None:
        await self._serve(context, request)

    async def _serve(self, context: Context, request: bytes | None) -> None:
        requests = Requests(context.read, self._shared.settings) if request is None else None
        try:
            error = await self._run(context, request, requests)
        except asyncio.CancelledError:
            raise
        except Exception as caught:
            error = caught
        if error is not None:
            if requests is not None and not requests.begun:
                await self._hear_out(requests)
            incident = "" if is_expected(error) else secrets.token_hex(4)
            if incident:
                _log.error("stream_failed", incident=incident, exc_info=error)
            ending = ending_of(error, incident)
            await context.abort(ending.code, ending.message, ending.trailers())

    async def _hear_out(self, requests: Requests) -> None:
        """Let the suite get rid of its start before it is refused.

        A Python client whose first write meets a call that is over forgets why it was refused and reports INTERNAL.
        """
        reading = self._shared.background(requests.first(), "stream-refuse")
        await asyncio.wait({reading}, timeout=_HEAR_OUT_S)

    async def _run(self, context: Context, request: bytes | None, requests: Requests | None) -> BaseException | None:
        if self._closing:
            raise ShuttingDown("This relay process stops")
        key = await self._shared.auth.verify(context.invocation_metadata() or ())
        with self._admitted(key.tenant_id):
            start = None if request is None else only_start(request, self._shared.settings)
            stream = Stream(self._shared, key, context, requests)
            with self._listed(stream):
                error = await stream.run(start)
        reason = type(error).__name__ if error else "closed"
        _log.info("stream_closed", tenant_id=key.tenant_id, key_id=key.key_id, reason=reason)
        return error

    @contextmanager
    def _admitted(self, tenant_id: TenantId) -> Iterator[None]:
        limit = self._shared.settings.streams_per_tenant
        if self._open[tenant_id] >= limit:
            raise TooManyWatches(f"The tenant may have {limit} streams open", limit=str(limit), per="tenant")
        self._open[tenant_id] += 1
        try:
            yield
        finally:
            self._open[tenant_id] -= 1
            if not self._open[tenant_id]:
                del self._open[tenant_id]

    @contextmanager
    def _listed(self, stream: Stream) -> Iterator[None]:
        self._streams.add(stream)
        self._nobody.clear()
        self._shared.counts.streams = len(self._streams)
        if self._closing:
            stream.drain(DrainReason.REASON_SHUTDOWN)
        try:
            yield
        finally:
            self._streams.discard(stream)
            self._shared.counts.streams = len(self._streams)
            if not self._streams:
                self._nobody.set()
