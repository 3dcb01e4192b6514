"""The console statuses that one tenant's suites show for Microsoft's values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.layout import TENANTS, tenant_address
from console.messages import OF_OBSTACLES
from pages import mapping_form
from pages.problems import ProblemError
from relay.administration.changes import NotPossible
from relay.administration.mapping import change_settings
from relay.http.paths import CONSOLE
from relay.locale.languages import english
from relay.store.custody.tenants import SettingsConflict

if TYPE_CHECKING:
    from starlette.requests import Request

    from console.auth import OperatorVisitor
    from console.services import ConsoleServices
    from relay.store.custody.tenants import Tenant

log = structlog.get_logger(__name__)


class MappingViews:
    """The view of the mapping."""

    def __init__(self, services: ConsoleServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        return [Route(f"{CONSOLE}/tenants/{{tenant_id}}/mapping", self.change, methods=["GET", "POST"])]

    async def change(self, request: Request) -> Response:
        """Show the form, or process it. Only rows that were changed on the page are written."""
        services = self._services
        if request.method != "POST":
            visitor = await services.auth.operator(request)
            return await self._page(visitor, await services.tenant(request.path_params["tenant_id"]))
        visitor, given = await services.auth.form(request, mapping_form.MAX_FIELDS)
        tenant = await services.tenant(request.path_params["tenant_id"])
        try:
            changes = mapping_form.changes_of(tenant.settings, given)
        except ValueError:
            raise ProblemError("bad_request") from None
        if given.get("seen", "") != mapping_form.fingerprint(tenant.settings):
            key = "conflict"
        elif not changes:
            key = "unchanged"
        else:
            key = await self._write(visitor, tenant, changes)
        await services.layout.flash(visitor, key)
        address = tenant_address(tenant.tenant_id)
        return RedirectResponse(f"{address}/mapping" if key == "conflict" else address, status_code=303)

    async def _write(self, visitor: OperatorVisitor, tenant: Tenant, changes: dict[str, str]) -> str:
        """Write the changes; return the key of the message about the result."""
        before = {name: tenant.settings.get(name, "") for name in changes}
        try:
            await change_settings(self._services.store, tenant, changes, visitor.actor, seen=before)
        except SettingsConflict:
            return "conflict"
        except NotPossible as error:
            return OF_OBSTACLES[error.obstacle]
        log.info("console_act", act="mapped", tenant_id=tenant.tenant_id, account_id=visitor.session.account_id)
        return "mapped"

    async def _page(self, visitor: OperatorVisitor, tenant: Tenant) -> Response:
        return await self._services.layout.page(
            visitor,
            "mapping.html",
            TENANTS,
            english("Presence mapping"),
            tenant=tenant,
            title=tenant.name or tenant.domain or tenant.tenant_id,
            here_tenant=tenant_address(tenant.tenant_id),
            **mapping_form.shown(tenant.settings),
            seen=mapping_form.fingerprint(tenant.settings),
        )
