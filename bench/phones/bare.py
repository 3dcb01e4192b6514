"""The peer: it writes a prepared message to every connection for every change, with no rule, state or check."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from starlette.requests import Request

_BODY_BYTES: Final = 1500
"""A body as long as the agent's for one change."""
_HEAD: Final = (
    "NOTIFY sip:phone@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKbare\r\nFrom: <sip:a@b>;tag=a\r\n"
    "To: <sip:c@d>;tag=c\r\nCall-ID: bare\r\nCSeq: 1 NOTIFY\r\nContent-Length: "
)


def serve(pipe: Connection, api_port: int, sip_port: int) -> None:
    """Accept changes like the agent's local API, and write each to all connections."""
    asyncio.run(_Bare().run(pipe, api_port, sip_port))


class _Bare:
    def __init__(self) -> None:
        self._connections: set[asyncio.StreamWriter] = set()

    async def run(self, pipe: Connection, api_port: int, sip_port: int) -> None:
        app = Starlette(routes=[Route("/v1/presence", self._presence, methods=["POST"])])
        config = uvicorn.Config(app, port=api_port, http="h11", log_config=None, access_log=False, lifespan="off")
        serving = uvicorn.Server(config)
        async with await asyncio.start_server(self._connected, "127.0.0.1", sip_port):
            task = asyncio.create_task(serving.serve())
            while not serving.started:  # noqa: ASYNC110  uvicorn has no event for it
                await asyncio.sleep(0.01)
            pipe.send("serving")
            await task

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        with suppress(OSError):
            while await reader.read(65_536):
                pass

    async def _presence(self, request: Request) -> Response:
        for state in json.loads(await request.body())["states"]:
            body = f'<resource uri="sip:{state["user"]}@'.ljust(_BODY_BYTES)
            message = f"{_HEAD}{len(body)}\r\n\r\n{body}".encode()
            for each in self._connections:
                each.write(message)
        return Response()
