"""The acts of operators, the tenants whose state changed last, and one tenant's audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.routing import Route

from console.layout import EVENTS, TENANTS, tenant_address
from console.names import ACTS, STATES
from pages.audit_names import ACTORS, KINDS
from pages.forms import query_of
from relay.http.paths import CONSOLE
from relay.locale.languages import english
from relay.store.custody import operator_log
from relay.store.custody.audit import PAGE, RETENTION

if TYPE_CHECKING:
    from starlette.requests import Request

    from console.services import ConsoleServices

_LATELY: Final = 20
"""Number of tenants in the list of the latest changes of state."""


class EventViews:
    """Views of operators' acts and tenants' audit logs."""

    def __init__(self, services: ConsoleServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        return [
            Route(EVENTS, self.acts, methods=["GET"]),
            Route(f"{CONSOLE}/tenants/{{tenant_id}}/log", self.log, methods=["GET"]),
        ]

    async def acts(self, request: Request) -> Response:
        """Show the newest acts of operators, and the tenants whose state changed last."""
        services = self._services
        visitor = await services.auth.operator(request)
        recorded = await services.acts.recent()
        tenants = [line.tenant for line in (await services.lists.get()).lines if line.tenant.since is not None]
        lately = sorted(tenants, key=lambda tenant: tenant.since or tenant.created, reverse=True)[:_LATELY]
        return await services.layout.page(
            visitor,
            "events.html",
            EVENTS,
            english("Events"),
            recorded=recorded,
            lately=lately,
            acts=ACTS,
            states=STATES,
            address=tenant_address,
            days=operator_log.RETENTION.days,
            most=operator_log.PAGE,
        )

    async def log(self, request: Request) -> Response:
        """Show a page of one tenant's audit log, newest first."""
        services = self._services
        visitor = await services.auth.operator(request)
        tenant = await services.tenant(request.path_params["tenant_id"])
        given = query_of(request)
        watches = given.get("watches") == "yes"
        page = await services.audit.page(tenant.tenant_id, after=given.get("after"), limit=PAGE, watches=watches)
        return await services.layout.page(
            visitor,
            "log.html",
            TENANTS,
            english("Log"),
            tenant=tenant,
            title=tenant.name or tenant.domain or tenant.tenant_id,
            here_tenant=tenant_address(tenant.tenant_id),
            log=page,
            watches=watches,
            is_first="after" not in given,
            kinds=KINDS,
            actors=ACTORS,
            days=RETENTION.days,
        )
