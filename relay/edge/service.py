"""The two RPCs: who calls, what they ask for, how they end."""

from __future__ import annotations

import asyncio
import math
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog

from presence_api.v1 import presence_service_pb2 as pb
from relay.edge.errors import ShuttingDown
from relay.edge.gate import VERIFIED, refused
from relay.edge.requests import OnlyRequest, Requests
from relay.edge.watch import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grpc.aio import ServicerContext

    from relay.edge.shared import Shared

    Context = ServicerContext[bytes, bytes]

_log = structlog.get_logger(__name__)

_LATE: Final = 1.1
"""gRPC tells a connection that it takes no new streams up to a tenth later than its age."""
_ON_ITS_WAY: Final = timedelta(seconds=1)
"""For the client to hear of that, and for connections that had just been accepted to do their TLS handshake: their age begins then."""
_TOLD_BY: Final = 2 / 3
"""The part of a drain's delay within which all suites are asked to leave; the rest is theirs to spread over."""

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
        self._closing_since = math.inf
        told = shared.settings.connection_age * _LATE + _ON_ITS_WAY
        self._settles_s = min(told, shared.settings.drain_delay * _TOLD_BY).total_seconds()

    def handler(self) -> grpc.GenericRpcHandler:
        """What the gRPC server is given."""
        methods: dict[str, Any] = {
            "WatchPresence": grpc.stream_stream_rpc_method_handler(self._watch_presence),
            # The same on the wire as unary-stream, whose message gRPC would read whole before anybody looks at the key.
            "StreamPresence": grpc.stream_stream_rpc_method_handler(self._stream_presence),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    @property
    def settled_at(self) -> float:
        """When no connection takes a new stream any more, by the loop's clock; infinite before a drain."""
        return self._closing_since + self._settles_s

    async def drain(self) -> None:
        """Ask the open streams to leave, and return when all have; no connection may be accepted any more.

        Streams that were on their way are taken in and asked as well, until all connections were told to take none.
        """
        self._closing_since = asyncio.get_running_loop().time()
        for stream in self._streams:
            self._send_away(stream)
        await self._nobody.wait()

    def _send_away(self, stream: Stream) -> None:
        """Ask a stream to leave as soon as its connection, which is as old as the stream at least, takes no other any more."""
        begun_at = min(stream.opened_at, self._closing_since)
        leave_by = self._closing_since + self._shared.settings.drain_delay.total_seconds()
        stream.shut_down(after=begun_at + self._settles_s, leave_by=leave_by)

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
        if asyncio.get_running_loop().time() >= self.settled_at:
            raise ShuttingDown("This relay process stops")
        key = VERIFIED.get()
        with self._shared.open_calls.entered(key.tenant_id, key.key_id) as place:
            stream = Stream(self._shared, key, place, context, requests)
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
        if self._closing_since < math.inf:
            self._send_away(stream)
        try:
            yield
        finally:
            self._streams.discard(stream)
            self._shared.counts.streams = len(self._streams)
            if not self._streams:
                self._nobody.set()
