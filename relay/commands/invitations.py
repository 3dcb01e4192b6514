"""`presence-relay tenants invite`: create a link that begins an onboarding, as in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.administration.invitations import InvitationForm, NotInvitable, invite
from relay.commands.runner import EXIT_USAGE, fail
from relay.core.audit.events import OPERATOR
from relay.graph.client import GraphClient

if TYPE_CHECKING:
    from relay.settings.load import Settings
    from relay.store.server.connection import Store


async def make_invitation(store: Store, settings: Settings, form: InvitationForm) -> str:
    """Store an invitation and return its link. Ends the command when an argument is wrong."""
    async with GraphClient(settings.cloud.public_settings()) as client:
        try:
            return await invite(store, settings.key_ring(), client, settings.web.public_url or "", form, OPERATOR)
        except NotInvitable as error:
            fail(_words(error, form), EXIT_USAGE)


def _words(error: NotInvitable, form: InvitationForm) -> str:
    if error.is_unknown:
        return f"Microsoft knows no organisation with the domain {form.domain[:100]}."
    if error.field == "domain":
        return f"{form.domain[:100]!r} is not a domain."
    if error.field == "email":
        return f"{form.email[:100]!r} is not an e-mail address."
    return f"--{error.field} is too long, or has invisible characters."
