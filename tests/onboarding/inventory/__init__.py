"""The pages × states: one row each, visited in Chromium, looked at by axe, and kept as pictures where these are wanted.

A module here has the rows of one part of the pages. A row is a function that brings the browser to one page in one state:

    @row("greeting", "admin-needed")
    async def _(visit: Visit) -> None:
        await visit.fill(domain="litware.example")
        ...

`page` is the template's name. Whatever is quicker without a browser is done by `visit.person`, a browser played by a
script: `await visit.show()` then shows its page with its cookies. Each row starts from an empty store and a fresh local
cloud, in a window without cookies.

Add the module to `browser/test_inventory.py`, and raise its count.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urljoin

from playwright.async_api import BrowserContext, Page

from relay.locale.languages import Language
from tests.onboarding.person import ACCOUNT, APPLICANT, Person
from tests.onboarding.site import Site


@dataclass
class Visit:
    """One visit of one row.

    Attributes:
        site: the pages and all that is behind them.
        page: of Chromium.
        person: the same person in a browser that is played by a script, in the same language.
        language: of both.
    """

    site: Site
    page: Page
    person: Person
    language: Language
    undo: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What a row does to its surroundings and must be undone after the picture."""

    async def goto(self, path: str) -> None:
        await self.page.goto(urljoin(self.site.url, path))

    async def show(self, path: str = "") -> None:
        """The page that the person is at (or a path), in Chromium, with the person's cookies."""
        context: BrowserContext = self.page.context
        await context.add_cookies(
            [
                {"name": cookie.name, "value": cookie.value or "", "url": self.site.url, "secure": True}
                for cookie in self.person.client.cookies.jar
                if cookie.name.startswith("__Host-")
            ]
        )
        await self.goto(path or str(self.person.page.url))

    async def fill(self, **changes: str) -> None:
        """The first form, filled in and sent, in Chromium."""
        await self.goto("/onboarding")
        for name, value in {**APPLICANT, **changes}.items():
            await self.page.fill(f"#{name}", value)
        await self.page.click("#start button.button--main")

    async def grant(self, account: str = ACCOUNT, **changes: str) -> None:
        """An account has connected its organisation."""
        await self.person.connect(account, **changes)


Visiting = Callable[[Visit], Awaitable[None]]


@dataclass(frozen=True)
class Row:
    """A page in a state."""

    page: str
    state: str
    visit: Visiting

    @property
    def name(self) -> str:
        return f"{self.page.replace('/', '-')}-{self.state}"


ROWS: list[Row] = []
"""All rows of the modules that were imported."""


def row(page: str, state: str) -> Callable[[Visiting], Visiting]:
    """Make a row of a function."""

    def register(visit: Visiting) -> Visiting:
        ROWS.append(Row(page, state, visit))
        return visit

    return register
