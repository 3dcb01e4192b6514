"""The application put together, and the server that runs it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from onboarding.guard import Guard
from onboarding.pages import STATIC, Pages
from onboarding.problems import Stopped, of_error
from onboarding.steps import Steps
from onboarding.views import Views
from relay.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import Response

    from onboarding.settings import WebSettings
    from relay.graph.settings import GraphSettings
    from relay.store.connection import Store
    from relay.store.keyring import KeyRing

log = structlog.get_logger(__name__)

MAX_CONNECTIONS: Final = 1000
"""Open at once; beyond, browsers are told to come back. Each costs some 100 KB with TLS."""
_KEEP_ALIVE_S: Final = 15
_MAX_HEAD_BYTES: Final = 32 * 1024  # cookies of some flows, and the longest headers that proxies add


def create_app(settings: WebSettings, steps: Steps) -> Starlette:
    """The ASGI application.

    Args:
        settings: where it is served.
        steps: of `Steps.open`, entered.
    """
    pages = Pages(settings)

    async def stopped(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Stopped)
        if isinstance(error.__cause__, RelayError):
            _log(error.__cause__)
        return pages.problem(error.problem, flow_id=error.flow_id, retry_after_s=error.retry_after_s)

    async def failed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RelayError)
        _log(error)
        return pages.problem(of_error(error))

    async def elsewhere(_request: Request, error: Exception) -> Response:
        http: HTTPException = error  # type: ignore[assignment]  # registered for these statuses only
        key = "wrong_method" if http.status_code == 405 else "not_found"
        return pages.problem(key, headers=http.headers)

    routes = [
        Mount(STATIC, StaticFiles(packages=[("onboarding", "static")])),
        *Views(steps, pages, settings).routes(),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, settings=settings, pages=pages)],
        exception_handlers={Stopped: stopped, RelayError: failed, 404: elsewhere, 405: elsewhere},
    )
    app.router.redirect_slashes = False  # it would build an address from the Host header
    return app


def _log(error: RelayError) -> None:
    key = of_error(error)
    if key == "fault":
        log.error("step_failed", exc_info=error)
    else:
        log.warning("step_postponed", problem=key, error=str(error))


async def serve(
    settings: WebSettings,
    store: Store,
    ring: KeyRing,
    graph: GraphSettings,
    stop: asyncio.Event,
    announce: Callable[[int], None] | None = None,
) -> None:
    """Serve the pages until `stop` is set, then let requests under way end.

    Args:
        settings: where and how.
        store: the relay's.
        ring: what flows and grants are encrypted with.
        graph: Microsoft's side.
        stop: ends it.
        announce: called once with the port, when browsers may come.

    Raises:
        OSError: the port is taken.
    """
    async with Steps.open(store, ring, graph, settings.redirect_uri) as steps:
        with _listening(settings) as listener:
            async with _serving(create_app(settings, steps), settings, listener):
                if announce is not None:
                    announce(int(listener.getsockname()[1]))
                await stop.wait()


@contextlib.asynccontextmanager
async def _serving(app: Starlette, settings: WebSettings, listener: socket.socket) -> AsyncIterator[None]:
    """Not uvicorn's own `serve`, which would take the process's signals."""
    given: dict[str, Any] = {"lifespan": "off", "ws": "none", "log_config": None, "access_log": False}
    if settings.tls_cert_pem is not None:
        context = _tls(settings)
        given["ssl_context_factory"] = lambda *_: context
    config = uvicorn.Config(
        app,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(settings.grace.total_seconds()),
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
        **given,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    ticking = asyncio.create_task(server.main_loop(), name="web-server")
    try:
        yield
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        await server.shutdown(sockets=[listener])


@contextlib.contextmanager
def _listening(settings: WebSettings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        if settings.port:  # a port that the system chooses must be nobody else's
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"{settings.host}:{settings.port}") from error
        yield listener


def _tls(settings: WebSettings) -> ssl.SSLContext:
    assert settings.tls_cert_pem is not None
    assert settings.tls_key_pem is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python reads certificates from files only; this one is its owner's, and gone at once.
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "server.pem"
        pem.touch(0o600)
        pem.write_bytes(settings.tls_key_pem + b"\n" + settings.tls_cert_pem)
        context.load_cert_chain(pem)
    return context
