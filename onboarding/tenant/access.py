"""Who may open a tenant's page. Pure.

* Accounts that hold a grant of the tenant: who reads for an organisation may see that and end it.
* The contact named at onboarding, signed in to this very tenant. What counts is the account's own name (`preferred_username`,
  the UPN) in an id token of this tenant: the part after its @ is a domain that Microsoft had the tenant prove it owns, and only
  the tenant's administrators give names out. Any other claim would not do: what a token has as `email` is a text that
  administrators of *any* tenant can write down for their people, so a stranger could come as our contact. A guest's name is
  of the tenant that it comes from, so a guest is no contact.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from onboarding.tenant.sessions import Session
    from relay.core.presence import UserId
    from relay.store.tenants import Tenant

CONTACT_EMAIL: Final = "contact_email"
"""The tenant's setting that names the contact's address."""


class Access(enum.Enum):
    """Whether somebody may open the page of the tenant that they signed in to."""

    GRANT = enum.auto()
    CONTACT = enum.auto()
    NOT_CONNECTED = enum.auto()
    """There is no such tenant here."""
    NO_ROLE = enum.auto()
    """The tenant is here, and they are neither of the two."""

    @property
    def is_in(self) -> bool:
        """Whether they may."""
        return self in (Access.GRANT, Access.CONTACT)


def access_of(who: Session, tenant: Tenant | None, accounts: Collection[UserId]) -> Access:
    """Whether `who` may open the page.

    Args:
        who: whoever signed in, as Microsoft vouches for it.
        tenant: the one that they signed in to, as it is now; None when it is not here.
        accounts: those that hold a grant of it.
    """
    if tenant is None or tenant.tenant_id != who.tenant_id:
        return Access.NOT_CONNECTED
    if who.account_id in accounts:
        return Access.GRANT
    contact = tenant.settings.get(CONTACT_EMAIL, "").strip().casefold()
    is_contact = bool(contact) and not who.is_guest and who.upn.strip().casefold() == contact
    return Access.CONTACT if is_contact else Access.NO_ROLE
