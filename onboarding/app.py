"""The application put together, and the server that runs it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from onboarding.layout import STATIC, Pages
from onboarding.middleware import Guard
from onboarding.problems import Stopped, of_error, said_of, sentence_of
from onboarding.rate_limit import Pacer
from onboarding.tenant.auth import NotAdmitted, SignInNeeded
from onboarding.tenant.views.diagnostics import DiagnosticViews
from onboarding.tenant.views.sign_in import TenantViews
from onboarding.wizard.steps import Steps
from onboarding.wizard.views import Views
from relay.errors import RelayError
from relay.http.serving import Listening, serving
from relay.ops.supervision import running
from relay.store.custody.proxies import Proxies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import Response

    from onboarding.settings import WebSettings
    from relay.graph.settings import GraphSettings
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

log = structlog.get_logger(__name__)

_KEEP_ALIVE: Final = timedelta(seconds=15)
_MAX_HEAD_BYTES: Final = 32 * 1024  # cookies of some flows, and the longest headers that proxies add


def create_app(
    settings: WebSettings,
    pages: Pages,
    steps: Steps,
    tenant: TenantViews,
    diagnostics: DiagnosticViews,
    forwarded: Callable[[], Awaitable[None]],
) -> Starlette:
    """The ASGI application.

    Args:
        settings: where it is served.
        pages: what is shown.
        steps: of `Steps.open`, entered.
        tenant: of `TenantViews.open`, entered.
        diagnostics: the tenant's pages that show what is going on.
        forwarded: notes that a proxy was met that nobody named.
    """

    async def stopped(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Stopped)
        if isinstance(error.__cause__, RelayError):
            _log(error.__cause__)
        return pages.problem(
            error.problem,
            flow_id=error.flow_id,
            retry_after_s=error.retry_after_s,
            sentence=error.sentence,
            said=error.said,
        )

    async def failed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RelayError)
        _log(error)
        return pages.problem(of_error(error), sentence=sentence_of(error), said=said_of(error))

    async def elsewhere(_request: Request, error: Exception) -> Response:
        http: HTTPException = error  # type: ignore[assignment]  # registered for these statuses only
        key = "wrong_method" if http.status_code == 405 else "not_found"
        return pages.problem(key, headers=http.headers)

    routes = [
        Mount(STATIC, StaticFiles(packages=[("onboarding", "static")])),
        *diagnostics.routes(),
        *tenant.routes(),  # before those of onboardings, whose ids stand where these have a word
        *Views(steps, pages, settings, tenant.returned).routes(),
    ]
    pacer = Pacer(settings.pace)
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, settings=settings, pages=pages, pacer=pacer, forwarded=forwarded)],
        exception_handlers={
            Stopped: stopped,
            SignInNeeded: tenant.outside,
            NotAdmitted: tenant.outside,
            RelayError: failed,
            404: elsewhere,
            405: elsewhere,
        },
    )
    app.state.pacer = pacer
    app.router.redirect_slashes = False  # it would build an address from the Host header
    return app


@asynccontextmanager
async def opened(settings: WebSettings, store: Store, ring: KeyRing, graph: GraphSettings) -> AsyncIterator[Starlette]:
    """The application with everything it needs, while the context lasts; see `serve`."""
    pages = Pages(settings)
    async with (
        Steps.open(store, ring, graph, settings) as steps,
        TenantViews.open(store, ring, graph, settings, pages) as tenant,
    ):
        diagnostics = DiagnosticViews(pages, settings, store, ring)
        async with running({"sign-ups-sweep": steps.sweep}):
            yield create_app(settings, pages, steps, tenant, diagnostics, Proxies(store).met)


def _log(error: RelayError) -> None:
    key = of_error(error)
    if key == "fault":
        log.error("step_failed", exc_info=error)
    else:
        log.warning("step_postponed", problem=key, error=str(error))


@asynccontextmanager
async def served(settings: WebSettings, store: Store, ring: KeyRing, graph: GraphSettings) -> AsyncIterator[int]:
    """The port of the pages, while they are served; at the end requests under way may end.

    Args:
        settings: where and how.
        store: the relay's.
        ring: what flows and grants are encrypted with.
        graph: Microsoft's side.

    Raises:
        OSError: the port is taken.
    """
    async with opened(settings, store, ring, graph) as app:
        listening = Listening(
            host=settings.host,
            port=settings.port,
            tls_cert_pem=settings.tls_cert_pem,
            tls_key_pem=settings.tls_key_pem,
            name="web",
            limits=settings.limits,
            proxies=tuple(filter(None, map(str.strip, settings.trusted_proxies.split(",")))),
            keep_alive=_KEEP_ALIVE,
            head_bytes=_MAX_HEAD_BYTES,
            grace=settings.grace,
        )
        proxies: dict[str, Any] = {
            "proxy_headers": bool(settings.trusted_proxies),
            "forwarded_allow_ips": settings.trusted_proxies,
        }
        async with serving(app, listening, **proxies) as port:
            yield port
