"""The same streams at a minimal server, to measure the memory that gRPC itself retains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc

from bench.cancelled import memory
from bench.processes import message
from presence_api.v1 import presence_service_pb2 as pb
from relay.ops import loop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from multiprocessing.connection import Connection


_SERVICE: Final = pb.DESCRIPTOR.services_by_name["PresenceService"].full_name


def serve(pipe: Connection) -> None:
    """Run such a server; send its port, and answer each message with its memory."""
    loop.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    bare = _Bare()
    server = grpc.aio.server()
    handler: Any = grpc.stream_stream_rpc_method_handler(
        bare.watch, pb.WatchPresenceRequest.FromString, pb.WatchPresenceResponse.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"WatchPresence": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    pipe.send(port)
    while True:
        (question,) = await message(pipe)
        pipe.send((bare.streams, bare.writing) if question == "state" else await memory.kept())


class _Bare:
    def __init__(self) -> None:
        self.streams = 0
        self.writing = 0

    async def watch(self, requests: AsyncIterator[pb.WatchPresenceRequest], context: Any) -> None:
        """Send as many bytes as the edge, which returns the refused names."""
        self.streams += 1
        try:
            async for request in requests:
                response = pb.WatchPresenceResponse()
                response.batch.snapshot_complete = True
                for name in request.start.subscribe_users:
                    response.batch.resolved.add(user=name)
                self.writing += 1
                try:
                    await context.write(response)
                finally:
                    self.writing -= 1
        finally:
            self.streams -= 1
