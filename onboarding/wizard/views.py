"""The routes of the wizard: each view reads the request, takes a step, and renders a page or redirects.

Every page of a flow has its own address and is read by GET; forms answer with a redirect to it. So reloading, going
back and sending a form twice do no harm.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding.cookies import FORM_COOKIE
from onboarding.wizard import cookies, fields
from onboarding.wizard.flow import Stage, is_flow_id
from pages import forms
from pages.browser_secrets import form_token, is_form_of, link_token
from pages.first_forms import FirstForms
from pages.problems import PROBLEMS, ProblemError, problem_of
from pages.rate_limit import RequestKind, count_request
from relay.core.consent.tenant import SignUp
from relay.errors import RelayError, Retryable, StoreUnavailable
from relay.http.paths import CALLBACK, INVITATION, ONBOARDING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping

    from starlette.requests import Request

    from onboarding.settings import WebSettings
    from onboarding.wizard.flow import Flow
    from onboarding.wizard.steps import LoadedFlow, WizardSteps
    from pages.layout import Pages

    Returned = Callable[[Request, Mapping[str, str]], Awaitable[Response | None]]


class WizardViews:
    """The views of the wizard."""

    def __init__(self, steps: WizardSteps, pages: Pages, settings: WebSettings, others: Returned) -> None:
        """Create the views.

        Args:
            steps: the steps behind them.
            pages: renders the templates.
            settings: the addresses.
            others: takes Microsoft's answers to sign-ins of the tenant's page; returns None for the wizard's.
        """
        self._steps = steps
        self._pages = pages
        self._settings = settings
        self._others = others
        self._first_forms = FirstForms(pages, settings.public_url, FORM_COOKIE)

    def routes(self) -> list[Route]:
        """Return the routes of the wizard."""
        flow = f"{ONBOARDING}/{{flow_id}}"
        return [
            Route(ONBOARDING, self.start, methods=["GET", "POST"]),
            Route(CALLBACK, self.returned, methods=["GET", "POST"]),
            Route(f"{INVITATION}/{{link}}", self.invited, methods=["GET", "POST"]),
            Route(flow, self.show, methods=["GET"]),
            Route(f"{flow}/authorize", self.authorize, methods=["POST"]),
            Route(f"{flow}/admin", self.ask_admin, methods=["POST"]),
            Route(f"{flow}/invite", self.invite, methods=["POST"]),
            Route(f"{flow}/confirm", self.confirm, methods=["POST"]),
            Route(f"{flow}/key", self.key, methods=["GET", "POST"]),
        ]

    async def start(self, request: Request) -> Response:
        """Show the first form, or process it."""
        if self._settings.sign_up is SignUp.INVITED:
            return self._pages.page("wizard/invited_only.html", 403)
        if request.method != "POST":
            return self._form_page(request, {}, {})
        return await self._start(request, await self._first_forms.fields(request, RequestKind.SIGN_UP))

    async def invited(self, request: Request) -> Response:
        """Show the form of an invitation link, or process it."""
        link = request.path_params["link"]
        typed = await self._first_forms.fields(request, RequestKind.SIGN_UP) if request.method == "POST" else None
        invitation = await self._steps.invitation(link)
        if invitation is None:
            raise ProblemError("link_gone")
        given = {name: getattr(invitation, name) for name in fields.MAX_CHARS}
        if typed is not None:
            return await self._start(request, {**typed, **_filled(given)}, link, fixed=_filled(given))
        if not invitation.is_whole:
            return self._form_page(request, given, {}, link=link, fixed=_filled(given))
        return self._first_forms.page(request, "wizard/invitation.html", invitation=invitation, link=link)

    async def _start(
        self, request: Request, given: dict[str, str], link: str = "", fixed: Collection[str] = ()
    ) -> Response:
        try:
            applicant = fields.applicant(given)
        except fields.FieldsInvalid as invalid:
            return self._form_page(request, given, invalid.faults, status=422, link=link, fixed=fixed)
        try:
            started = await self._steps.start(applicant, link)
        except StoreUnavailable:
            raise
        except Retryable as error:
            # Show the form again, so that the typed text is not lost.
            return self._form_page(request, given, {}, status=503, notice=problem_of(error), link=link, fixed=fixed)
        if started in ("link_gone", "not_invited"):
            raise ProblemError(started)
        if isinstance(started, str):
            return self._form_page(
                request, given, {"domain": PROBLEMS[started].text}, status=422, link=link, fixed=fixed
            )
        flow, secret = started
        response = _to(_address(flow))
        cookies.set_flow_cookies(response, flow.flow_id, secret, flow.lifetime)
        return response

    async def show(self, request: Request) -> Response:
        """Show a flow at its current stage."""
        held, secret = await self._load(request)
        flow = held.flow
        match flow.stage:
            case Stage.STARTED:
                response = await self._permission_page(flow, secret)
            case Stage.SIGNED_IN:
                response = self._flow_page("wizard/account.html", flow, secret)
            case Stage.PROVING | Stage.FAILED:
                is_alive = flow.stage is Stage.PROVING and await self._steps.is_alive(held)
                response = self._verification_page(flow, secret, is_alive=is_alive)
            case Stage.DONE if flow.answered is not None:
                asked = await self._steps.request_of(held)
                response = self._flow_page("wizard/answered.html", flow, secret, asked=asked)
            case Stage.DONE:
                response = await self._done_page(held, secret)
        if flow.lifetime is not None:
            cookies.set_flow_cookies(response, flow.flow_id, secret, flow.lifetime)
        return response

    async def authorize(self, request: Request) -> Response:
        """Send the browser to Microsoft to sign in and consent."""
        return await self._send_to_microsoft(request, self._steps.authorize)

    async def ask_admin(self, request: Request) -> Response:
        """Send the browser to Microsoft for an administrator's consent for all users."""
        return await self._send_to_microsoft(request, self._steps.ask_admin)

    async def returned(self, request: Request) -> Response:
        """Process Microsoft's answer: posted from Microsoft's page, or in the address after an administrator's consent."""
        if request.method == "POST":
            answer = await forms.fields_of(request)
        else:  # with a route for POST only, GET would match the flows' pages
            answer = forms.query_of(request)
            # We never request a code in the address: it would be in histories and logs. A refusal comes this way if Entra
            # rejected the request before it read `response_mode`.
            if "code" in answer or not answer.keys() & {"admin_consent", "error"}:
                raise ProblemError("wrong_method")
        shown = await self._others(request, answer)
        if shown is not None:
            return shown
        begun = cookies.flows_of(request)
        if not begun:  # not an answer for this browser, which began nothing; no request to Redis needed
            raise ProblemError("unknown_sign_in")
        back = begun[-1]
        try:
            flow_id = await self._steps.returned(answer, lambda flow: cookies.is_returning(request, flow))
        except RelayError as error:
            raise ProblemError.from_error(error, back) from error
        if flow_id is None:
            raise ProblemError("unknown_sign_in", back)
        return _to(f"{ONBOARDING}/{flow_id}")

    async def invite(self, request: Request) -> Response:
        """Make an invitation link for another person."""
        held, secret = await self._load_for_form(request, RequestKind.SIGN_UP)
        with _leading_back(held):
            await self._steps.invite(held, lambda number: link_token(secret, number))
        return _to(_address(held.flow))

    async def confirm(self, request: Request) -> Response:
        """Begin the verification of this account, or try it again."""
        held, _ = await self._load_for_form(request)
        with _leading_back(held):
            await self._steps.confirm(held)
        return _to(_address(held.flow))

    async def key(self, request: Request) -> Response:
        """Show the suite key once, or make a new one that replaces a lost key."""
        if request.method == "POST":
            held, _ = await self._load_for_form(request)
            with _leading_back(held):
                is_made = await self._steps.another_key(held)
            if not is_made:
                raise ProblemError("no_key", held.flow.flow_id)
            return _to(f"{_address(held.flow)}/key")
        held, secret = await self._load(request)
        if held.flow.admitted is None or held.flow.admitted.is_pending:
            return _to(_address(held.flow))
        key = held.flow.admitted.key if forms.will_be_seen(request) else ""
        if key and not await self._steps.forget_key(held):
            key = ""  # another page was faster and shows it
        settings = self._settings
        return self._flow_page(
            "wizard/key.html",
            held.flow,
            secret,
            key=key,
            suite_address=settings.suite_address,
            suite_ca_file=settings.suite_ca_file,
        )

    async def _send_to_microsoft(self, request: Request, begin: Callable[[LoadedFlow], Awaitable[str]]) -> Response:
        held, _ = await self._load_for_form(request, RequestKind.CHANGE)
        if held.flow.stage is Stage.DONE:
            return _to(_address(held.flow))
        with _leading_back(held):
            url = await begin(held)
        return self._pages.page("wizard/to_microsoft.html", url=url, flow=held.flow)

    async def _permission_page(self, flow: Flow, secret: str) -> Response:
        link = link_token(secret, flow.links) if flow.links else ""
        invitation = await self._steps.invitation(link) if link else None
        return self._flow_page(
            "wizard/permission.html",
            flow,
            secret,
            link=f"{self._settings.public_url}{INVITATION}/{link}" if link else "",
            link_ends=invitation.expires if invitation is not None else None,
            egress=self._settings.egress_addresses,
        )

    async def _done_page(self, held: LoadedFlow, secret: str) -> Response:
        flow = held.flow
        if flow.admitted is None or not flow.admitted.is_pending:
            return self._flow_page("wizard/done.html", flow, secret)
        state = await self._steps.tenant_state(held)
        return self._flow_page("wizard/pending.html", flow, secret, state=state, email=flow.applicant.email)

    def _verification_page(self, flow: Flow, secret: str, *, is_alive: bool) -> Response:
        interrupted = PROBLEMS["interrupted"] if flow.stage is Stage.PROVING and not is_alive else None
        return self._flow_page("wizard/verification.html", flow, secret, is_running=is_alive, interrupted=interrupted)

    def _flow_page(self, template: str, flow: Flow, secret: str, **values: Any) -> Response:
        failure = flow.failure
        problem = PROBLEMS.get(failure.problem) if failure is not None else None
        token = form_token(secret)
        return self._pages.page(template, flow=flow, token=token, problem=problem, failure=failure, **values)

    def _form_page(
        self,
        request: Request,
        given: dict[str, str],
        faults: object,
        *,
        status: int = 200,
        notice: str = "",
        link: str = "",
        fixed: Collection[str] = (),
    ) -> Response:
        """Return the first form. Fields in `fixed` come from the link and cannot be changed."""
        return self._first_forms.page(
            request,
            "wizard/start.html",
            status,
            given=fields.shown_again(given),
            faults=faults,
            limits=fields.MAX_CHARS,
            fixed=fixed,
            notice=PROBLEMS[notice] if notice else None,
            action=f"{INVITATION}/{link}" if link else ONBOARDING,
        )

    async def _load(self, request: Request) -> tuple[LoadedFlow, str]:
        """Return the flow of an address and its browser's secret. A flow of another browser counts as unknown."""
        flow_id = request.path_params["flow_id"]
        has_cookie = bool(cookies.claimed_secret(request, flow_id))  # without it, no request to Redis is needed
        held = await self._steps.load(flow_id) if has_cookie else None
        secret = cookies.secret_of(request, held.flow) if held is not None else ""
        if held is None or not secret:
            raise ProblemError("unknown_flow")
        return held, secret

    async def _load_for_form(self, request: Request, budget: RequestKind | None = None) -> tuple[LoadedFlow, str]:
        """Return the flow and the secret of a form's address; the form must come from our page."""
        given = await self._form(request)
        flow_id = request.path_params["flow_id"]
        typed = cookies.claimed_secret(request, flow_id)
        if typed and not is_form_of(typed, given.get("token", "")):
            raise ProblemError("form_stale", flow_id if is_flow_id(flow_id) else "")
        if typed and budget is not None:
            count_request(request, budget)
        return await self._load(request)

    async def _form(self, request: Request) -> dict[str, str]:
        return await forms.ours(request, self._settings.public_url)


@contextmanager
def _leading_back(held: LoadedFlow) -> Iterator[None]:
    """Turn the errors of a step into a page that links back to the flow."""
    try:
        yield
    except RelayError as error:
        raise ProblemError.from_error(error, held.flow.flow_id) from error


def _filled(given: dict[str, str]) -> dict[str, str]:
    """Return the fields that a link sets; the person who opens it fills in the rest."""
    return {name: value for name, value in given.items() if value}


def _address(flow: Flow) -> str:
    return f"{ONBOARDING}/{flow.flow_id}"


def _to(path: str) -> RedirectResponse:
    """Redirect to a path of this site; no header or field influences the target."""
    return RedirectResponse(path, status_code=303)
