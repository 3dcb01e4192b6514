"""Forms that begin something: they belong to no flow and to no session yet, so they have a cookie of their own."""

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
    """Shows such forms and takes them."""

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
        """Return a page with such a form, whose token is `token` in the template, and the form's cookie."""
        secret = read_cookie(request, self._cookie) or new_secret()
        response = self._pages.page(template, status, token=form_token(secret), **values)
        set_cookie(response, self._cookie, secret, same_site="Lax")
        return response

    async def fields(self, request: Request, kind: RequestKind) -> dict[str, str]:
        """Return the fields of such a form, and count it.

        Raises:
            ProblemError: it was not sent from a page of ours in this browser, or is one too many.
        """
        given = await forms.ours(request, self._public_url)
        secret = read_cookie(request, self._cookie)
        if not secret:
            raise ProblemError("no_cookie")
        if not is_form_of(secret, given.get("token", "")):
            raise ProblemError("form_stale")
        count_request(request, kind)
        return given
