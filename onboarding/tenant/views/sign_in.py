"""Signing in and out, and the routes of the tenant's page put together.

Forms answer with a redirect, so reloading and sending twice do no harm.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding import cookies as sessions
from onboarding import forms
from onboarding.problems import PROBLEMS, Stopped, of_error
from onboarding.rate_limit import Budget, demand
from onboarding.tenant import cookies
from onboarding.tenant.access import Access, is_contact
from onboarding.tenant.auth import NotAdmitted, SignInNeeded
from onboarding.tenant.flash import said
from onboarding.tenant.reauthentication import AskedAgain
from onboarding.tenant.services import Desk
from onboarding.tenant.sign_ins import SignInFailed, is_ours
from onboarding.tenant.views.accounts import AccountViews
from onboarding.tenant.views.audit_log import LogViews
from onboarding.tenant.views.leaving import LEFT, LeavingViews
from onboarding.tenant.views.people import PeopleViews
from onboarding.tenant.views.settings import SettingViews
from onboarding.tenant.views.suites import SuiteViews
from relay.errors import RelayError
from relay.http.paths import TENANT, TENANT_SIGN_IN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Self

    from starlette.requests import Request

    from onboarding.layout import Pages
    from onboarding.settings import WebSettings
    from onboarding.tenant.sessions import Session
    from relay.graph.auth.idtokens import VerifiedIdentity
    from relay.graph.settings import GraphSettings
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

log = structlog.get_logger(__name__)


class TenantViews:
    """All routes' functions; made by `open`."""

    def __init__(self, desk: Desk) -> None:
        self._pages = desk.pages
        self._settings = desk.settings
        self._sessions = desk.sessions
        self._sign_ins = desk.sign_ins
        self._turned_away = desk.turned_away
        self._again = again = AskedAgain(desk)
        self._accounts = AccountViews(desk, again)
        self._desk = desk
        self._sections = (
            PeopleViews(desk, again),
            SuiteViews(desk),
            SettingViews(desk, again),
            LogViews(desk),
            LeavingViews(desk, again),
        )

    @classmethod
    @asynccontextmanager
    async def open(
        cls, store: Store, ring: KeyRing, graph: GraphSettings, settings: WebSettings, pages: Pages
    ) -> AsyncIterator[Self]:
        """The views with everything they need, while the context lasts."""
        async with Desk.open(store, ring, graph, settings, pages) as desk:
            yield cls(desk)

    def routes(self) -> list[Route]:
        """Which function answers what."""
        return [
            Route(TENANT_SIGN_IN, self.sign_in, methods=["POST"]),
            Route(f"{TENANT}/sign-out", self.sign_out, methods=["POST"]),
            *self._accounts.routes(),
            *(route for section in self._sections for route in section.routes()),
        ]

    async def sign_in(self, request: Request) -> Response:
        """Off to Microsoft."""
        given = await forms.ours(request, self._settings.public_url)
        secret = sessions.form_secret(request)
        if not secret:
            raise Stopped("no_cookie")
        if not sessions.is_form_of(secret, given.get("token", "")):
            raise Stopped("form_stale")
        demand(request, Budget.SIGN_IN)
        returning = cookies.return_secret(request) or sessions.new_secret()
        response = self._pages.page(
            "tenant/to_microsoft.html", url=await self._sign_ins.begin(returning), is_consent=False
        )
        cookies.keep_return(response, returning)
        return response

    async def returned(self, request: Request, answer: Mapping[str, str]) -> Response | None:
        """Microsoft's answer, posted from Microsoft's page; None when it is to another kind of sign-in."""
        if not is_ours(answer):
            return None
        try:
            trip = await self._sign_ins.take(answer, cookies.return_secret(request))
            if trip.wanted is not None:
                return await self._accounts.returned(trip, answer)
            if trip.asked is not None:
                return await self._again.returned(trip, answer)
            who = await self._sign_ins.identify(trip, answer)
            await self._claim(who)
        except SignInFailed as failed:
            return self._sign_in_page(request, failed.problem, failed.detail, status=400)
        except RelayError as error:
            log.warning("tenant_sign_in_postponed", problem=of_error(error), error=str(error))
            return self._sign_in_page(request, of_error(error), status=PROBLEMS[of_error(error)].status)
        # Always a new session: whatever cookie the browser had before says nothing from now on.
        secret = await self._sessions.begin(who)
        log.info("tenant_signed_in", tenant_id=who.tenant_id, account_id=who.account_id)
        response = _to_page()
        cookies.keep_session(response, secret, self._sessions.longest)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session, here and in the store. A form of ours suffices: it need not be let in."""
        given = await forms.ours(request, self._settings.public_url)
        secret = cookies.session_secret(request)
        if secret and not sessions.is_form_of(secret, given.get("token", "")):
            raise Stopped("form_stale")
        await self._sessions.end(secret)
        response = self._sign_in_page(request, signed_out=True)
        cookies.drop_session(response)
        return response

    async def outside(self, request: Request, error: Exception) -> Response:
        """What somebody sees who is not let in; an exception handler."""
        if isinstance(error, NotAdmitted):
            if error.session.left is not None and error.access is Access.NOT_CONNECTED:
                return RedirectResponse(LEFT, status_code=303)
            return await self._closed_page(request, error.session, error.access)
        assert isinstance(error, SignInNeeded)
        is_form = request.method == "POST"
        return self._sign_in_page(request, "signed_out" if is_form else "", status=403 if is_form else 200)

    def _sign_in_page(
        self, request: Request, problem: str = "", detail: str = "", *, status: int = 200, signed_out: bool = False
    ) -> Response:
        found = PROBLEMS[problem] if problem else None
        shown = detail if found is not None and found.shows_detail else ""
        return self._with_form(
            request, "tenant/sign_in.html", status, problem=found, detail=shown, signed_out=signed_out
        )

    async def _claim(self, who: VerifiedIdentity) -> None:
        """The contact looks after the tenant from the first sign-in on, by object id; see `relay.store.custody.managers`."""
        managers = self._desk.managers
        _, claim = await managers.read(who.tenant_id)
        if is_contact(who, claim) and await managers.claim(who.tenant_id, who.account_id, who.upn):
            log.info("tenant_contact_came", tenant_id=who.tenant_id, account_id=who.account_id)

    async def _closed_page(self, request: Request, session: Session, access: Access) -> Response:
        log.info("tenant_page_closed", tenant_id=session.tenant_id, account_id=session.account_id, why=access.name)
        is_connected = access is not Access.NOT_CONNECTED
        mark = None if is_connected else await self._turned_away.load(session.tenant_id)
        return self._with_form(
            request,
            "tenant/closed.html",
            403,
            session=session,
            is_connected=is_connected,
            mark=mark,
            reads=access is Access.READS,
            asked=await self._desk.requests.load(session.tenant_id, session.account_id),
            note=said(session.note),
            sign_out_token=sessions.form_token(cookies.session_secret(request)),
        )

    def _with_form(self, request: Request, template: str, status: int, **values: object) -> Response:
        """A page with the form that signs in, which has no session yet to belong to."""
        secret = sessions.form_secret(request) or sessions.new_secret()
        response = self._pages.page(template, status, token=sessions.form_token(secret), **values)
        sessions.keep_form(response, secret)
        return response


def _to_page() -> RedirectResponse:
    return RedirectResponse(TENANT, status_code=303)
