"""The tenant's audit log, as a page and as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.routing import Route

from onboarding.tenant.access import Action
from onboarding.tenant.layout import LOG
from onboarding.tenant.log_exports import LogExports
from pages.audit_names import ACTORS, KINDS
from pages.problems import ProblemError
from relay.core.audit.export import Form
from relay.locale.languages import english
from relay.store.custody.audit import PAGE, RETENTION

if TYPE_CHECKING:
    from starlette.requests import Request

    from onboarding.tenant.services import TenantServices

_TYPES: Final = {Form.JSON: "application/x-ndjson", Form.CSV: "text/csv; charset=utf-8"}
_ENDINGS: Final = {Form.JSON: "jsonl", Form.CSV: "csv"}


class LogViews:
    """Views of the audit log."""

    def __init__(self, services: TenantServices) -> None:
        self._services = services
        self._exports = LogExports()

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        return [
            Route(LOG, self.show, methods=["GET"]),
            Route(f"{LOG}/export.{{ending}}", self.export, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show a page of entries, newest first."""
        services = self._services
        visitor = await services.auth.visitor(request, Action.SEE_LOG)
        after = request.query_params.get("after")
        watches = request.query_params.get("watches") != "no"
        page = await services.audit.page(visitor.tenant_id, after=after, limit=PAGE, watches=watches)
        return await services.layout.page(
            visitor,
            "tenant/log.html",
            LOG,
            english("Log"),
            log=page,
            watches=watches,
            is_first=after is None,
            kinds=KINDS,
            actors=ACTORS,
            days=RETENTION.days,
        )

    async def export(self, request: Request) -> Response:
        """Send all entries as a file; few downloads run at once."""
        services = self._services
        visitor = await services.auth.visitor(request, Action.SEE_LOG)
        form = next((form for form, ending in _ENDINGS.items() if ending == request.path_params["ending"]), None)
        if form is None:
            raise ProblemError("not_found")
        name = f"presence-relay-log-{visitor.tenant_id}.{_ENDINGS[form]}"
        lines = services.audit.export(visitor.tenant_id, form, for_tenants=True)
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return self._exports.response(visitor.tenant_id, lines, _TYPES[form], headers)
