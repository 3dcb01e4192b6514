"""Signing in and out, Entra's answers, and the look whether an operator still has the role."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Final

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import cookies
from console.auth import OperatorSignInRequired, RecheckRequired
from console.sign_ins import OperatorSignInFailed
from onboarding import forms
from onboarding.browser_secrets import fingerprint, form_token, is_form_of, new_secret
from onboarding.flashes import Flash
from onboarding.layout import HERE, is_path
from onboarding.problems import PROBLEMS, ProblemError, problem_of
from onboarding.rate_limit import RequestKind, count_request
from relay.errors import RelayError
from relay.http.paths import CONSOLE, CONSOLE_CALLBACK

if TYPE_CHECKING:
    from starlette.requests import Request

    from console.services import ConsoleServices
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
        given = await self._first_form(request)
        if services.sign_ins is None:
            raise ProblemError("not_found")
        returning = cookies.return_secret(request) or new_secret()
        back = given.get("back", "")
        url = await services.sign_ins.begin(returning, back if is_path(back) else CONSOLE)
        return self._to_microsoft(url, returning)

    async def with_token(self, request: Request) -> Response:
        """Begin a session for somebody who has the token of a trial."""
        services = self._services
        given = await self._first_form(request)
        token = services.settings.token
        if token is None:
            raise ProblemError("not_found")
        if not hmac.compare_digest(given.get("secret", "").strip().encode(errors="replace"), token.encode()):
            log.warning("console_access_refused", account_id="", why="wrong token")
            return self.page(request, "wrong_token", status=403)
        return self._entered(await services.sessions.begin_trial(token), CONSOLE)

    async def returned(self, request: Request) -> Response:
        """Take Entra's answer to a sign-in, or to the question whether somebody still has the role."""
        services = self._services
        if services.sign_ins is None:
            raise ProblemError("not_found")
        answer = await forms.fields_of(request)
        pending = None
        try:
            pending = await services.sign_ins.take(answer, cookies.return_secret(request))
            who = await services.sign_ins.identify(pending, answer)
            if pending.session:
                return await self._checked(pending, who.account_id)
            secret = await services.sessions.begin(who)
            log.info("console_signed_in", account_id=who.account_id)
            return self._entered(secret, pending.back)
        except OperatorSignInFailed as failed:
            if pending is not None and pending.session:
                await services.sessions.end_named(pending.session)
                log.info("console_session_ended", problem=failed.problem)
            status = 403 if failed.problem in _REFUSALS else 400
            response = self.page(request, failed.problem, failed.detail, status=status)
            if pending is not None and pending.session:
                cookies.remove_session_cookie(response)
            return response
        except RelayError as error:
            # A session that could not be looked at stays, and is not let in before it was.
            log.warning("console_sign_in_postponed", problem=problem_of(error), error=str(error))
            return self.page(request, problem_of(error), status=PROBLEMS[problem_of(error)].status)

    async def _checked(self, pending: PendingOperatorSignIn, account_id: str) -> Response:
        """Let somebody go on who still has the role."""
        services = self._services
        held = await services.sessions.named(pending.session)
        if held is None or held.session.account_id != account_id:
            raise OperatorSignInFailed("signed_out")
        await services.sessions.change(held, checked_s=time.time())
        return RedirectResponse(pending.back, status_code=303)

    async def recheck(self, request: Request, error: Exception) -> Response:
        """Ask Entra whether an operator still has the role, and come back; an exception handler.

        A form is not carried out before: the page that it was on comes back and says so.
        """
        assert isinstance(error, RecheckRequired)
        services = self._services
        if services.sign_ins is None:
            return self.page(request)
        session = fingerprint(cookies.session_secret(request))
        if request.method == "POST":
            held = await services.sessions.named(session)
            if held is not None:
                await services.sessions.change(held, flash=Flash("checked_again"))
        returning = cookies.return_secret(request) or new_secret()
        try:
            url = await services.sign_ins.begin_recheck(returning, HERE.get(), session, error.name)
        except RelayError as trouble:
            log.warning("console_sign_in_postponed", problem=problem_of(trouble), error=str(trouble))
            return services.pages.problem(problem_of(trouble))
        return self._to_microsoft(url, returning)

    async def show_outside(self, request: Request, error: Exception) -> Response:
        """Answer somebody who is not signed in; an exception handler."""
        assert isinstance(error, OperatorSignInRequired)
        is_form = request.method == "POST"
        return self.page(request, "signed_out" if is_form else "", status=403 if is_form else 200)

    async def sign_out(self, request: Request) -> Response:
        """End the session, here and in the store."""
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
        services = self._services
        secret = cookies.form_secret(request) or new_secret()
        found = PROBLEMS[problem] if problem else None
        response = services.pages.page(
            "sign_in.html",
            status,
            token=form_token(secret),
            problem=found,
            detail=detail if found is not None and found.shows_detail else "",
            signed_out=signed_out,
            has_entra=services.sign_ins is not None,
            back=HERE.get() if request.method == "GET" else CONSOLE,
        )
        cookies.set_form_cookie(response, secret)
        return response

    async def _first_form(self, request: Request) -> dict[str, str]:
        """Return the fields of a form that signs in, which belongs to no session yet. Counts it as a sign-in."""
        given = await forms.ours(request, self._services.settings.public_url)
        secret = cookies.form_secret(request)
        if not secret:
            raise ProblemError("no_cookie")
        if not is_form_of(secret, given.get("token", "")):
            raise ProblemError("form_stale")
        count_request(request, RequestKind.SIGN_IN)
        return given

    def _to_microsoft(self, url: str, returning: str) -> Response:
        """Return the page that leads to Entra: a form of ours may not lead there itself, by our own policy."""
        response = self._services.pages.page("to_microsoft.html", url=url)
        cookies.set_return_cookie(response, returning)
        return response

    def _entered(self, secret: str, back: str) -> Response:
        # Always a new session: whatever cookie the browser had before means nothing from now on.
        response = RedirectResponse(back, status_code=303)
        cookies.set_session_cookie(response, secret, self._services.sessions.longest)
        return response


_REFUSALS: Final = frozenset({"no_role", "too_many_groups", "other_tenant"})
