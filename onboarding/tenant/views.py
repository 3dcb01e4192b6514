"""Signing in and out, and the page. Forms answer with a redirect, so reloading and sending twice do no harm."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding import forms, sessions
from onboarding.languages import english
from onboarding.problems import PROBLEMS, Stopped, of_error
from onboarding.settings import TENANT, TENANT_SIGN_IN
from onboarding.tenant import cookies
from onboarding.tenant.access import Access
from onboarding.tenant.door import Door, NotAdmitted, SignInNeeded
from onboarding.tenant.frame import OVERVIEW, Frame
from onboarding.tenant.sessions import Sessions
from onboarding.tenant.sign_in import SignInFailed, SignIns, is_ours
from relay.errors import RelayError
from relay.graph.client import GraphClient
from relay.graph.consent import Consent
from relay.store.flows import Flows
from relay.store.tenants import Tenants
from relay.store.vault import Vault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Self

    from starlette.requests import Request

    from onboarding.pages import Pages
    from onboarding.settings import WebSettings
    from onboarding.tenant.sessions import Session
    from relay.graph.settings import GraphSettings
    from relay.store.connection import Store
    from relay.store.keyring import KeyRing

log = structlog.get_logger(__name__)


class TenantViews:
    """The routes' functions; made by `open`."""

    def __init__(
        self, pages: Pages, settings: WebSettings, door: Door, the_sessions: Sessions, sign_ins: SignIns
    ) -> None:
        self._pages = pages
        self._settings = settings
        self._door = door
        self._sessions = the_sessions
        self._sign_ins = sign_ins
        self._frame = Frame(pages, the_sessions)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, store: Store, ring: KeyRing, graph: GraphSettings, settings: WebSettings, pages: Pages
    ) -> AsyncIterator[Self]:
        """The views with everything they need, while the context lasts."""
        the_sessions = Sessions(store, ring)
        door = Door(the_sessions, Tenants(store), Vault(store, ring), settings.public_url)
        async with GraphClient(graph) as client, Consent(client) as consent:
            sign_ins = SignIns(Flows(store, ring), consent, settings.redirect_uri)
            yield cls(pages, settings, door, the_sessions, sign_ins)

    def routes(self) -> list[Route]:
        """Which function answers what."""
        return [
            Route(TENANT, self.show, methods=["GET"]),
            Route(TENANT_SIGN_IN, self.sign_in, methods=["POST"]),
            Route(f"{TENANT}/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The page."""
        visitor = await self._door.visitor(request)
        return await self._frame.page(visitor, "tenant/overview.html", OVERVIEW, english("Overview"))

    async def sign_in(self, request: Request) -> Response:
        """Off to Microsoft."""
        given = await forms.ours(request, self._settings.public_url)
        secret = sessions.form_secret(request)
        if not secret:
            raise Stopped("no_cookie")
        if not sessions.is_form_of(secret, given.get("token", "")):
            raise Stopped("form_stale")
        returning = cookies.return_secret(request) or sessions.new_secret()
        response = self._pages.page("tenant/to_microsoft.html", url=await self._sign_ins.begin(returning))
        cookies.keep_return(response, returning)
        return response

    async def returned(self, request: Request, answer: Mapping[str, str]) -> Response | None:
        """Microsoft's answer, posted from Microsoft's page; None when it is to another kind of sign-in."""
        if not is_ours(answer):
            return None
        try:
            trip = await self._sign_ins.take(answer, cookies.return_secret(request))
            who = await self._sign_ins.identify(trip, answer)
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
            return self._closed_page(request, error.session, error.access)
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

    def _closed_page(self, request: Request, session: Session, access: Access) -> Response:
        log.info("tenant_page_closed", tenant_id=session.tenant_id, account_id=session.account_id, why=access.name)
        return self._with_form(
            request,
            "tenant/closed.html",
            403,
            session=session,
            is_connected=access is not Access.NOT_CONNECTED,
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
