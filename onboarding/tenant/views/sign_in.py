"""Signing in to the tenant's page and out of it, and the page for a visitor who may not open it.

Forms answer with a redirect, so reloading and sending twice do no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding import forms
from onboarding.browser_secrets import form_token, is_form_of, new_secret
from onboarding.cookies import form_secret, set_form_cookie
from onboarding.problems import PROBLEMS, ProblemError
from onboarding.rate_limit import RequestKind, count_request
from onboarding.tenant import cookies
from onboarding.tenant.access import Access, is_contact
from onboarding.tenant.flash import message_of
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
        services = self._services
        given = await forms.ours(request, services.settings.public_url)
        secret = form_secret(request)
        if not secret:
            raise ProblemError("no_cookie")
        if not is_form_of(secret, given.get("token", "")):
            raise ProblemError("form_stale")
        count_request(request, RequestKind.SIGN_IN)
        returning = cookies.return_secret(request) or new_secret()
        url = await services.sign_ins.begin(returning)
        response = services.pages.page("tenant/to_microsoft.html", url=url, is_consent=False)
        cookies.set_return_cookie(response, returning)
        return response

    async def returned(self, pending: PendingSignIn, answer: Mapping[str, str]) -> Response:
        """Begin a session for the person who signed in.

        Raises:
            SignInFailed: nobody did.
            RelayError: as of `TenantSignIns.identify` and the store.
        """
        services = self._services
        who = await services.sign_ins.identify(pending, answer)
        await self._claim(who)
        # Always a new session: whatever cookie the browser had before means nothing from now on.
        secret = await services.sessions.begin(who)
        log.info("tenant_signed_in", tenant_id=who.tenant_id, account_id=who.account_id)
        response = RedirectResponse(TENANT, status_code=303)
        cookies.set_session_cookie(response, secret, services.sessions.longest)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session, here and in the store. The form's token suffices; the visitor need not be let in."""
        given = await forms.ours(request, self._services.settings.public_url)
        secret = cookies.session_secret(request)
        if secret and not is_form_of(secret, given.get("token", "")):
            raise ProblemError("form_stale")
        await self._services.sessions.end(secret)
        response = self.page(request, signed_out=True)
        cookies.remove_session_cookie(response)
        return response

    def page(
        self, request: Request, problem: str = "", detail: str = "", *, status: int = 200, signed_out: bool = False
    ) -> Response:
        """Return the page that offers to sign in, with the problem of the last try if there is one."""
        found = PROBLEMS[problem] if problem else None
        shown = detail if found is not None and found.shows_detail else ""
        return self._with_form(
            request, "tenant/sign_in.html", status, problem=found, detail=shown, signed_out=signed_out
        )

    async def closed_page(self, request: Request, session: Session, access: Access) -> Response:
        """Return the page for somebody who signed in and may not open the tenant's page."""
        log.info("tenant_page_closed", tenant_id=session.tenant_id, account_id=session.account_id, why=access.name)
        services = self._services
        is_connected = access is not Access.NOT_CONNECTED
        mark = None if is_connected else await services.turned_away.load(session.tenant_id)
        return self._with_form(
            request,
            "tenant/closed.html",
            403,
            session=session,
            is_connected=is_connected,
            mark=mark,
            reads=access is Access.READS,
            asked=await services.requests.load(session.tenant_id, session.account_id),
            message=message_of(session.flash),
            sign_out_token=form_token(cookies.session_secret(request)),
        )

    async def _claim(self, who: VerifiedIdentity) -> None:
        """Make the contact a manager at the first sign-in, by object id; see `relay.store.custody.managers`."""
        managers = self._services.managers
        _, claim = await managers.read(who.tenant_id)
        if is_contact(who, claim) and await managers.claim(who.tenant_id, who.account_id, who.upn):
            log.info("tenant_contact_signed_in", tenant_id=who.tenant_id, account_id=who.account_id)

    def _with_form(self, request: Request, template: str, status: int, **values: object) -> Response:
        """Return a page with the form that signs in, which belongs to no session yet."""
        secret = form_secret(request) or new_secret()
        response = self._services.pages.page(template, status, token=form_token(secret), **values)
        set_form_cookie(response, secret)
        return response
