"""gRPC's reflection, for tools such as grpcurl. It needs a suite key, counts among the tenant's streams, and is limited in time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, cast

import grpc
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection, reflection_pb2

from relay.edge.gate import VERIFIED, refused
from relay.errors import TooManyWatches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from grpc.aio import ServicerContext

    from relay.edge.context import EdgeContext

SERVICE: Final = reflection.SERVICE_NAME
_MOST_S: Final = 60.0
"""Time limit of one call. A tool sends a few requests at once and closes."""


class Reflection:
    """Lists the services and their messages."""

    def __init__(self, edge: EdgeContext, services: tuple[str, ...]) -> None:
        self._edge = edge
        self._servicer = reflection.aio.ReflectionServicer(service_names=services)

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the method for the gRPC server."""
        serialize = reflection_pb2.ServerReflectionResponse.SerializeToString
        info: Any = grpc.stream_stream_rpc_method_handler(self._serve, response_serializer=serialize)
        return grpc.method_handlers_generic_handler(SERVICE, {"ServerReflectionInfo": info})

    async def _serve(self, _requests: object, context: ServicerContext[bytes, bytes]) -> None:
        begun = time.monotonic()
        try:
            with self._edge.open_calls.entered(VERIFIED.get().tenant_id):
                answering = self._edge.tasks.start(self._answer(context), "reflection")
                await asyncio.wait({answering}, timeout=_MOST_S)
        except TooManyWatches as error:
            await refused(context, error, begun)
        if not answering.done():
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"Reflection lasts {_MOST_S:g} s at most")

    async def _answer(self, context: ServicerContext[bytes, bytes]) -> None:
        """Answer until there are no more requests. The read ends with the call: a cancelled read leaks in grpcio."""
        try:
            async for answer in self._servicer.ServerReflectionInfo(_requests(context), context):
                await context.write(answer)
        except DecodeError:
            context.set_code(grpc.StatusCode.INVALID_ARGUMENT)
            context.set_details("The request is not a message of this service")
        except Exception:
            if not context.done():
                raise


async def _requests(context: ServicerContext[bytes, bytes]) -> AsyncIterator[Any]:
    while (raw := cast("Any", await context.read())) is not grpc.aio.EOF:
        yield reflection_pb2.ServerReflectionRequest.FromString(raw)
