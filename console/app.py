"""The ASGI application of the console, and the server that runs it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from console.auth import OperatorSignInRequired, RecheckRequired
from console.services import ConsoleServices
from console.views.changes import ChangeViews
from console.views.events import EventViews
from console.views.fleet import FleetViews
from console.views.invite import InviteViews
from console.views.mapping import MappingViews
from console.views.sign_in import OperatorSignInViews
from console.views.tenants import TenantViews
from pages.layout import Pages
from pages.serving import serving_pages
from pages.site import create_site
from relay.locale.languages import english

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette

    from console.settings import ConsoleSettings
    from relay.graph.settings import GraphSettings
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

log = structlog.get_logger(__name__)


def create_app(settings: ConsoleSettings, pages: Pages, services: ConsoleServices) -> Starlette:
    """Return the ASGI application of the console."""
    sign_in = OperatorSignInViews(services)
    sections = (
        sign_in,
        TenantViews(services),
        ChangeViews(services),
        MappingViews(services),
        InviteViews(services),
        FleetViews(services),
        EventViews(services),
    )
    routes = [route for section in sections for route in section.routes()]
    handlers = {OperatorSignInRequired: sign_in.show_outside, RecheckRequired: sign_in.recheck}
    return create_site(settings, pages, routes, handlers, _not_recorded)


@asynccontextmanager
async def served(
    settings: ConsoleSettings, store: Store, ring: KeyRing, public: GraphSettings, entra: GraphSettings | None
) -> AsyncIterator[int]:
    """Serve the console and yield its port; on exit, requests in progress may finish.

    Args:
        settings: the address, TLS and who may sign in.
        store: the relay's store.
        ring: seals sessions.
        public: reads Microsoft's public documents.
        entra: the console's app registration; None if the console uses a trial token.

    Raises:
        OSError: the port is taken.
    """
    pages = Pages(
        settings,
        "console",
        strapline=english("The operator’s console"),
        promise=english("Every change is logged, with the name that you signed in with."),
    )
    if settings.token is not None:
        log.info(
            "console_with_token", remedy="for more than a trial, set RELAY_CONSOLE_TENANT and RELAY_CONSOLE_CLIENT_ID"
        )
    async with (
        ConsoleServices.open(store, ring, settings, pages, public, entra) as services,
        serving_pages(create_app(settings, pages, services), settings) as port,
    ):
        yield port


async def _not_recorded() -> None:
    """Record nothing: operators see the warning about the proxy in the console's log."""
