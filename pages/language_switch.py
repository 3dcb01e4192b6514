"""The form at the top of every page that chooses the language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pages import forms
from pages.layout import is_path
from pages.problems import ProblemError
from relay.locale import languages
from relay.locale.languages import Language

if TYPE_CHECKING:
    from starlette.requests import Request

    from pages.settings import PagesSettings


class LanguageSwitch:
    """The view of the form."""

    def __init__(self, settings: PagesSettings) -> None:
        self._settings = settings

    def route(self) -> Route:
        """Return the route of the form."""
        return Route(f"{self._settings.HOME}/language", self.choose, methods=["POST"])

    async def choose(self, request: Request) -> Response:
        """Set the language, and go back to the page with the switch."""
        given = await forms.ours(request, self._settings.public_url)
        chosen, back = given.get("language", ""), given.get("back", "")
        if chosen not in set(Language) or not is_path(back):
            raise ProblemError("bad_request")
        response = RedirectResponse(back, status_code=303)
        response.headers.append("set-cookie", f"{languages.COOKIE}={chosen}; {languages.COOKIE_ATTRIBUTES}")
        return response
