"""The ASGI application of the console, and the server that runs it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.auth import OperatorSignInRequired, RecheckRequired
from console.layout import PROMISE, STRAPLINE
from console.services import ConsoleServices
from console.views.changes import ChangeViews
from console.views.events import EventViews
from console.views.fleet import FleetViews
from console.views.invite import InviteViews
from console.views.mapping import MappingViews
from console.views.sign_in import OperatorSignInViews
from console.views.tenants import TenantViews
from onboarding.error_pages import ErrorPages
from onboarding.language_switch import LanguageSwitch
from onboarding.layout import Pages
from onboarding.middleware import PagesMiddleware
from onboarding.problems import ProblemError
from onboarding.rate_limit import RateLimiter
from onboarding.serving import serving_pages, static_files
from relay.errors import RelayError
from relay.http.paths import CONSOLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from console.settings import ConsoleSettings
    from relay.graph.settings import GraphSettings
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

log = structlog.get_logger(__name__)


def create_app(settings: ConsoleSettings, pages: Pages, services: ConsoleServices) -> Starlette:
    """Put the application together."""
    errors, sign_in = ErrorPages(pages), OperatorSignInViews(services)
    rate_limiter = RateLimiter(settings.rate_limits)
    sections = (
        sign_in,
        TenantViews(services),
        ChangeViews(services),
        MappingViews(services),
        InviteViews(services),
        FleetViews(services),
        EventViews(services),
    )
    app = Starlette(
        routes=[
            static_files(settings.HOME),
            Route("/", _root, methods=["GET"]),
            LanguageSwitch(settings).route(),
            *(route for section in sections for route in section.routes()),
        ],
        middleware=[
            Middleware(
                PagesMiddleware, settings=settings, pages=pages, rate_limiter=rate_limiter, record_proxy=_not_recorded
            )
        ],
        exception_handlers={
            ProblemError: errors.problem,
            OperatorSignInRequired: sign_in.show_outside,
            RecheckRequired: sign_in.recheck,
            RelayError: errors.relay_error,
            **errors.of_routes(),
        },
    )
    app.state.rate_limiter = rate_limiter
    app.router.redirect_slashes = False  # it would build an address from the Host header
    return app


@asynccontextmanager
async def served(
    settings: ConsoleSettings, store: Store, ring: KeyRing, public: GraphSettings, entra: GraphSettings | None
) -> AsyncIterator[int]:
    """Serve the console and yield its port; at the end, requests under way may finish.

    Args:
        settings: the address, TLS and who may sign in.
        store: the relay's store.
        ring: seals sessions.
        public: how Microsoft's public documents are read.
        entra: the console's app registration; None with the token of a trial.

    Raises:
        OSError: the port is taken.
    """
    pages = Pages(settings, package="console", has_mail=False)
    pages.environment.globals.update(strapline=STRAPLINE, promise=PROMISE)
    if settings.token is not None:
        log.info(
            "console_with_token", remedy="for more than a trial, set RELAY_CONSOLE_TENANT and RELAY_CONSOLE_CLIENT_ID"
        )
    async with (
        ConsoleServices.open(store, ring, settings, pages, public, entra) as services,
        serving_pages(create_app(settings, pages, services), settings) as port,
    ):
        yield port


async def _root(_request: Request) -> Response:
    """Redirect from the host's root to the first page."""
    return RedirectResponse(CONSOLE, status_code=303)


async def _not_recorded() -> None:
    """Record nothing: operators see the proxy's warning in the console's own log."""
