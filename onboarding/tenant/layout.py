"""What the pages behind the sign-in share: sections, who is signed in, and what the last step came to, said once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from onboarding.tenant.flash import said
from onboarding.tenant.sessions import Note
from relay.http.paths import TENANT
from relay.locale.languages import english, gettext

if TYPE_CHECKING:
    from starlette.responses import Response

    from onboarding.layout import Pages
    from onboarding.tenant.auth import Visitor
    from onboarding.tenant.sessions import Sessions

OVERVIEW: Final = TENANT
SUITES: Final = f"{TENANT}/suites"
SETTINGS: Final = f"{TENANT}/settings"
DIAGNOSTICS: Final = f"{TENANT}/diagnostics"
LOG: Final = f"{TENANT}/log"
SECTIONS: Final = (
    (OVERVIEW, english("Overview")),
    (SUITES, english("Phone suites")),
    (DIAGNOSTICS, english("Diagnostics")),
    (SETTINGS, english("Settings")),
    (LOG, english("Log")),
)
"""(address, what it is called)."""


class Frame:
    """Renders the pages of a tenant for somebody who was let in."""

    def __init__(self, pages: Pages, the_sessions: Sessions) -> None:
        self._pages = pages
        self._sessions = the_sessions

    async def page(
        self, visitor: Visitor, template: str, section: str, heading: str, *, status: int = 200, **values: Any
    ) -> Response:
        """A page.

        Args:
            visitor: who looks at it.
            template: extends `tenant/frame.html`.
            section: one of the addresses of `SECTIONS`.
            heading: what the page is about, for the window's title; a message.
            status: HTTP's.
            values: what the template needs besides.
        """
        note = visitor.session.note
        if note is not None:
            await self._sessions.change(visitor.held, note=None)
        return self._pages.page(
            template,
            status,
            visitor=visitor,
            tenant=visitor.tenant,
            token=visitor.token,
            **{**self.sections(section, heading, visitor), "note": said(note)},
            **values,
        )

    def sections(self, section: str, heading: str, visitor: Visitor) -> dict[str, Any]:
        """What `tenant/frame.html` needs of a page that says no note."""
        sections = [(address, gettext(label)) for address, label in SECTIONS] if visitor.access.looks_after else []
        return {"section": section, "sections": sections, "heading": heading, "note": None}

    async def note(self, visitor: Visitor, key: str, about: str = "") -> None:
        """Leave a note for the next page: a key of `NOTES` or `PROBLEMS`, and what it is about."""
        await self._sessions.change(visitor.held, note=Note(key, about))
