"""The routes of the tenant's page, Microsoft's answers to its sign-ins, and the pages for visitors without access."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from starlette.responses import RedirectResponse, Response

from onboarding.cookies import TENANT_COOKIES
from onboarding.tenant.access import Access
from onboarding.tenant.auth import ActionDenied, SignInRequired
from onboarding.tenant.reauthentication import Reauthentication
from onboarding.tenant.services import TenantServices
from onboarding.tenant.sign_ins import is_ours
from onboarding.tenant.views.accounts import AccountViews
from onboarding.tenant.views.audit_log import LogViews
from onboarding.tenant.views.diagnostics import DiagnosticViews
from onboarding.tenant.views.leaving import LEFT, LeavingViews
from onboarding.tenant.views.people import PeopleViews
from onboarding.tenant.views.settings import SettingViews
from onboarding.tenant.views.sign_in import SignInViews
from onboarding.tenant.views.suites import SuiteViews
from pages.pending_sign_ins import SignInFailed
from pages.problems import PROBLEMS, problem_of
from relay.errors import RelayError, support_fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Self

    from starlette.requests import Request
    from starlette.routing import Route

    from onboarding.settings import WebSettings
    from pages.layout import Pages
    from relay.graph.settings import GraphSettings
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

log = structlog.get_logger(__name__)


class TenantPages:
    """All views of the tenant's page; made by `open`."""

    def __init__(self, services: TenantServices) -> None:
        self._services = services
        self._reauthentication = reauthentication = Reauthentication(services)
        self._sign_in = SignInViews(services)
        self._accounts = AccountViews(services, reauthentication)
        self._sections = (
            self._sign_in,
            self._accounts,
            PeopleViews(services, reauthentication),
            SuiteViews(services),
            DiagnosticViews(services),
            SettingViews(services, reauthentication),
            LogViews(services),
            LeavingViews(services, reauthentication),
        )

    @classmethod
    @asynccontextmanager
    async def open(
        cls, store: Store, ring: KeyRing, graph: GraphSettings, settings: WebSettings, pages: Pages
    ) -> AsyncIterator[Self]:
        """Yield the views and their resources."""
        async with TenantServices.open(store, ring, graph, settings, pages) as services:
            yield cls(services)

    def routes(self) -> list[Route]:
        """Return the routes of all sections."""
        return [route for section in self._sections for route in section.routes()]

    async def returned(self, request: Request, answer: Mapping[str, str]) -> Response | None:
        """Process an answer that was posted from Microsoft's page; return None if it belongs to the wizard."""
        if not is_ours(answer):
            return None
        try:
            pending = await self._services.sign_ins.take(answer, TENANT_COOKIES.return_secret(request))
            if pending.consent is not None:
                return await self._accounts.returned(pending, answer)
            if pending.action is not None:
                return await self._reauthentication.returned(pending, answer)
            return await self._sign_in.returned(pending, answer)
        except SignInFailed as failed:
            return self._services.door.page(request, failed.problem, failed.detail, status=400)
        except RelayError as error:
            log.warning(
                "tenant_sign_in_postponed", problem=problem_of(error), error=str(error), **support_fields(error)
            )
            return self._services.door.page(request, problem_of(error), status=PROBLEMS[problem_of(error)].status)

    async def show_outside(self, request: Request, error: Exception) -> Response:
        """Answer a visitor without access; an exception handler."""
        if isinstance(error, ActionDenied):
            if error.session.left is not None and error.access is Access.NOT_CONNECTED:
                return RedirectResponse(LEFT, status_code=303)
            return await self._sign_in.closed_page(request, error.session, error.access)
        assert isinstance(error, SignInRequired)
        return self._services.door.outside(request)
