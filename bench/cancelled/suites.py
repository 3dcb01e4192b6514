"""Suites that open streams and cancel them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import grpc

from bench.fanout.relay import name
from bench.processes import message
from presence_api.v1 import presence_service_pb2 as pb
from presence_api.v1 import presence_service_pb2_grpc
from relay.ops import loop

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_USERS: Final = 20
"""Users that each stream watches."""
_ECHOED: Final = 200
_ECHO_CHARS: Final = 1_000
"""Names that are too long and are returned as refused: 200 KB, three times what HTTP/2 lets the edge send unread."""
_CHANNELS: Final = 4
_OPTIONS: Final = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.http2.bdp_probe", 0),  # otherwise the client buffers 4 MB of a stream that it does not read
    ("grpc.http2.lookahead_bytes", 4096),
]


NEW_CONNECTIONS: Final = -1
"""Message instead of a number of streams: close all connections."""


def cancel(pipe: Connection, port: int, key: str) -> None:
    """Open as many streams as each message says, half of them unread; cancel all at the message 0."""
    loop.run(_cancel(pipe, port, key))


async def _cancel(pipe: Connection, port: int, key: str) -> None:
    channels = _channels(port)
    users = [name(number) for number in range(_USERS)]
    reads = pb.WatchPresenceRequest(start=pb.WatchStart(subscribe_users=users))
    echoed = ["x" * (_ECHO_CHARS - 4) + f"{number:04}" for number in range(_ECHOED)]
    blocks = pb.WatchPresenceRequest(start=pb.WatchStart(subscribe_users=[*users, *echoed]))
    calls: list[Any] = []
    while True:
        (count,) = await message(pipe)
        if count == NEW_CONNECTIONS:
            await asyncio.gather(*(channel.close() for channel in channels))
            channels = _channels(port)
        elif count:
            made = (
                _open(channels[n % _CHANNELS], key, (reads, blocks)[n % 2], is_read=not n % 2) for n in range(count)
            )
            calls += await asyncio.gather(*made)
        else:
            for call in calls:
                call.cancel()
            calls.clear()
        pipe.send(count)


def _channels(port: int) -> list[grpc.aio.Channel]:
    return [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS) for _ in range(_CHANNELS)]


async def _open(channel: grpc.aio.Channel, key: str, start: pb.WatchPresenceRequest, *, is_read: bool) -> Any:
    """Return an open stream; if it is read, its snapshot is complete."""
    stub = presence_service_pb2_grpc.PresenceServiceStub(channel)
    call: Any = stub.WatchPresence(metadata=[("authorization", f"Bearer {key}")])
    await call.write(start)
    while is_read:
        response = await call.read()
        if response is grpc.aio.EOF:
            raise RuntimeError(f"the edge ended a stream: {await call.details()}")
        is_read = not response.batch.snapshot_complete
    return call
