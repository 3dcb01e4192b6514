"""The two RPCs: each call becomes a stream, and ends with an error in plain words."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog

from presence_api.v1 import presence_service_pb2 as pb
from relay.edge.errors import ShuttingDown
from relay.edge.gate import VERIFIED, note_end, refused
from relay.edge.requests import OnlyRequest, Requests
from relay.edge.stream.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grpc.aio import ServicerContext

    from relay.edge.context import EdgeContext

    Context = ServicerContext[bytes, bytes]

_log = structlog.get_logger(__name__)

_LATE: Final = 1.1
"""gRPC sends GOAWAY up to a tenth later than the connection's age limit."""
_ON_ITS_WAY: Final = timedelta(seconds=1)
"""Time for the GOAWAY to reach the client, and for connections that had just been accepted to complete their TLS
handshake: their age begins then."""
_TOLD_BY: Final = 2 / 3
"""The part of a drain's delay within which the edge asks all suites to leave; the suites spread over the rest."""

SERVICE: Final = pb.DESCRIPTOR.services_by_name["PresenceService"].full_name


class PresenceService:
    """Serves `PresenceService`.

    Requests and responses are bytes here: the code that parses a request can refuse it with a reason, and a response is
    made by joining bytes.
    """

    def __init__(self, edge: EdgeContext) -> None:
        self._edge = edge
        self._streams: set[Stream] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._closing_since = math.inf
        told = edge.settings.connection_age * _LATE + _ON_ITS_WAY
        self._settles_s = min(told, edge.settings.drain_delay * _TOLD_BY).total_seconds()

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the methods for the gRPC server."""
        methods: dict[str, Any] = {
            "WatchPresence": grpc.stream_stream_rpc_method_handler(self._watch_presence),
            # The same on the wire as unary-stream. For unary-stream, gRPC would read the whole message before the key is checked.
            "StreamPresence": grpc.stream_stream_rpc_method_handler(self._stream_presence),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    @property
    def settled_at(self) -> float:
        """Return the time, by the edge's clock, from which no connection takes a new stream; infinite before a drain."""
        return self._closing_since + self._settles_s

    @property
    def streams(self) -> int:
        """Return the number of open streams."""
        return len(self._streams)

    @property
    def leaving(self) -> int:
        """Return the number of streams that were asked to leave."""
        return sum(stream.is_leaving for stream in self._streams)

    @property
    def writing(self) -> int:
        """Return the number of streams with a write under way."""
        return sum(stream.is_writing for stream in self._streams)

    @property
    def is_draining(self) -> bool:
        """Return whether a drain has begun."""
        return self._closing_since < math.inf

    async def drain(self) -> None:
        """Ask the open streams to leave, and return when all have left. The edge must have stopped accepting connections.

        Streams that arrive meanwhile are accepted and also asked to leave, until GOAWAY was sent on all connections. A
        second call joins the drain under way.
        """
        self._closing_since = min(self._closing_since, self._edge.clock.monotonic())
        for stream in self._streams:
            self._ask_to_leave(stream)
        await self._nobody.wait()

    def _ask_to_leave(self, stream: Stream) -> None:
        """Ask a stream to leave as soon as its connection, which is at least as old as the stream, takes no new streams."""
        begun_at = min(stream.opened_at, self._closing_since)
        leave_by = self._closing_since + self._edge.settings.drain_delay.total_seconds()
        stream.shut_down(after=begun_at + self._settles_s, leave_by=leave_by)

    async def _watch_presence(self, _requests: object, context: Context) -> None:
        await self._serve("WatchPresence", context, Requests(context.read, self._edge.settings))

    async def _stream_presence(self, _requests: object, context: Context) -> None:
        await self._serve("StreamPresence", context, OnlyRequest(context.read, self._edge.settings))

    async def _serve(self, method: str, context: Context, requests: Requests) -> None:
        method, begun = f"{SERVICE}/{method}", time.monotonic()
        try:
            error = await self._run(context, requests)
        except asyncio.CancelledError:
            note_end(begun, method, grpc.StatusCode.CANCELLED.name)
            raise
        except Exception as caught:
            error = caught
        if error is None:
            note_end(begun, method)
            return
        try:
            if not requests.begun:
                await self._edge.unauthenticated.read_first(context.read)
            await refused(context, error, begun, method)
        finally:
            del error  # else a reference cycle: this frame, the error that `refused` raises, this frame

    async def _run(self, context: Context, requests: Requests) -> BaseException | None:
        if self._edge.clock.monotonic() >= self.settled_at:
            raise ShuttingDown("This relay process is stopping")
        key = VERIFIED.get()
        with self._edge.open_calls.entered(key.tenant_id, key.key_id) as slot:
            stream = Stream(self._edge, key, slot, context, requests)
            with self._listed(stream):
                error = await stream.run()
        reason = type(error).__name__ if error else "closed"
        _log.info("stream_closed", tenant_id=key.tenant_id, key_id=key.key_id, reason=reason)
        return error

    @contextmanager
    def _listed(self, stream: Stream) -> Iterator[None]:
        self._streams.add(stream)
        self._nobody.clear()
        if self.is_draining:
            self._ask_to_leave(stream)
        try:
            yield
        finally:
            self._streams.discard(stream)
            if not self._streams:
                self._nobody.set()
