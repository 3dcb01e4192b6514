"""Sign-in and sign-out of a site: the forms, the cookies and the pages before a session.

    form that signs in ──► page on the way ──► Microsoft ──► callback of the site ──► entered ──► session ──► sign out

Each site defines its sessions and decides who may have one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import RedirectResponse, Response

from pages import forms
from pages.browser_secrets import is_form_of, new_secret
from pages.first_forms import FirstForms
from pages.problems import PROBLEMS, ProblemError
from pages.rate_limit import RequestKind, count_request

if TYPE_CHECKING:
    from starlette.requests import Request

    from pages.cookies import SignInCookies
    from pages.layout import Pages
    from pages.session_store import SessionStore


class Door:
    """Signs browsers in and out, after the site has identified the person."""

    def __init__(
        self, pages: Pages, public_url: str, cookies: SignInCookies, sessions: SessionStore[Any], templates: str = ""
    ) -> None:
        """Make the door of a site.

        Args:
            pages: renders its pages.
            public_url: of the site.
            cookies: of the site.
            sessions: of the site.
            templates: folder of `sign_in.html` and `to_microsoft.html`, with the slash; empty: no folder.
        """
        self._pages = pages
        self._public_url = public_url
        self._sessions = sessions
        self._templates = templates
        self.cookies = cookies
        self.first_forms = FirstForms(pages, public_url, cookies.form)

    def page(
        self,
        request: Request,
        problem: str = "",
        detail: str = "",
        *,
        status: int = 200,
        signed_out: bool = False,
        **values: Any,
    ) -> Response:
        """Return the sign-in page.

        Args:
            request: the request.
            problem: of the last attempt, a key of `PROBLEMS`; empty if there was none.
            detail: Microsoft's error text, shown if the problem shows it.
            status: the HTTP status.
            signed_out: whether the visitor has just signed out.
            values: everything else that the template needs.
        """
        found = PROBLEMS[problem] if problem else None
        return self.first_forms.page(
            request,
            f"{self._templates}sign_in.html",
            status,
            problem=found,
            detail=detail if found is not None and found.shows_detail else "",
            signed_out=signed_out,
            **values,
        )

    def outside(self, request: Request, **values: Any) -> Response:
        """Return the page for a visitor who is not, or no longer, signed in. If the request was a form, it had no effect."""
        is_form = request.method == "POST"
        return self.page(request, "signed_out" if is_form else "", status=403 if is_form else 200, **values)

    def returning(self, request: Request) -> str:
        """Return the secret in the browser's return cookie; a new one if it has none."""
        return self.cookies.return_secret(request) or new_secret()

    def to_microsoft(self, url: str, returning: str, **values: Any) -> Response:
        """Return the page that leads to Microsoft: our content security policy does not let a form lead there."""
        response = self._pages.page(f"{self._templates}to_microsoft.html", url=url, **values)
        self.cookies.set_return(response, returning)
        return response

    def entered(self, secret: str, address: str) -> Response:
        """Redirect a browser to `address` with its new session.

        The session is always new: it replaces the session cookie that the browser had before.
        """
        response = RedirectResponse(address, status_code=303)
        self.cookies.set_session(response, secret, self._sessions.longest)
        return response

    async def form(self, request: Request, max_fields: int = forms.MAX_FIELDS) -> dict[str, str]:
        """Return the fields of a form on a session's page, and count it as a change. Does not check who holds the session.

        Raises:
            ProblemError: it was not sent from a page of this session, is not a form, or exceeds the rate limit.
        """
        given = await forms.ours(request, self._public_url, max_fields)
        # Before the first request to Redis. Without a cookie the site shows the sign-in page, which needs no Redis.
        if self._checked(request, given):
            count_request(request, RequestKind.CHANGE)
        return given

    async def sign_out(self, request: Request, **values: Any) -> Response:
        """End the session, in the browser and in the store. The form's token suffices; the visitor needs no access."""
        secret = self._checked(request, await forms.ours(request, self._public_url))
        await self._sessions.end(secret)
        response = self.page(request, signed_out=True, **values)
        self.cookies.remove_session(response)
        return response

    def _checked(self, request: Request, given: dict[str, str]) -> str:
        """Return the session's secret, empty if there is none, after checking that the form carries its token."""
        secret = self.cookies.session_secret(request)
        if secret and not is_form_of(secret, given.get("token", "")):
            raise ProblemError("form_stale")
        return secret
