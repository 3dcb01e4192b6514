"""The server: one ASGI application for all surfaces, TLS, start and stop.

Plain ASGI rather than a web framework: requests of `$batch` go through the same handlers as requests of their own, every
surface is subject to the same journal, faults and latency, and a bulk read costs little beside its bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emulator import state, tls
from emulator.cloud import Cloud
from emulator.config import Config
from emulator.control.service import PREFIX as CONTROL
from emulator.control.service import Control
from emulator.demo import demo
from emulator.entra.keys import SigningKey
from emulator.entra.service import TOKEN_PATH, Entra
from emulator.exchange import Answer, Request, json_answer
from emulator.graph.service import PREFIX as GRAPH
from emulator.graph.service import Graph

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope


log = logging.getLogger(__name__)

MOST_BODY_BYTES: Final = 4 * 1024 * 1024
"""Far above the largest request there is, a bulk read of 26 kB or a batch of 20 long filters."""


class Emulator:
    """A local Microsoft cloud in this process."""

    @staticmethod
    @asynccontextmanager
    async def start(config: Config | None = None) -> AsyncIterator[Cloud]:
        """Run a cloud while the context lasts, on a loopback port with TLS.

        Raises:
            ValueError: the kept state cannot be read.
            OSError: the port is taken, or a certificate cannot be read.
        """
        config = config or Config()
        with _listening(config.port) as listener:
            context, ca_pem = tls.server_context(config)
            url = f"https://127.0.0.1:{listener.getsockname()[1]}"
            kept = state.load(config.state) if config.state is not None else None
            kept = kept or state.fresh(config.world or demo())
            cloud = Cloud(config, kept.world, url, ca_pem, SigningKey(kept.signing_key), kept.seal)
            keeper = state.Keeper(config.state, cloud) if config.state is not None else None
            async with _serving(Application(cloud), listener, context), _tasks(cloud, keeper):
                yield cloud


class Application:
    """The ASGI application."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._entra = Entra(cloud)
        self._graph = Graph(cloud)
        self._control = Control(cloud)
        cloud.on_reset = self._graph.throttle.reset

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        began = time.monotonic()
        body = await _body(receive)
        request = Request(
            method=scope["method"], path=unquote(scope["raw_path"].decode("latin-1").partition("?")[0]),
            query=scope["query_string"], headers=dict(scope["headers"]), body=body or b"",
        )  # fmt: skip
        answer = Answer(413) if body is None else await self._answer(request)
        if not request.path.startswith(CONTROL):
            self._cloud.journal.write(request, answer, began)
        if answer.reset:
            cast("Any", scope)["emulator.transport"].abort()
            return
        await _send(send, answer)

    async def _answer(self, request: Request) -> Answer:
        if request.path.startswith(CONTROL):
            return self._control.handle(request)
        surface = self._graph if request.path.startswith(GRAPH) else self._entra
        request.tenant_id = surface.tenant_of(request)
        fault = self._cloud.faults.meet(request)
        delay_ms = self._latency_ms(request) + (fault.latency_ms if fault is not None else 0)
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        answer = fault.answer() if fault is not None else None
        if answer is not None:
            request.reason = "fault"
            return answer
        answer = _guarded(surface, request)
        if fault is not None:
            fault.spoil(answer)
        return answer

    def _latency_ms(self, request: Request) -> float:
        switches = self._cloud.switches
        if request.path.startswith(GRAPH):
            return switches.graph_latency_ms_of.get(request.tenant_id, switches.graph_latency_ms)
        if request.path.endswith(TOKEN_PATH):
            return switches.token_latency_ms_of.get(request.tenant_id, switches.token_latency_ms)
        return 0


def _guarded(surface: Entra | Graph, request: Request) -> Answer:
    """A surface's answer; a fault of our own is a 500 with its trace in the log."""
    try:
        return surface.handle(request)
    except Exception:
        log.exception("request_failed")
        request.reason = "internal error"
        return json_answer(
            {"error": {"code": "InternalServerError", "message": "A fault of the emulator; see its log."}}, 500
        )


async def _body(receive: ASGIReceiveCallable) -> bytes | None:
    """A request's body; None when it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        if message["type"] == "http.request":
            size += len(message["body"])
            if size <= MOST_BODY_BYTES:
                parts.append(message["body"])
            if not message["more_body"]:
                return b"".join(parts) if size <= MOST_BODY_BYTES else None


async def _send(send: ASGISendCallable, answer: Answer) -> None:
    headers = [
        (b"content-type", answer.content_type), (b"content-length", str(len(answer.body)).encode()), *answer.headers
    ]  # fmt: skip
    await send({"type": "http.response.start", "status": answer.status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


class _Protocol(HttpToolsProtocol):
    """Lets the application tear a connection down."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("Any", self.scope)["emulator.transport"] = self.transport


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        if port:  # a port that the system chooses must be nobody else's, and with this option it may be
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        yield listener


@asynccontextmanager
async def _serving(application: Application, listener: socket.socket, context: ssl.SSLContext) -> AsyncIterator[None]:
    settings: dict[str, Any] = {"lifespan": "off", "ws": "none", "log_config": None, "access_log": False}
    config = uvicorn.Config(
        application, http=_Protocol, ssl_context_factory=lambda *_: context, timeout_graceful_shutdown=1, backlog=4096,
        server_header=False, timeout_keep_alive=75, **settings,
    )  # fmt: skip
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    ticking = asyncio.create_task(server.main_loop(), name="emulator-server")
    try:
        yield
    finally:
        ticking.cancel()
        await _stop(server, ticking)


async def _stop(server: uvicorn.Server, ticking: asyncio.Task[None]) -> None:
    """Stop at once, requests in progress included.

    Not `serve` and its shutdown: they take the process's signals, and wait for the TLS goodbye of clients that keep
    their connections open.
    """
    for listening in server.servers:
        listening.close()
    for connection in list(server.server_state.connections):
        cast("Any", connection).transport.abort()
    running = [ticking, *server.server_state.tasks]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@asynccontextmanager
async def _tasks(cloud: Cloud, keeper: state.Keeper | None) -> AsyncIterator[None]:
    """The world's clock and the keeper of the state, while the context lasts."""
    running = [asyncio.create_task(cloud.clock.run(), name="emulator-clock")]
    if keeper is not None:
        keeper.close()  # what was just made up is kept before anybody relies on it
        running.append(asyncio.create_task(keeper.run(), name="emulator-state"))
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if keeper is not None:
            keeper.close()


def ready_line(cloud: Cloud) -> str:
    """What the program says when it is ready."""
    return msgspec.json.encode({"url": cloud.url, "control": f"{cloud.url}{CONTROL}"}).decode()
