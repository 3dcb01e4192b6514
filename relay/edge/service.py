"""The two RPCs: who calls, what they ask for, how they end."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog

from relay.api.presence.v1 import presence_service_pb2 as pb
from relay.edge.errors import ShuttingDown
from relay.edge.gate import VERIFIED, refused
from relay.edge.requests import OnlyRequest, Requests
from relay.edge.watch import DrainReason, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grpc.aio import ServicerContext

    from relay.edge.shared import Shared

    Context = ServicerContext[bytes, bytes]

_log = structlog.get_logger(__name__)

SERVICE: Final = pb.DESCRIPTOR.services_by_name["PresenceService"].full_name


class PresenceService:
    """Serves `PresenceService`.

    Requests and responses are bytes here: a request is parsed where it can be refused in words, a response is made by
    joining bytes.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._streams: set[Stream] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._closing = False

    def handler(self) -> grpc.GenericRpcHandler:
        """What the gRPC server is given."""
        methods: dict[str, Any] = {
            "WatchPresence": grpc.stream_stream_rpc_method_handler(self._watch_presence),
            # The same on the wire as unary-stream, whose message gRPC would read whole before anybody looks at the key.
            "StreamPresence": grpc.stream_stream_rpc_method_handler(self._stream_presence),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def drain(self) -> None:
        """Take no new streams, ask the open ones to leave, and return when all have."""
        self._closing = True
        for stream in self._streams:
            stream.drain(DrainReason.REASON_SHUTDOWN)
        await self._nobody.wait()

    async def _watch_presence(self, _requests: object, context: Context) -> None:
        await self._serve(context, Requests(context.read, self._shared.settings))

    async def _stream_presence(self, _requests: object, context: Context) -> None:
        await self._serve(context, OnlyRequest(context.read, self._shared.settings))

    async def _serve(self, context: Context, requests: Requests) -> None:
        try:
            error = await self._run(context, requests)
        except asyncio.CancelledError:
            raise
        except Exception as caught:
            error = caught
        if error is None:
            return
        try:
            if not requests.begun:
                await self._shared.strangers.hear_out(context.read)
            await refused(context, error)
        finally:
            del error  # a cycle else: this frame, what `refused` raises, this frame

    async def _run(self, context: Context, requests: Requests) -> BaseException | None:
        if self._closing:
            raise ShuttingDown("This relay process stops")
        key = VERIFIED.get()
        with self._shared.open_calls.admitted(key.tenant_id):
            stream = Stream(self._shared, key, context, requests)
            with self._listed(stream):
                error = await stream.run()
        reason = type(error).__name__ if error else "closed"
        _log.info("stream_closed", tenant_id=key.tenant_id, key_id=key.key_id, reason=reason)
        return error

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
