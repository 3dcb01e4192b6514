"""The layout that the console's pages share: sections, the operator, and the message of the last step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from console.messages import MESSAGES
from onboarding.flashes import Flash, message_in
from relay.http.paths import CONSOLE
from relay.locale.languages import english, gettext

if TYPE_CHECKING:
    from starlette.responses import Response

    from console.auth import OperatorVisitor
    from console.sessions import OperatorSessions
    from onboarding.layout import Pages

TENANTS: Final = CONSOLE
INVITE: Final = f"{CONSOLE}/invite"
WORKERS: Final = f"{CONSOLE}/workers"
EDGES: Final = f"{CONSOLE}/edges"
EVENTS: Final = f"{CONSOLE}/events"
SECTIONS: Final = (
    (TENANTS, english("Tenants")),
    (INVITE, english("Invite")),
    (WORKERS, english("Workers")),
    (EDGES, english("Edges")),
    (EVENTS, english("Events")),
)
"""(address, label)."""
STRAPLINE: Final = english("The operator’s console")
PROMISE: Final = english("Every change is logged, with the name that you signed in with.")


def tenant_address(tenant_id: str) -> str:
    """Return the address of one tenant's page."""
    return f"{CONSOLE}/tenants/{tenant_id}"


class ConsoleLayout:
    """Renders the pages of the console for an operator who was let in."""

    def __init__(self, pages: Pages, sessions: OperatorSessions) -> None:
        self._pages = pages
        self._sessions = sessions

    async def page(
        self, visitor: OperatorVisitor, template: str, section: str, heading: str, *, status: int = 200, **values: Any
    ) -> Response:
        """Render a page, with the message that the last step left.

        Args:
            visitor: the operator.
            template: extends `console/layout.html`.
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
            is_wide=True,
            visitor=visitor,
            token=visitor.token,
            section=section,
            sections=[(address, gettext(label)) for address, label in SECTIONS],
            heading=heading,
            message=message_in(MESSAGES, flash),
            **values,
        )

    async def flash(self, visitor: OperatorVisitor, key: str, about: str = "") -> None:
        """Leave a message for the next page: a key of `MESSAGES` or `PROBLEMS`, and the person or thing that it is about."""
        await self._sessions.change(visitor.held, flash=Flash(key, about))
