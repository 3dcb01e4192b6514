"""A suite that reads the relay directly with the generated client, to measure the relay's own time without an agent."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import grpc
from grpc import aio

from bench.processes import message
from presence_api.v1 import presence_service_pb2 as api
from presence_api.v1 import presence_service_pb2_grpc as rpc

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from presence_api.v1 import presence_pb2 as pb


def read(pipe: Connection, port: int, ca_pem: bytes, names: list[str]) -> None:
    """Watch the names; send a message when all have a presence. Answer each message with stamp -> time, for the changes since."""
    asyncio.run(_read(pipe, port, ca_pem, names))


async def _read(pipe: Connection, port: int, ca_pem: bytes, names: list[str]) -> None:
    came: dict[str, float] = {}
    async with aio.secure_channel(
        f"localhost:{port}", grpc.ssl_channel_credentials(ca_pem), options=[("grpc.enable_http_proxy", 0)]
    ) as channel:
        call = rpc.PresenceServiceStub(channel).WatchPresence()
        await call.write(api.WatchPresenceRequest(start=api.WatchStart(subscribe_users=names)))
        is_told = False
        while not is_told:
            response = await call.read()
            assert isinstance(response, api.WatchPresenceResponse), "the relay ended the stream"
            is_told = response.batch.snapshot_complete
        asking = asyncio.create_task(message(pipe))
        pipe.send("told")
        while True:
            reading = asyncio.ensure_future(call.read())
            while not reading.done():
                await asyncio.wait({reading, asking}, return_when=asyncio.FIRST_COMPLETED)
                if asking.done():
                    pipe.send(came)
                    came = {}
                    asking = asyncio.create_task(message(pipe))
            now, response = time.time(), reading.result()
            assert isinstance(response, api.WatchPresenceResponse), "the relay ended the stream"
            for answer in response.batch.answers:
                came[stamp_of(answer.presence)] = now


def stamp_of(presence: pb.UserPresence) -> str:
    """Return the time of a presence in the agent's format."""
    return presence.observe_time.ToDatetime().isoformat() + "+00:00"
