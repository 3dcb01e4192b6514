"""The layout that the pages behind the sign-in share: sections, the visitor, and the message of the last step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from onboarding.tenant.flash import MESSAGES
from pages.visitor_layout import VisitorLayout
from relay.http.paths import TENANT
from relay.locale.languages import english

if TYPE_CHECKING:
    from onboarding.tenant.auth import Visitor
    from onboarding.tenant.sessions import Sessions
    from pages.layout import Pages

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


class TenantLayout(VisitorLayout["Visitor"]):
    """Renders the pages of a tenant for a visitor with access."""

    def __init__(self, pages: Pages, sessions: Sessions) -> None:
        super().__init__(pages, sessions, MESSAGES, SECTIONS)

    def frame(self, visitor: Visitor, section: str, heading: str) -> dict[str, Any]:
        """Return the values that `tenant/layout.html` needs for a page without a message; sections are for managers."""
        found = {**super().frame(visitor, section, heading), "tenant": visitor.tenant}
        return found if visitor.access.is_manager else {**found, "sections": []}
