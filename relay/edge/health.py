"""gRPC's health service, the only one that needs no suite key: https://github.com/grpc/grpc/blob/master/doc/health-checking.md.

`Check` is always answered. `Watch` lasts as long as its caller likes, so there are few places for it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2

from relay.edge.errors import Busy
from relay.edge.gate import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grpc.aio import ServicerContext

    from relay.edge.settings import EdgeSettings
    from relay.edge.unauthenticated import UnauthenticatedCalls

_MOST_BYTES: Final = 1024
"""Size of a request, which names a service."""


class HealthService:
    """Reports the health of each service."""

    def __init__(self, unauthenticated: UnauthenticatedCalls, settings: EdgeSettings) -> None:
        self._unauthenticated = unauthenticated
        self._settings = settings
        self._servicer = health.aio.HealthServicer()
        self._watches = 0

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the methods for the gRPC server."""
        serialize = health_pb2.HealthCheckResponse.SerializeToString
        methods: dict[str, Any] = {
            "Check": grpc.stream_stream_rpc_method_handler(self._check, response_serializer=serialize),
            "Watch": grpc.stream_stream_rpc_method_handler(self._watch, response_serializer=serialize),
        }
        return grpc.method_handlers_generic_handler(health.SERVICE_NAME, methods)

    async def serving(self, *services: str) -> None:
        """Report these services as serving."""
        for service in services:
            await self._servicer.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def leave(self) -> None:
        """Report from now on that no service takes new calls."""
        await self._servicer.enter_graceful_shutdown()

    async def _check(self, _requests: object, context: ServicerContext[bytes, bytes]) -> None:
        request = await self._request(context)
        await context.write(await self._servicer.Check(request, context))

    async def _watch(self, _requests: object, context: ServicerContext[bytes, bytes]) -> None:
        begun = time.monotonic()
        try:
            with self._unauthenticated.admitted(), self._watched():
                await self._servicer.Watch(await self._request(context), context)
        except Busy as error:
            await refused(context, error, begun)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        if self._watches >= self._settings.health_watches:
            raise Busy("Too many calls watch the relay's health; use Check, or try again later")
        self._watches += 1
        try:
            yield
        finally:
            self._watches -= 1

    async def _request(self, context: ServicerContext[bytes, bytes]) -> Any:
        """Return the request, or one for the whole server if it did not arrive in time or too many are being read.

        So other callers cannot prevent an answer to a probe.
        """
        raw = await self._unauthenticated.read(context.read)
        if isinstance(raw, bytes) and len(raw) <= _MOST_BYTES:
            try:
                return health_pb2.HealthCheckRequest.FromString(raw)
            except DecodeError:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The request is not a message of this service")
        if isinstance(raw, bytes):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"The request is longer than {_MOST_BYTES} bytes")
        return health_pb2.HealthCheckRequest()
