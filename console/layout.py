"""The layout that the console's pages share: sections, the operator, and the message of the last step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from console.messages import MESSAGES
from pages.visitor_layout import VisitorLayout
from relay.http.paths import CONSOLE
from relay.locale.languages import english

if TYPE_CHECKING:
    from console.auth import OperatorVisitor
    from console.sessions import OperatorSessions
    from pages.layout import Pages

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


def tenant_address(tenant_id: str) -> str:
    """Return the address of one tenant's page."""
    return f"{CONSOLE}/tenants/{tenant_id}"


class ConsoleLayout(VisitorLayout["OperatorVisitor"]):
    """Renders the pages of the console, which are wide, for an operator with access."""

    def __init__(self, pages: Pages, sessions: OperatorSessions) -> None:
        super().__init__(pages, sessions, MESSAGES, SECTIONS)

    def frame(self, visitor: OperatorVisitor, section: str, heading: str) -> dict[str, Any]:
        """Return the values that `console.html` needs for a page without a message; read-only operators see no forms for changes."""
        found = {**super().frame(visitor, section, heading), "is_wide": True}
        if not visitor.may_change:
            found["sections"] = [one for one in found["sections"] if one[0] != INVITE]
        return found
