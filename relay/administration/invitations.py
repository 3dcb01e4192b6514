"""Creates links that begin an onboarding, for the operator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from relay.core.addresses import MAX_NAME_CHARS, mail_address, pasted_domain
from relay.errors import Rejected
from relay.graph.presence.organisation import tenant_of
from relay.http.paths import INVITATION
from relay.store.custody.operator_log import ActKind, OperatorAct, OperatorLog
from relay.store.custody.turned_away import now_ms
from relay.store.sealing.invitations import Invitation, Invitations, new_token

if TYPE_CHECKING:
    from relay.core.audit.events import Actor
    from relay.graph.client import GraphClient
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

LONGEST_DAYS: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationForm:
    """An invitation as the operator entered it.

    Attributes:
        domain: a domain of the organisation's Microsoft 365 accounts, as entered.
        organisation, contact, email: values that the wizard fills in; empty: the person enters them.
        days: until the link expires, 1 to `LONGEST_DAYS`.
    """

    domain: str
    organisation: str = ""
    contact: str = ""
    email: str = ""
    days: int = 14


class NotInvitable(Rejected):
    """No link was created.

    Attributes:
        field: the invalid field of the form.
        is_unknown: whether the form is valid, but Microsoft knows no organisation with this domain.
    """

    def __init__(self, field: str, *, is_unknown: bool = False) -> None:
        super().__init__(f"the {field} cannot be used")
        self.field = field
        self.is_unknown = is_unknown


async def invite(
    store: Store, ring: KeyRing, client: GraphClient, public_url: str, form: InvitationForm, by: Actor
) -> str:
    """Store an invitation and return its link, which works once.

    Args:
        store: stores it.
        ring: encrypts it.
        client: finds the organisation with this domain at Microsoft.
        public_url: of the pages.
        form: the invitation.
        by: the operator. The entry in the operators' log is written before the link is returned.

    Raises:
        NotInvitable: a field cannot be used.
        SourceUnreachable: Microsoft does not answer.
        NotSaved: it may not be on disk.
    """
    domain = pasted_domain(form.domain)
    if domain is None:
        raise NotInvitable("domain")
    if form.email and mail_address(form.email) is None:
        raise NotInvitable("email")
    for name in ("organisation", "contact"):
        text = getattr(form, name)
        if len(text) > MAX_NAME_CHARS or not text.isprintable():
            raise NotInvitable(name)
    if not 1 <= form.days <= LONGEST_DAYS:
        raise NotInvitable("days")
    tenant_id = await tenant_of(client, domain)
    if tenant_id is None:
        raise NotInvitable("domain", is_unknown=True)
    invitation = Invitation(
        domain=domain,
        tenant_id=tenant_id,
        organisation=form.organisation,
        contact=form.contact,
        email=form.email,
        expires=datetime.now(UTC) + timedelta(days=form.days),
        word_ms=now_ms(),
    )
    token = new_token()
    await OperatorLog(store).record(OperatorAct.of(ActKind.INVITED, by, tenant_id=tenant_id, about=domain))
    await Invitations(store, ring).put(token, invitation)
    return f"{public_url}{INVITATION}/{token}"
