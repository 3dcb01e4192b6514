"""The ASGI application of all pages, and the server that runs it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware

from onboarding import identity_association
from onboarding.error_pages import ErrorPages
from onboarding.layout import Pages
from onboarding.middleware import PagesMiddleware
from onboarding.problems import ProblemError
from onboarding.rate_limit import RateLimiter
from onboarding.serving import serving_pages, static_files
from onboarding.tenant.auth import ActionDenied, SignInRequired
from onboarding.tenant.routes import TenantPages
from onboarding.wizard.steps import WizardSteps
from onboarding.wizard.views import WizardViews
from relay.errors import RelayError
from relay.ops.supervision import running
from relay.store.custody.proxies import Proxies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from onboarding.settings import WebSettings
    from relay.graph.settings import GraphSettings
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store


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
    errors = ErrorPages(pages)
    rate_limiter = RateLimiter(settings.rate_limits)
    app = Starlette(
        routes=[
            static_files(settings.HOME),
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
            **errors.of_routes(),
        },
    )
    app.state.rate_limiter = rate_limiter
    app.router.redirect_slashes = False  # it would build an address from the Host header
    return app


@asynccontextmanager
async def opened(settings: WebSettings, store: Store, ring: KeyRing, graph: GraphSettings) -> AsyncIterator[Starlette]:
    """Yield the application with everything that it needs; see `served`."""
    pages = Pages(settings, has_mail=settings.has_mail)
    async with (
        WizardSteps.open(store, ring, graph, settings) as steps,
        TenantPages.open(store, ring, graph, settings, pages) as tenant,
        running({"sign-ups-sweep": steps.sweep}),
    ):
        yield create_app(settings, pages, steps, tenant, Proxies(store).met, graph.client_id)


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
    async with opened(settings, store, ring, graph) as app, serving_pages(app, settings) as port:
        yield port
