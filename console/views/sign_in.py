"""Signing in and out, Entra's answers, and the repeated check of an operator's role."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.auth import OperatorSignInRequired, RecheckRequired
from console.cookies import COOKIES
from pages import forms
from pages.browser_secrets import fingerprint
from pages.flashes import Flash
from pages.layout import HERE, is_path
from pages.pending_sign_ins import SignInFailed
from pages.problems import PROBLEMS, ProblemError, problem_of
from pages.rate_limit import RequestKind
from relay.errors import RelayError
from relay.http.paths import CONSOLE, CONSOLE_CALLBACK

if TYPE_CHECKING:
    from starlette.requests import Request

    from console.services import ConsoleServices
    from console.sessions import OperatorRight
    from console.sign_ins import PendingOperatorSignIn

log = structlog.get_logger(__name__)

_SIGN_IN: Final = f"{CONSOLE}/sign-in"


class OperatorSignInViews:
    """Views of signing in and out."""

    def __init__(self, services: ConsoleServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        return [
            Route(_SIGN_IN, self.sign_in, methods=["POST"]),
            Route(f"{CONSOLE}/token", self.with_token, methods=["POST"]),
            Route(CONSOLE_CALLBACK, self.returned, methods=["POST"]),
            Route(f"{CONSOLE}/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def sign_in(self, request: Request) -> Response:
        """Send the browser to Entra."""
        services = self._services
        given = await services.door.first_forms.fields(request, RequestKind.SIGN_IN)
        if services.sign_ins is None:
            raise ProblemError("not_found")
        returning, back = services.door.returning(request), given.get("back", "")
        url = await services.sign_ins.begin(returning, back if is_path(back) else CONSOLE)
        return services.door.to_microsoft(url, returning)

    async def with_token(self, request: Request) -> Response:
        """Begin a session for an operator who has the trial token."""
        services = self._services
        given = await services.door.first_forms.fields(request, RequestKind.SIGN_IN)
        token = services.settings.token
        if token is None:
            raise ProblemError("not_found")
        if not hmac.compare_digest(given.get("secret", "").strip().encode(errors="replace"), token.encode()):
            log.warning("console_access_refused", account_id="", why="wrong token")
            return self.page(request, "wrong_token", status=403)
        return services.door.entered(await services.sessions.begin_trial(token), CONSOLE)

    async def returned(self, request: Request) -> Response:
        """Process Entra's answer to a sign-in or to a role check."""
        services = self._services
        if services.sign_ins is None:
            raise ProblemError("not_found")
        answer = await forms.fields_of(request)
        pending = None
        try:
            pending = await services.sign_ins.take(answer, COOKIES.return_secret(request))
            who, right = await services.sign_ins.identify(pending, answer)
            if pending.session:
                return await self._checked(pending, who.account_id, right)
            secret = await services.sessions.begin(who, right)
            log.info("console_signed_in", account_id=who.account_id, right=right)
            return services.door.entered(secret, pending.back)
        except SignInFailed as failed:
            if pending is not None and pending.session:
                await services.sessions.end_named(pending.session)
                log.info("console_session_ended", problem=failed.problem)
            status = 403 if failed.problem in _REFUSALS else 400
            response = self.page(request, failed.problem, failed.detail, status=status)
            if pending is not None and pending.session:
                COOKIES.remove_session(response)
            return response
        except RelayError as error:
            # A session that could not be checked stays, but has no access until it was checked.
            log.warning("console_sign_in_postponed", problem=problem_of(error), error=str(error))
            return self.page(request, problem_of(error), status=PROBLEMS[problem_of(error)].status)

    async def _checked(self, pending: PendingOperatorSignIn, account_id: str, right: OperatorRight) -> Response:
        """Redirect an operator who still has a role, and update the session's right."""
        services = self._services
        held = await services.sessions.named(pending.session)
        if held is None or held.session.account_id != account_id:
            raise SignInFailed("signed_out")
        await services.sessions.change(held, checked_s=time.time(), right=right)
        return RedirectResponse(pending.back, status_code=303)

    async def recheck(self, request: Request, error: Exception) -> Response:
        """Check at Entra whether an operator still has the role, and return to the page; an exception handler.

        A form that was sent meanwhile has no effect: its page is shown again with a message.
        """
        assert isinstance(error, RecheckRequired)
        services = self._services
        if services.sign_ins is None:
            return self.page(request)
        session = fingerprint(COOKIES.session_secret(request))
        if request.method == "POST":
            held = await services.sessions.named(session)
            if held is not None:
                await services.sessions.change(held, flash=Flash("checked_again"))
        returning = services.door.returning(request)
        try:
            url = await services.sign_ins.begin_recheck(returning, HERE.get(), session, error.name)
        except RelayError as trouble:
            log.warning("console_sign_in_postponed", problem=problem_of(trouble), error=str(trouble))
            return services.pages.problem(problem_of(trouble))
        return services.door.to_microsoft(url, returning)

    async def show_outside(self, request: Request, error: Exception) -> Response:
        """Answer a visitor who is not signed in; an exception handler."""
        assert isinstance(error, OperatorSignInRequired)
        return self._services.door.outside(request, **self._shown(request))

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        return await self._services.door.sign_out(request, **self._shown(request))

    def page(self, request: Request, problem: str = "", detail: str = "", *, status: int = 200) -> Response:
        """Return the sign-in page, with the problem of the last attempt if there is one."""
        return self._services.door.page(request, problem, detail, status=status, **self._shown(request))

    def _shown(self, request: Request) -> dict[str, Any]:
        """Return the values of `sign_in.html` that only the console has."""
        back = HERE.get() if request.method == "GET" else CONSOLE
        return {"has_entra": self._services.sign_ins is not None, "back": back}


_REFUSALS: Final = frozenset({"no_role", "too_many_groups", "other_tenant"})
