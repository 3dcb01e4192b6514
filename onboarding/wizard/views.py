"""One function a route: reads what was sent, takes a step, and shows a page or sends the browser on.

Every page of a flow has an address of its own and is read by GET; forms answer with a redirect to it. So reloading, going
back and sending a form twice do no harm.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding import cookies as sessions
from onboarding import forms
from onboarding.layout import is_path
from onboarding.problems import PROBLEMS, Stopped, of_error
from onboarding.rate_limit import Budget, demand
from onboarding.wizard import fields
from onboarding.wizard.flow import Step, is_flow_id
from relay.core.consent.tenant import SignUp
from relay.errors import RelayError, Retryable, StoreUnavailable
from relay.http.paths import CALLBACK, INVITATION, ONBOARDING
from relay.locale import languages
from relay.locale.languages import Language

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping

    from starlette.requests import Request

    from onboarding.layout import Pages
    from onboarding.settings import WebSettings
    from onboarding.wizard.flow import Flow
    from onboarding.wizard.steps import Held, Steps

    Returned = Callable[[Request, Mapping[str, str]], Awaitable[Response | None]]


class Views:
    """The routes' functions."""

    def __init__(self, steps: Steps, pages: Pages, settings: WebSettings, others: Returned) -> None:
        """Make them.

        Args:
            steps: what they do.
            pages: what they show.
            settings: where they are served.
            others: takes Microsoft's answers to other sign-ins than those of onboardings; None when one is none of those.
        """
        self._steps = steps
        self._pages = pages
        self._settings = settings
        self._others = others

    def routes(self) -> list[Route]:
        """Which function answers what."""
        flow = f"{ONBOARDING}/{{flow_id}}"
        return [
            Route("/", self.root, methods=["GET"]),
            Route(ONBOARDING, self.start, methods=["GET", "POST"]),
            Route(f"{ONBOARDING}/language", self.language, methods=["POST"]),
            Route(CALLBACK, self.returned, methods=["GET", "POST"]),
            Route(f"{INVITATION}/{{link}}", self.invited, methods=["GET", "POST"]),
            Route(flow, self.show, methods=["GET"]),
            Route(f"{flow}/authorize", self.authorize, methods=["POST"]),
            Route(f"{flow}/admin", self.ask_admin, methods=["POST"]),
            Route(f"{flow}/invite", self.invite, methods=["POST"]),
            Route(f"{flow}/confirm", self.confirm, methods=["POST"]),
            Route(f"{flow}/key", self.key, methods=["GET", "POST"]),
        ]

    async def root(self, _request: Request) -> Response:
        """The host's first page."""
        return _to(ONBOARDING)

    async def language(self, request: Request) -> Response:
        """The language switch: back to the page that it was pressed on."""
        given = await self._form(request)
        chosen, back = given.get("language", ""), given.get("back", "")
        if chosen not in set(Language) or not is_path(back):
            raise Stopped("bad_request")
        response = _to(back)
        response.headers.append("set-cookie", f"{languages.COOKIE}={chosen}; {languages.COOKIE_ATTRIBUTES}")
        return response

    async def start(self, request: Request) -> Response:
        """The form, and what was typed into it."""
        if self._settings.sign_up is SignUp.INVITED:
            return self._pages.page("invited_only.html", 403)
        if request.method != "POST":
            return self._form_page(request, {}, {})
        return await self._typed(request, await self._first_form(request))

    async def invited(self, request: Request) -> Response:
        """The link that somebody else was sent."""
        link = request.path_params["link"]
        typed = await self._first_form(request) if request.method == "POST" else None
        invitation = await self._steps.invitation(link)
        if invitation is None:
            raise Stopped("link_gone")
        given = {name: getattr(invitation, name) for name in fields.MAX_CHARS}
        if typed is not None:
            return await self._typed(request, {**typed, **_said(given)}, link, fixed=_said(given))
        if not invitation.is_whole:
            return self._form_page(request, given, {}, link=link, fixed=_said(given))
        return self._with_form(request, "invitation.html", invitation=invitation, link=link)

    async def _typed(
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
            # What was typed is worth more than a page that says the same.
            return self._form_page(request, given, {}, status=503, notice=of_error(error), link=link, fixed=fixed)
        if started in ("link_gone", "not_invited"):
            raise Stopped(started)
        if isinstance(started, str):
            return self._form_page(
                request, given, {"domain": PROBLEMS[started].text}, status=422, link=link, fixed=fixed
            )
        flow, secret = started
        response = _to(_address(flow))
        sessions.keep_flow(response, flow.flow_id, secret, flow.lifetime)
        return response

    async def show(self, request: Request) -> Response:
        """A flow as it stands."""
        held, secret = await self._held(request)
        flow = held.flow
        match flow.step:
            case Step.STARTED:
                response = await self._permission_page(flow, secret)
            case Step.SIGNED_IN:
                response = self._flow_page("account.html", flow, secret)
            case Step.PROVING | Step.FAILED:
                is_alive = flow.step is Step.PROVING and await self._steps.is_alive(held)
                response = self._trial_page(flow, secret, is_alive=is_alive)
            case Step.DONE if flow.answered is not None:
                asked = await self._steps.request_of(held)
                response = self._flow_page("answered.html", flow, secret, asked=asked)
            case Step.DONE:
                response = await self._done_page(held, secret)
        if flow.lifetime is not None:
            sessions.keep_flow(response, flow.flow_id, secret, flow.lifetime)
        return response

    async def authorize(self, request: Request) -> Response:
        """Off to Microsoft, to sign in and to consent."""
        return await self._leave(request, self._steps.authorize)

    async def ask_admin(self, request: Request) -> Response:
        """Off to Microsoft, for an administrator to consent for everybody."""
        return await self._leave(request, self._steps.ask_admin)

    async def returned(self, request: Request) -> Response:
        """Microsoft's answer: posted from Microsoft's page, or in the address when it is about an administrator's consent."""
        if request.method == "POST":
            answer = await forms.fields_of(request)
        else:  # a route for POST alone would leave GET to the flows' pages
            answer = forms.query_of(request)
            # A code in an address was not asked for, and would be in histories and logs. A refusal comes so where Entra looked
            # at the request before it looked at `response_mode`.
            if "code" in answer or not answer.keys() & {"admin_consent", "error"}:
                raise Stopped("wrong_method")
        shown = await self._others(request, answer)
        if shown is not None:
            return shown
        begun = sessions.flows_of(request)
        if not begun:  # no answer to a browser that began nothing; Redis need not be asked
            raise Stopped("unknown_sign_in")
        back = begun[-1]
        try:
            flow_id = await self._steps.returned(answer, lambda flow: sessions.is_returning(request, flow))
        except RelayError as error:
            raise Stopped.by(error, back) from error
        if flow_id is None:
            raise Stopped("unknown_sign_in", back)
        return _to(f"{ONBOARDING}/{flow_id}")

    async def invite(self, request: Request) -> Response:
        """Make a link for somebody else."""
        held, secret = await self._sent(request, Budget.SIGN_UP)
        with _stopping(held):
            await self._steps.invite(held, lambda number: sessions.link_token(secret, number))
        return _to(_address(held.flow))

    async def confirm(self, request: Request) -> Response:
        """Yes, this is the account; also: try again."""
        held, _ = await self._sent(request)
        with _stopping(held):
            await self._steps.confirm(held)
        return _to(_address(held.flow))

    async def key(self, request: Request) -> Response:
        """The suite key, once; and another one, for one that was lost."""
        if request.method == "POST":
            held, _ = await self._sent(request)
            with _stopping(held):
                is_made = await self._steps.another_key(held)
            if not is_made:
                raise Stopped("no_key", held.flow.flow_id)
            return _to(f"{_address(held.flow)}/key")
        held, secret = await self._held(request)
        if held.flow.admitted is None or held.flow.admitted.is_pending:
            return _to(_address(held.flow))
        key = held.flow.admitted.key if forms.is_looked_at(request) else ""
        if key and not await self._steps.shown(held):
            key = ""  # another page was faster, and has it
        settings = self._settings
        return self._flow_page(
            "key.html",
            held.flow,
            secret,
            key=key,
            suite_address=settings.suite_address,
            suite_ca_file=settings.suite_ca_file,
        )

    async def _leave(self, request: Request, begin: Callable[[Held], Awaitable[str]]) -> Response:
        held, _ = await self._sent(request, Budget.CHANGE)
        if held.flow.step is Step.DONE:
            return _to(_address(held.flow))
        with _stopping(held):
            url = await begin(held)
        return self._pages.page("leaving.html", url=url, flow=held.flow)

    async def _permission_page(self, flow: Flow, secret: str) -> Response:
        link = sessions.link_token(secret, flow.links) if flow.links else ""
        invitation = await self._steps.invitation(link) if link else None
        return self._flow_page(
            "permission.html",
            flow,
            secret,
            link=f"{self._settings.public_url}{INVITATION}/{link}" if link else "",
            link_ends=invitation.expires if invitation is not None else None,
            egress=self._settings.egress_addresses,
        )

    async def _done_page(self, held: Held, secret: str) -> Response:
        flow = held.flow
        if flow.admitted is None or not flow.admitted.is_pending:
            return self._flow_page("done.html", flow, secret)
        state = await self._steps.standing(held)
        return self._flow_page("waits.html", flow, secret, state=state, email=flow.applicant.email)

    def _trial_page(self, flow: Flow, secret: str, *, is_alive: bool) -> Response:
        interrupted = PROBLEMS["interrupted"] if flow.step is Step.PROVING and not is_alive else None
        return self._flow_page("trial.html", flow, secret, is_running=is_alive, interrupted=interrupted)

    def _flow_page(self, template: str, flow: Flow, secret: str, **values: Any) -> Response:
        trouble = flow.trouble
        problem = PROBLEMS.get(trouble.problem) if trouble is not None else None
        token = sessions.form_token(secret)
        return self._pages.page(template, flow=flow, token=token, problem=problem, trouble=trouble, **values)

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
        """The first form. What is `fixed` is shown and cannot be changed: the link says it."""
        return self._with_form(
            request,
            "start.html",
            status,
            given=fields.shown_again(given),
            faults=faults,
            limits=fields.MAX_CHARS,
            fixed=fixed,
            notice=PROBLEMS[notice] if notice else None,
            action=f"{INVITATION}/{link}" if link else ONBOARDING,
        )

    def _with_form(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """A page with a form that begins something: its cookie is made with it."""
        secret = sessions.form_secret(request) or sessions.new_secret()
        response = self._pages.page(template, status, token=sessions.form_token(secret), **values)
        sessions.keep_form(response, secret)
        return response

    async def _first_form(self, request: Request) -> dict[str, str]:
        """A form that begins something."""
        given = await self._form(request)
        secret = sessions.form_secret(request)
        if not secret:
            raise Stopped("no_cookie")
        if not sessions.is_form_of(secret, given.get("token", "")):
            raise Stopped("form_stale")
        demand(request, Budget.SIGN_UP)
        return given

    async def _held(self, request: Request) -> tuple[Held, str]:
        """The flow of an address and its browser's secret. One of another browser is as unknown as one that is gone."""
        flow_id = request.path_params["flow_id"]
        has_cookie = bool(sessions.flow_secret(request, flow_id))  # without it Redis need not be asked
        held = await self._steps.load(flow_id) if has_cookie else None
        secret = sessions.secret_of(request, held.flow) if held is not None else ""
        if held is None or not secret:
            raise Stopped("unknown_flow")
        return held, secret

    async def _sent(self, request: Request, budget: Budget | None = None) -> tuple[Held, str]:
        """The same for a form, which must be ours."""
        given = await self._form(request)
        flow_id = request.path_params["flow_id"]
        typed = sessions.flow_secret(request, flow_id)
        if typed and not sessions.is_form_of(typed, given.get("token", "")):
            raise Stopped("form_stale", flow_id if is_flow_id(flow_id) else "")
        if typed and budget is not None:
            demand(request, budget)
        return await self._held(request)

    async def _form(self, request: Request) -> dict[str, str]:
        return await forms.ours(request, self._settings.public_url)


@contextmanager
def _stopping(held: Held) -> Iterator[None]:
    """Turns what a step raises into a page that leads back to the flow."""
    try:
        yield
    except RelayError as error:
        raise Stopped.by(error, held.flow.flow_id) from error


def _said(given: dict[str, str]) -> dict[str, str]:
    """What a link says; the rest is open to whoever opens it."""
    return {name: value for name, value in given.items() if value}


def _address(flow: Flow) -> str:
    return f"{ONBOARDING}/{flow.flow_id}"


def _to(path: str) -> RedirectResponse:
    """Send the browser on; always to a path of ours, so that no header or field decides where."""
    return RedirectResponse(path, status_code=303)
