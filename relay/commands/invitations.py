"""`presence-relay tenants invite`: make a link that begins an onboarding, as the pages do for a colleague."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from relay.commands.runner import EXIT_USAGE, fail
from relay.core.addresses import MAX_NAME_CHARS, mail_address, pasted_domain
from relay.graph.client import GraphClient
from relay.graph.presence.organisation import tenant_of
from relay.http.paths import INVITATION
from relay.store.custody.turned_away import now_ms
from relay.store.sealing.invitations import Invitation, Invitations, new_token

if TYPE_CHECKING:
    from relay.settings.load import Settings
    from relay.store.server.connection import Store


async def make_invitation(
    store: Store, settings: Settings, domain: str, *, organisation: str, contact: str, email: str, days: int
) -> str:
    """Store an invitation and return its link. Ends the command when an argument is wrong."""
    checked_domain = pasted_domain(domain)
    if checked_domain is None:
        fail(f"{domain[:100]!r} is not a domain.", EXIT_USAGE)
    if email and mail_address(email) is None:
        fail(f"{email[:100]!r} is not an e-mail address.", EXIT_USAGE)
    for name, text in (("organisation", organisation), ("contact", contact)):
        if len(text) > MAX_NAME_CHARS or not text.isprintable():
            fail(f"--{name} is too long, or has invisible characters.", EXIT_USAGE)
    async with GraphClient(settings.cloud.public_settings()) as client:
        tenant_id = await tenant_of(client, checked_domain)
    if tenant_id is None:
        fail(f"Microsoft knows no organisation with the domain {checked_domain}.", EXIT_USAGE)
    invitation = Invitation(
        domain=checked_domain,
        tenant_id=tenant_id,
        organisation=organisation,
        contact=contact,
        email=email,
        expires=datetime.now(UTC) + timedelta(days=days),
        word_ms=now_ms(),
    )
    token = new_token()
    await Invitations(store, settings.key_ring()).put(token, invitation)
    return f"{settings.web.public_url}{INVITATION}/{token}"
