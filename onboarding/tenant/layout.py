"""The layout that the pages behind the sign-in share: sections, the visitor, and the message of the last step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from onboarding.flashes import Flash
from onboarding.tenant.flash import message_of
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
"""(address, label)."""


class TenantLayout:
    """Renders the pages of a tenant for somebody who was let in."""

    def __init__(self, pages: Pages, sessions: Sessions) -> None:
        self._pages = pages
        self._sessions = sessions

    async def page(
        self, visitor: Visitor, template: str, section: str, heading: str, *, status: int = 200, **values: Any
    ) -> Response:
        """Render a page, with the message that the last step left.

        Args:
            visitor: the person who looks at it.
            template: extends `tenant/layout.html`.
            section: one of the addresses of `SECTIONS`.
            heading: the page's subject, for the window's title; a message.
            status: the HTTP status.
            values: everything else that the template needs.
        """
        flash = visitor.session.flash
        if flash is not None:
            await self._sessions.change(visitor.held, flash=None)
        return self._pages.page(
            template,
            status,
            visitor=visitor,
            tenant=visitor.tenant,
            token=visitor.token,
            **{**self.sections(section, heading, visitor), "message": message_of(flash)},
            **values,
        )

    def sections(self, section: str, heading: str, visitor: Visitor) -> dict[str, Any]:
        """Return the values that `tenant/layout.html` needs for a page that shows no message."""
        sections = [(address, gettext(label)) for address, label in SECTIONS] if visitor.access.is_manager else []
        return {"section": section, "sections": sections, "heading": heading, "message": None}

    async def flash(self, visitor: Visitor, key: str, about: str = "") -> None:
        """Leave a message for the next page: a key of `MESSAGES` or `PROBLEMS`, and the person or thing that it is about."""
        await self._sessions.change(visitor.held, flash=Flash(key, about))
