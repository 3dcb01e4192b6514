"""Signing in to the tenant's page and out of it, and the page for a visitor without access.

Forms answer with a redirect, so reloading and sending twice do no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.responses import Response
from starlette.routing import Route

from onboarding.cookies import TENANT_COOKIES
from onboarding.tenant.access import Access, is_contact
from pages.browser_secrets import form_token
from pages.rate_limit import RequestKind
from relay.http.paths import TENANT, TENANT_SIGN_IN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from onboarding.tenant.services import TenantServices
    from onboarding.tenant.sessions import Session
    from onboarding.tenant.sign_ins import PendingSignIn
    from relay.graph.auth.id_tokens import VerifiedIdentity

log = structlog.get_logger(__name__)


class SignInViews:
    """Views of signing in and out."""

    def __init__(self, services: TenantServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        return [
            Route(TENANT_SIGN_IN, self.sign_in, methods=["POST"]),
            Route(f"{TENANT}/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def sign_in(self, request: Request) -> Response:
        """Send the browser to Microsoft to sign in."""
        door = self._services.door
        await door.first_forms.fields(request, RequestKind.SIGN_IN)
        returning = door.returning(request)
        return door.to_microsoft(await self._services.sign_ins.begin(returning), returning)

    async def returned(self, pending: PendingSignIn, answer: Mapping[str, str]) -> Response:
        """Begin a session for the person who signed in.

        Raises:
            SignInFailed: the sign-in failed.
            RelayError: see `TenantSignIns.identify` and the store.
        """
        services = self._services
        who = await services.sign_ins.identify(pending, answer)
        await self._claim(who)
        secret = await services.sessions.begin(who)
        log.info("tenant_signed_in", tenant_id=who.tenant_id, account_id=who.account_id)
        return services.door.entered(secret, TENANT)

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        return await self._services.door.sign_out(request)

    async def closed_page(self, request: Request, session: Session, access: Access) -> Response:
        """Return the page for a person who signed in but has no access to the tenant's page."""
        log.info("tenant_page_closed", tenant_id=session.tenant_id, account_id=session.account_id, why=access.name)
        services = self._services
        is_connected = access is not Access.NOT_CONNECTED
        mark = None if is_connected else await services.turned_away.load(session.tenant_id)
        return services.door.first_forms.page(
            request,
            "tenant/closed.html",
            403,
            session=session,
            is_connected=is_connected,
            mark=mark,
            reads=access is Access.READS,
            asked=await services.requests.load(session.tenant_id, session.account_id),
            message=services.layout.message(session),
            sign_out_token=form_token(TENANT_COOKIES.session_secret(request)),
        )

    async def _claim(self, who: VerifiedIdentity) -> None:
        """Make the contact a manager at the first sign-in, by object id; see `relay.store.custody.managers`."""
        managers = self._services.managers
        _, claim = await managers.read(who.tenant_id)
        if is_contact(who, claim) and await managers.claim(who.tenant_id, who.account_id, who.upn):
            log.info("tenant_contact_signed_in", tenant_id=who.tenant_id, account_id=who.account_id)
