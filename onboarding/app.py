"""The ASGI application of all pages, and the server that runs it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from onboarding import identity_association
from onboarding.layout import STATIC, Pages
from onboarding.middleware import PagesMiddleware
from onboarding.problems import ProblemError, microsoft_error_of, problem_of, sentence_of
from onboarding.rate_limit import RateLimiter
from onboarding.tenant.auth import ActionDenied, SignInRequired
from onboarding.tenant.routes import TenantPages
from onboarding.wizard.steps import WizardSteps
from onboarding.wizard.views import WizardViews
from relay.errors import RelayError, support_fields
from relay.http.serving import Listening, serving
from relay.ops.supervision import running
from relay.store.custody.proxies import Proxies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Scope

    from onboarding.settings import WebSettings
    from relay.graph.settings import GraphSettings
    from relay.http.metrics import RouteOf
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

log = structlog.get_logger(__name__)

_KEEP_ALIVE: Final = timedelta(seconds=15)
_MAX_HEAD_BYTES: Final = 32 * 1024  # cookies of some flows, and the longest headers that proxies add


def create_app(
    settings: WebSettings,
    pages: Pages,
    steps: WizardSteps,
    tenant: TenantPages,
    record_proxy: Callable[[], Awaitable[None]],
    client_id: str,
) -> Starlette:
    """Put the application together.

    Args:
        settings: the address and the limits.
        pages: renders the templates.
        steps: from `WizardSteps.open`.
        tenant: from `TenantPages.open`.
        record_proxy: records that requests come through a proxy that the settings do not name.
        client_id: the application id of the app registration.
    """
    errors = _ErrorPages(pages)
    rate_limiter = RateLimiter(settings.rate_limits)
    app = Starlette(
        routes=[
            Mount(STATIC, StaticFiles(packages=[("onboarding", "static")])),
            *tenant.routes(),  # before the wizard's, where a flow's id stands in the place of their words
            *WizardViews(steps, pages, settings, tenant.returned).routes(),
            *([identity_association.route(client_id)] if settings.has_identity_association else []),
        ],
        middleware=[
            Middleware(
                PagesMiddleware, settings=settings, pages=pages, rate_limiter=rate_limiter, record_proxy=record_proxy
            )
        ],
        exception_handlers={
            ProblemError: errors.problem,
            SignInRequired: tenant.show_outside,
            ActionDenied: tenant.show_outside,
            RelayError: errors.relay_error,
            404: errors.no_route,
            405: errors.no_route,
        },
    )
    app.state.rate_limiter = rate_limiter
    app.router.redirect_slashes = False  # it would build an address from the Host header
    return app


class _ErrorPages:
    """Exception handlers that answer with a problem page."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def problem(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        if isinstance(error.__cause__, RelayError):
            _log(error.__cause__)
        return self._pages.problem(
            error.problem,
            flow_id=error.flow_id,
            retry_after_s=error.retry_after_s,
            sentence=error.sentence,
            said=error.said,
        )

    async def relay_error(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, RelayError)
        _log(error)
        return self._pages.problem(problem_of(error), sentence=sentence_of(error), said=microsoft_error_of(error))

    async def no_route(self, _request: Request, error: Exception) -> Response:
        http: HTTPException = error  # type: ignore[assignment]  # registered for these statuses only
        key = "wrong_method" if http.status_code == 405 else "not_found"
        return self._pages.problem(key, headers=http.headers)


@asynccontextmanager
async def opened(settings: WebSettings, store: Store, ring: KeyRing, graph: GraphSettings) -> AsyncIterator[Starlette]:
    """Yield the application with everything that it needs; see `served`."""
    pages = Pages(settings)
    async with (
        WizardSteps.open(store, ring, graph, settings) as steps,
        TenantPages.open(store, ring, graph, settings, pages) as tenant,
        running({"sign-ups-sweep": steps.sweep}),
    ):
        yield create_app(settings, pages, steps, tenant, Proxies(store).met, graph.client_id)


def _routes(app: Starlette) -> RouteOf:
    """Return a function that names the route of a request that was answered."""
    paths = {route.endpoint: route.path for route in app.routes if isinstance(route, Route)}

    def route_of(scope: Scope) -> str:
        if scope["path"].startswith(f"{STATIC}/"):
            return f"{STATIC}/{{path}}"
        endpoint = scope.get("endpoint")
        return paths.get(endpoint, "") if endpoint is not None else ""

    return route_of


def _log(error: RelayError) -> None:
    key = problem_of(error)
    if key == "fault":
        log.error("step_failed", exc_info=error)
    else:
        log.warning("step_postponed", problem=key, error=str(error), **support_fields(error))


@asynccontextmanager
async def served(settings: WebSettings, store: Store, ring: KeyRing, graph: GraphSettings) -> AsyncIterator[int]:
    """Serve the pages and yield their port; at the end, requests under way may finish.

    Args:
        settings: the address, TLS and limits.
        store: the relay's store.
        ring: encrypts flows, sessions and grants.
        graph: how Microsoft is reached.

    Raises:
        OSError: the port is taken.
    """
    async with opened(settings, store, ring, graph) as app:
        listening = Listening(
            host=settings.host,
            port=settings.port,
            tls_cert_pem=settings.tls_cert_pem,
            tls_key_pem=settings.tls_key_pem,
            tls_files=settings.tls_files,
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
        async with serving(app, listening, _routes(app), **proxies) as port:
            yield port
