"""The list of all tenants with a search, and one tenant with the data of `tenants show` and `explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from console.layout import TENANTS, tenant_address
from console.names import CHOICES, GRANTS, STATES
from console.troubles import troubles
from pages.forms import query_of
from pages.problems import ProblemError
from pages.tones import shown_explanation
from relay.core.names import MAX_NAME_CHARS
from relay.diagnosis.explanation import explain
from relay.diagnosis.standing import standings
from relay.diagnosis.tenant_list import Choice
from relay.http.paths import CONSOLE
from relay.locale.languages import english
from relay.store.server import keys

if TYPE_CHECKING:
    from starlette.requests import Request

    from console.auth import OperatorVisitor
    from console.services import ConsoleServices
    from relay.diagnosis.explanation import Explanation
    from relay.store.custody.tenants import Tenant

PAGE: Final = 50
"""Tenants on a page: their states are read in one round trip."""
MAX_PAGE: Final = 100_000
_HIDDEN: Final = frozenset({"notify_secret"})
_MAX_VALUE_CHARS: Final = 200


class TenantViews:
    """Views of the list and of one tenant."""

    def __init__(self, services: ConsoleServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        return [
            Route(TENANTS, self.list, methods=["GET"]),
            Route(f"{CONSOLE}/tenants/{{tenant_id}}", self.show, methods=["GET"]),
            Route(f"{CONSOLE}/tenants/{{tenant_id}}/explain", self.explain, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        """Show a page of the tenants that match a search."""
        services = self._services
        visitor = await services.auth.operator(request)
        given = query_of(request)
        text = given.get("q", "")[:MAX_NAME_CHARS]
        choice = Choice(given["state"]) if given.get("state") in set(Choice) else None
        page = _page_number(given.get("page", "1"))
        found = (await services.lists.get()).find(text, choice, (page - 1) * PAGE, PAGE)
        reports = await standings(services.store, services.ring, [line.tenant for line in found.lines])
        return await services.layout.page(
            visitor,
            "tenants.html",
            TENANTS,
            english("Tenants"),
            rows=[(report, troubles(report), tenant_address(report.tenant.tenant_id)) for report in reports],
            text=text,
            choice=choice,
            choices=[(one, CHOICES[one], found.counts.get(one, 0), _address(text, one)) for one in Choice],
            everybody=(found.everything, _address(text, None)),
            total=found.total,
            first=(page - 1) * PAGE + 1,
            states=STATES,
            before=_address(text, choice, page - 1) if page > 1 else "",
            after=_address(text, choice, page + 1) if page * PAGE < found.total else "",
            max_chars=MAX_NAME_CHARS,
        )

    async def show(self, request: Request) -> Response:
        """Show everything of one tenant."""
        services = self._services
        visitor = await services.auth.operator(request)
        return await self._page(visitor, await services.tenant(request.path_params["tenant_id"]))

    async def explain(self, request: Request) -> Response:
        """Show everything of one tenant, and everything about one of its users."""
        services = self._services
        visitor = await services.auth.operator(request)
        tenant = await services.tenant(request.path_params["tenant_id"])
        asked = query_of(request).get("user", "")[:MAX_NAME_CHARS]
        if not asked.strip():
            return await self._page(visitor, tenant)
        found = await explain(services.store, services.vault, tenant.tenant_id, asked)
        if found is None:
            raise ProblemError("unknown_tenant")
        return await self._page(visitor, tenant, asked=asked, found=found)

    async def _page(
        self, visitor: OperatorVisitor, tenant: Tenant, *, asked: str = "", found: Explanation | None = None
    ) -> Response:
        services = self._services
        [report] = await standings(services.store, services.ring, [tenant])
        title = tenant.name or tenant.domain or tenant.tenant_id
        return await services.layout.page(
            visitor,
            "tenant.html",
            TENANTS,
            title,
            report=report,
            tenant=tenant,
            title=title,
            here_tenant=tenant_address(tenant.tenant_id),
            troubles=troubles(report),
            states=STATES,
            grant_states=GRANTS,
            interval=None if report.contact is None else report.contact.interval_ms / 1000,
            partition=keys.partition_of(tenant.tenant_id),
            settings=[(name, _shown(name, value)) for name, value in sorted(tenant.settings.items())],
            asked=asked,
            explained=None if found is None else shown_explanation(found),
            max_chars=MAX_NAME_CHARS,
        )


def _shown(name: str, value: str) -> str:
    """Return a setting's value as `tenants show` shows it."""
    return "" if name in _HIDDEN else value[:_MAX_VALUE_CHARS]


def _page_number(text: str) -> int:
    """Return the number of a page; 1 if the text is not a page number."""
    return max(1, min(int(text), MAX_PAGE)) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def _address(text: str, choice: Choice | None, page: int = 1) -> str:
    pairs = [("q", text)] if text else []
    pairs += [("state", choice.value)] if choice is not None else []
    pairs += [("page", str(page))] if page > 1 else []
    return f"{TENANTS}?{urlencode(pairs)}" if pairs else TENANTS
