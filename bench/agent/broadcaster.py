"""The peer, a minimal Starlette server: it reads the same stream and broadcasts it, with no rule, store or check."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import grpc
import uvicorn
from grpc import aio
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from bench.agent.direct import stamp_of
from presence_api.v1 import presence_service_pb2 as api
from presence_api.v1 import presence_service_pb2_grpc as rpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from multiprocessing.connection import Connection

    from starlette.requests import Request

    from presence_api.v1 import presence_pb2 as pb

_PADDING = "x" * 330
"""Padding that makes an event as long as the agent's."""


def broadcast(pipe: Connection, relay_port: int, ca_pem: bytes, names: list[str], port: int) -> None:
    """Serve on a port; send a message when all names have a presence."""
    asyncio.run(_Broadcaster().run(pipe, relay_port, ca_pem, names, port))


class _Broadcaster:
    def __init__(self) -> None:
        self._latest: dict[str, bytes] = {}
        self._consoles: set[asyncio.Queue[bytes]] = set()

    async def run(self, pipe: Connection, relay_port: int, ca_pem: bytes, names: list[str], port: int) -> None:
        app = Starlette(routes=[Route("/v1/events", self._events)])
        config = uvicorn.Config(app, port=port, http="h11", log_config=None, access_log=False, lifespan="off")
        serving = asyncio.create_task(uvicorn.Server(config).serve())
        options = [("grpc.enable_http_proxy", 0)]
        credentials = grpc.ssl_channel_credentials(ca_pem)
        async with aio.secure_channel(f"localhost:{relay_port}", credentials, options=options) as channel:
            call = rpc.PresenceServiceStub(channel).WatchPresence()
            await call.write(api.WatchPresenceRequest(start=api.WatchStart(subscribe_users=names)))
            while isinstance(response := await call.read(), api.WatchPresenceResponse):
                for answer in response.batch.answers:
                    self._tell(answer.user_id, answer.presence)
                if response.batch.snapshot_complete:
                    pipe.send("told")
        await serving

    def _tell(self, user: str, presence: pb.UserPresence) -> None:
        shown: dict[str, Any] = {
            "user": user, "status": int(presence.console_status), "since": stamp_of(presence), "more": _PADDING,
        }  # fmt: skip
        event = self._latest[user] = b"event: state\ndata: " + json.dumps(shown).encode() + b"\n\n"
        for console in self._consoles:
            console.put_nowait(event)

    async def _events(self, _request: Request) -> StreamingResponse:
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[bytes]:
        console: asyncio.Queue[bytes] = asyncio.Queue()
        self._consoles.add(console)
        with contextlib.ExitStack() as stack:
            stack.callback(self._consoles.discard, console)
            for event in list(self._latest.values()):
                yield event
            yield b"event: complete\ndata: {}\n\n"
            while True:
                yield await console.get()
