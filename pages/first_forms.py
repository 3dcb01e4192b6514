"""Forms that begin a flow or a session. They belong to neither yet, so they use a separate cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pages import forms
from pages.browser_secrets import form_token, is_form_of, new_secret
from pages.cookies import read_cookie, set_cookie
from pages.problems import ProblemError
from pages.rate_limit import RequestKind, count_request

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pages.layout import Pages


class FirstForms:
    """Shows the forms that begin a flow or a session, and reads them."""

    def __init__(self, pages: Pages, public_url: str, cookie: str) -> None:
        """Make the forms of a site.

        Args:
            pages: renders their pages.
            public_url: of the site.
            cookie: the name of their cookie.
        """
        self._pages = pages
        self._public_url = public_url
        self._cookie = cookie

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """Return a page with such a form, and set the form's cookie. The template gets the form's token as `token`."""
        secret = read_cookie(request, self._cookie) or new_secret()
        response = self._pages.page(template, status, token=form_token(secret), **values)
        set_cookie(response, self._cookie, secret, same_site="Lax")
        return response

    async def fields(self, request: Request, kind: RequestKind) -> dict[str, str]:
        """Return the fields of such a form, and count it towards the rate limit.

        Raises:
            ProblemError: it was not sent from a page of ours in this browser, or exceeds the rate limit.
        """
        given = await forms.ours(request, self._public_url)
        secret = read_cookie(request, self._cookie)
        if not secret:
            raise ProblemError("no_cookie")
        if not is_form_of(secret, given.get("token", "")):
            raise ProblemError("form_stale")
        count_request(request, kind)
        return given
