"""The server: one ASGI application for all surfaces, TLS, start and stop.

Plain ASGI instead of a web framework: requests in `$batch` go through the same handlers as single requests, every
surface has the same journal, faults and latency, and a bulk read costs little more than its bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
import time
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emulator import hosts, state, tls
from emulator.cloud import Cloud
from emulator.config import Config
from emulator.control.service import PREFIX as CONTROL
from emulator.control.service import Control
from emulator.demo import demo
from emulator.entra.keys import SigningKey
from emulator.entra.service import TOKEN_PATH, Entra
from emulator.exchange import Answer, Request, json_answer
from emulator.graph.paths import BETA
from emulator.graph.paths import PREFIX as GRAPH
from emulator.graph.service import Graph
from emulator.graph.userinfo import PATH as USERINFO
from emulator.proxy import proxying

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope


log = logging.getLogger(__name__)

MOST_BODY_BYTES: Final = 4 * 1024 * 1024
"""Far above the largest real request, a bulk read of 26 kB or a batch of 20 long filters."""
_WITHOUT_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

_PORT_TROUBLE: Final = {
    errno.EADDRINUSE: "the port is in use. Choose another port, or 0 for any free one.",
    errno.EACCES: "ports below 1024 need root. Run as root, or allow them with "
    "`sysctl net.ipv4.ip_unprivileged_port_start=443`, or choose a higher port.",
}


class Emulator:
    """A local Microsoft cloud in this process."""

    @staticmethod
    @asynccontextmanager
    async def start(config: Config | None = None) -> AsyncIterator[Cloud]:
        """Run a cloud while the context lasts, on a loopback port with TLS.

        Raises:
            ValueError: the stored state cannot be read.
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
            async with (
                cloud.notifications.sending(),
                _serving(AsgiApplication(cloud), listener, context),
                _proxying(cloud, listener),
                _tasks(cloud, keeper),
            ):
                yield cloud


class AsgiApplication:
    """The ASGI application that answers for Entra, Graph and the control surface."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._entra = Entra(cloud)
        self._graph = Graph(cloud)
        self._control = Control(cloud)
        cloud.on_reset = self._graph.throttle.reset

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one HTTP request and record it in the journal."""
        if scope["type"] != "http":
            return
        began = time.monotonic()
        body = await _body(receive)
        headers = dict(scope["headers"])
        where = hosts.place(headers.get(b"host", b"").decode("latin-1"), self._cloud.url)
        request = Request(
            method=scope["method"], path=unquote(scope["raw_path"].decode("latin-1").partition("?")[0]),
            query=scope["query_string"], headers=headers, body=body or b"", base=where.base, host=where.host,
            cloud=where.cloud, utc=self._cloud.clock.utc(),
        )  # fmt: skip
        answer = Answer(413) if body is None else await self._answer(request)
        if not request.path.startswith(CONTROL):
            self._cloud.journal.write(request, answer, began)
        if answer.reset:
            cast("Any", scope)["emulator.transport"].abort()
            return
        await _send(send, answer)

    async def _answer(self, request: Request) -> Answer:
        """Answer every request: an error of the emulator is a 500, with its traceback in the log."""
        if request.path.startswith(CONTROL):
            return self._control.handle(request)
        try:
            return await self._met(request)
        except Exception:
            log.exception("request_failed")
            request.reason = "internal error"
            return json_answer(
                {"error": {"code": "InternalServerError", "message": "An error of the emulator; see its log."}}, 500
            )

    async def _met(self, request: Request) -> Answer:
        """Return the surface's answer, or that of a fault that applies to the request."""
        surface = self._surface(request)
        request.tenant_id = surface.tenant_of(request)
        self._settle_cloud(request)
        fault = self._cloud.faults.meet(request)
        delay_ms = self._latency_ms(request) + (fault.latency_ms if fault is not None else 0)
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        answer = fault.answer() if fault is not None else None
        if answer is not None:
            request.reason = "fault"
            return answer
        found = surface.handle(request)
        answer = found if isinstance(found, Answer) else await found
        if fault is not None:
            fault.spoil(answer)
        return answer

    def _surface(self, request: Request) -> Entra | Graph:
        """Choose the surface: by the host under Microsoft's names, else by the path."""
        known = hosts.KNOWN.get(request.host)
        graph = (
            known[1] == "graph"
            if known is not None
            else request.path.startswith((GRAPH, BETA)) or request.path == USERINFO
        )
        return self._graph if graph else self._entra

    def _settle_cloud(self, request: Request) -> None:
        """Set the request's cloud to its tenant's if the host serves several clouds."""
        tenant = self._cloud.world.tenant(request.tenant_id) if request.tenant_id else None
        if tenant is not None and (not request.host or hosts.is_login_of(request.host, tenant.cloud)):
            request.cloud = tenant.cloud

    def _latency_ms(self, request: Request) -> float:
        switches = self._cloud.switches
        if request.path.startswith(GRAPH):
            return switches.graph_latency_ms_of.get(request.tenant_id, switches.graph_latency_ms)
        if request.path.endswith(TOKEN_PATH):
            return switches.token_latency_ms_of.get(request.tenant_id, switches.token_latency_ms)
        return 0


async def _body(receive: ASGIReceiveCallable) -> bytes | None:
    """Return a request's body; None if it is too large."""
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
    headers, body = answer.headers, answer.body
    if answer.status in _WITHOUT_BODY:
        body = b""
    else:
        headers = [(b"content-type", answer.content_type), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})


class _Protocol(HttpToolsProtocol):
    """Lets the application abort a connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("Any", self.scope)["emulator.transport"] = self.transport


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    # asyncio disables Nagle's algorithm (a delay of 40 ms) only if the listener names the protocol
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        if port:  # not for a port that the system chooses: with this option, another process might share it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with _explained(port):
            listener.bind(("127.0.0.1", port))
        yield listener


@contextlib.contextmanager
def _explained(port: int) -> Iterator[None]:
    """Add an explanation and a remedy to the error for a port that cannot be used.

    Raises:
        OSError: the same error, with an explanation.
    """
    try:
        yield
    except OSError as error:
        reason = _PORT_TROUBLE.get(error.errno or 0, error.strerror)
        raise OSError(error.errno, f"Cannot listen on 127.0.0.1 port {port}: {reason}") from error


@asynccontextmanager
async def _proxying(cloud: Cloud, listener: socket.socket) -> AsyncIterator[None]:
    """Run the proxy for Microsoft's host names, if it is configured."""
    port = cloud.config.proxy_port
    if port is None:
        yield
        return
    async with AsyncExitStack() as stack:
        with _explained(port):
            found = await stack.enter_async_context(proxying(port, listener.getsockname()[1], cloud.journal))
        cloud.proxy_url = f"http://127.0.0.1:{found}"
        yield


@asynccontextmanager
async def _serving(
    application: AsgiApplication, listener: socket.socket, context: ssl.SSLContext
) -> AsyncIterator[None]:
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

    uvicorn's `serve` and its shutdown are not used: they handle the process's signals, and wait for the TLS shutdown of clients
    that keep their connections open.
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
    """Run the world's clock and the keeper of the state while the context lasts."""
    running = [asyncio.create_task(cloud.clock.run(), name="emulator-clock")]
    if keeper is not None:
        keeper.close()  # store a new state before clients rely on it
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
    """Return the line of JSON that the program prints when it is ready."""
    line = {"url": cloud.url, "control": f"{cloud.url}{CONTROL}"}
    if cloud.proxy_url:
        line["proxy"] = cloud.proxy_url
    return msgspec.json.encode(line).decode()
