"""Suspend, resume and approve a tenant. A suspension is confirmed on a separate page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.layout import TENANTS, tenant_address
from console.messages import OF_OBSTACLES
from relay.administration import changes
from relay.core.consent.tenant import TenantState
from relay.http.paths import CONSOLE
from relay.locale.languages import english

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from console.auth import OperatorVisitor
    from console.services import ConsoleServices
    from relay.store.custody.tenants import Tenant

    Change = Callable[[OperatorVisitor, Tenant], Awaitable[str]]

log = structlog.get_logger(__name__)


class ChangeViews:
    """Views of the changes of a tenant as a whole."""

    def __init__(self, services: ConsoleServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        one = f"{CONSOLE}/tenants/{{tenant_id}}"
        return [
            Route(f"{one}/suspend", self.suspend, methods=["GET", "POST"]),
            Route(f"{one}/resume", self.resume, methods=["POST"]),
            Route(f"{one}/approve", self.approve, methods=["POST"]),
        ]

    async def suspend(self, request: Request) -> Response:
        """Ask for confirmation, or suspend a tenant."""
        services = self._services
        if request.method == "POST":
            return await self._changed(request, self._suspend)
        visitor = await services.auth.operator(request, to_change=True)
        tenant = await services.tenant(request.path_params["tenant_id"])
        title = tenant.name or tenant.domain or tenant.tenant_id
        return await services.layout.page(
            visitor,
            "suspend.html",
            TENANTS,
            english("Suspend a tenant"),
            tenant=tenant,
            title=title,
            here_tenant=tenant_address(tenant.tenant_id),
        )

    async def resume(self, request: Request) -> Response:
        """Resume a suspended tenant."""
        return await self._changed(request, self._resume)

    async def approve(self, request: Request) -> Response:
        """Approve a waiting tenant."""
        return await self._changed(request, self._approve)

    async def _suspend(self, visitor: OperatorVisitor, tenant: Tenant) -> str:
        await changes.suspend(self._services.store, tenant, visitor.actor)
        return "suspended"

    async def _resume(self, visitor: OperatorVisitor, tenant: Tenant) -> str:
        state = await changes.resume(self._services.store, self._services.ring, tenant, visitor.actor)
        return "resumed_without_grant" if state is TenantState.CONSENT_REQUIRED else "resumed"

    async def _approve(self, visitor: OperatorVisitor, tenant: Tenant) -> str:
        await changes.approve(self._services.store, tenant, visitor.actor)
        return "approved"

    async def _changed(self, request: Request, change: Change) -> Response:
        """Read a form, make the change, and return to the tenant's page with a message about the result."""
        services = self._services
        visitor, _ = await services.auth.form(request)
        tenant = await services.tenant(request.path_params["tenant_id"])
        try:
            key = await change(visitor, tenant)
            log.info("console_act", act=key, tenant_id=tenant.tenant_id, account_id=visitor.session.account_id)
        except changes.NotPossible as error:
            key = OF_OBSTACLES[error.obstacle]
        services.lists.forget()
        await services.layout.flash(visitor, key)
        return RedirectResponse(tenant_address(tenant.tenant_id), status_code=303)
