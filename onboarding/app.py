"""The ASGI application of the wizard and of tenants' pages, and the server that runs it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from onboarding import identity_association
from onboarding.tenant.auth import ActionDenied, SignInRequired
from onboarding.tenant.routes import TenantPages
from onboarding.wizard.steps import WizardSteps
from onboarding.wizard.views import WizardViews
from pages.layout import Pages
from pages.serving import serving_pages
from pages.site import create_site
from relay.http.paths import TENANT
from relay.locale.languages import english
from relay.ops.supervision import running
from relay.store.custody.proxies import Proxies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette

    from onboarding.settings import WebSettings
    from relay.graph.settings import GraphSettings
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store


@asynccontextmanager
async def opened(settings: WebSettings, store: Store, ring: KeyRing, graph: GraphSettings) -> AsyncIterator[Starlette]:
    """Yield the application and its resources; see `served`."""
    pages = Pages(
        settings,
        "onboarding",
        strapline=english("Teams presence for your phone suite"),
        promise=english(
            "The relay reads presence and names. It reads no chats, calls, mail, calendars or files, and it changes nothing."
        ),
        own_page=TENANT,
        has_mail=settings.has_mail,
    )
    async with (
        WizardSteps.open(store, ring, graph, settings) as steps,
        TenantPages.open(store, ring, graph, settings, pages) as tenant,
        running({"sign-ups-sweep": steps.sweep}),
    ):
        routes = [
            *tenant.routes(),  # before the wizard's, whose routes have a flow's id in the same place
            *WizardViews(steps, pages, settings, tenant.returned).routes(),
            *([identity_association.route(graph.client_id)] if settings.has_identity_association else []),
        ]
        handlers = {SignInRequired: tenant.show_outside, ActionDenied: tenant.show_outside}
        yield create_site(settings, pages, routes, handlers, Proxies(store).met)


@asynccontextmanager
async def served(settings: WebSettings, store: Store, ring: KeyRing, graph: GraphSettings) -> AsyncIterator[int]:
    """Serve the pages and yield their port; on exit, requests in progress may finish.

    Args:
        settings: the address, TLS and limits.
        store: the relay's store.
        ring: encrypts flows, sessions and grants.
        graph: settings of the connection to Microsoft.

    Raises:
        OSError: the port is taken.
    """
    async with opened(settings, store, ring, graph) as app, serving_pages(app, settings) as port:
        yield port
