"""One function a route: reads what was sent, takes a step, and shows a page or sends the browser on.

Every page of a flow has an address of its own and is read by GET; forms answer with a redirect to it. So reloading, going
back and sending a form twice do no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding import fields, forms, languages, sessions
from onboarding.flow import Step
from onboarding.languages import Language
from onboarding.pages import is_path
from onboarding.problems import PROBLEMS, Stopped, of_error
from onboarding.settings import CALLBACK, PREFIX
from relay.errors import RelayError, Retryable, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from onboarding.flow import Applicant, Flow
    from onboarding.pages import Pages
    from onboarding.settings import WebSettings
    from onboarding.steps import Held, Steps

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
        flow = f"{PREFIX}/{{flow_id}}"
        return [
            Route("/", self.root, methods=["GET"]),
            Route(PREFIX, self.start, methods=["GET", "POST"]),
            Route(f"{PREFIX}/language", self.language, methods=["POST"]),
            Route(CALLBACK, self.returned, methods=["GET", "POST"]),
            Route(flow, self.show, methods=["GET"]),
            Route(f"{flow}/authorize", self.authorize, methods=["POST"]),
            Route(f"{flow}/complete", self.complete, methods=["POST"]),
            Route(f"{flow}/key", self.another_key, methods=["POST"]),
        ]

    async def root(self, _request: Request) -> Response:
        """The host's first page."""
        return _to(PREFIX)

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
        if request.method != "POST":
            return self._form_page(request, {}, {})
        given = await self._form(request)
        secret = sessions.form_secret(request)
        if not secret:
            raise Stopped("no_cookie")
        if not sessions.is_form_of(secret, given.get("token", "")):
            raise Stopped("form_stale")
        try:
            applicant = fields.applicant(given)
        except fields.FieldsInvalid as invalid:
            return self._form_page(request, given, invalid.faults, status=422)
        return await self._started(request, applicant, given)

    async def _started(self, request: Request, applicant: Applicant, given: dict[str, str]) -> Response:
        try:
            started = await self._steps.start(applicant)
        except StoreUnavailable:
            raise
        except Retryable as error:
            # What was typed is worth more than a page that says the same.
            return self._form_page(request, given, {}, status=503, notice=of_error(error))
        if isinstance(started, str):
            return self._form_page(request, given, {"domain": PROBLEMS[started].text}, status=422)
        flow, secret = started
        response = _to(_address(flow))
        sessions.keep_flow(response, flow.flow_id, secret)
        return response

    async def show(self, request: Request) -> Response:
        """A flow as it stands."""
        held, secret = await self._held(request)
        flow, token = held.flow, sessions.form_token(secret)
        if flow.step is not Step.DONE:
            trouble = flow.trouble
            problem = PROBLEMS.get(trouble.problem) if trouble is not None else None
            return self._pages.page(
                "greeting.html",
                flow=flow,
                token=token,
                is_authorized=flow.step is Step.AUTHORIZED,
                problem=problem,
                needs_admin=trouble is not None and trouble.problem == "admin_needed",
                detail=trouble.detail if trouble is not None and problem is not None and problem.shows_detail else "",
            )
        assert flow.admitted is not None
        key = flow.admitted.key if forms.is_looked_at(request) else ""
        if key and not await self._steps.shown(held):
            key = ""  # another page was faster, and has it
        return self._pages.page(
            "done.html",
            flow=flow,
            token=token,
            admitted=flow.admitted,
            key=key,
            suite_address=self._settings.suite_address,
            suite_ca_file=self._settings.suite_ca_file,
        )

    async def authorize(self, request: Request) -> Response:
        """AUTHORIZE: off to Microsoft."""
        held, _ = await self._sent(request)
        if held.flow.step is not Step.STARTED:
            return _to(_address(held.flow))
        try:
            url = await self._steps.authorize(held)
        except RelayError as error:
            raise Stopped(of_error(error), held.flow.flow_id) from error
        return self._pages.page("leaving.html", url=url, flow=held.flow)

    async def returned(self, request: Request) -> Response:
        """Microsoft's answer, posted from Microsoft's page."""
        if request.method != "POST":  # a route for POST alone would leave GET to the flows' pages
            raise Stopped("wrong_method")
        answer = await forms.fields_of(request)
        shown = await self._others(request, answer)
        if shown is not None:
            return shown
        begun = sessions.flows_of(request)
        back = begun[-1] if begun else ""
        try:
            flow_id = await self._steps.returned(answer, lambda flow: sessions.is_returning(request, flow))
        except RelayError as error:
            raise Stopped(of_error(error), back) from error
        if flow_id is None:
            raise Stopped("unknown_sign_in", back)
        return _to(f"{PREFIX}/{flow_id}")

    async def complete(self, request: Request) -> Response:
        """COMPLETE REQUEST."""
        held, _ = await self._sent(request)
        try:
            await self._steps.complete(held)
        except RelayError as error:
            raise Stopped(of_error(error), held.flow.flow_id) from error
        return _to(_address(held.flow))

    async def another_key(self, request: Request) -> Response:
        """Another suite key, for one that was lost."""
        held, _ = await self._sent(request)
        try:
            await self._steps.another_key(held)
        except RelayError as error:
            raise Stopped(of_error(error), held.flow.flow_id) from error
        return _to(_address(held.flow))

    def _form_page(
        self,
        request: Request,
        given: dict[str, str],
        faults: object,
        *,
        status: int = 200,
        notice: str = "",
    ) -> Response:
        secret = sessions.form_secret(request) or sessions.new_secret()
        response = self._pages.page(
            "start.html",
            status,
            given=fields.shown_again(given),
            faults=faults,
            limits=fields.MAX_CHARS,
            token=sessions.form_token(secret),
            notice=PROBLEMS[notice] if notice else None,
        )
        sessions.keep_form(response, secret)
        return response

    async def _held(self, request: Request) -> tuple[Held, str]:
        """The flow of an address and its browser's secret. One of another browser is as unknown as one that is gone."""
        held = await self._steps.load(request.path_params["flow_id"])
        secret = sessions.secret_of(request, held.flow) if held is not None else ""
        if held is None or not secret:
            raise Stopped("unknown_flow")
        return held, secret

    async def _sent(self, request: Request) -> tuple[Held, str]:
        """The same for a form, which must be ours."""
        given = await self._form(request)
        held, secret = await self._held(request)
        if not sessions.is_form_of(secret, given.get("token", "")):
            raise Stopped("form_stale", held.flow.flow_id)
        return held, secret

    async def _form(self, request: Request) -> dict[str, str]:
        return await forms.ours(request, self._settings.public_url)


def _address(flow: Flow) -> str:
    return f"{PREFIX}/{flow.flow_id}"


def _to(path: str) -> RedirectResponse:
    """Send the browser on; always to a path of ours, so that no header or field decides where."""
    return RedirectResponse(path, status_code=303)
