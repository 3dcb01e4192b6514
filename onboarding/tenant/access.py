"""Who may do what on a tenant's page. Pure.

Two rights, and what lies beside them:

    MANAGES         looks after the tenant: it is among its managers, by object id (see `relay.store.custody.managers`)
    ROLE            holds a directory role of the tenant that the operator named; judged from the id token of the sign-in
    READS           holds a grant: the relay reads with this account, and the account sees that and can end it
    NO_ROLE         of the tenant, and none of these; it may have asked to read for it
    NOT_CONNECTED   the tenant is not here

Reading for a tenant is no right over it: whoever runs the onboarding and is let in by Microsoft could come to it, and in many
organisations that is everybody.

The contact named at onboarding becomes a manager at the first sign-in to this very tenant. What counts is the account's own
name (`preferred_username`, the UPN) in an id token of this tenant: the part after its @ is a domain that Microsoft had the
tenant prove it owns, and only the tenant's administrators give names out. Any other claim would not do: what a token has as
`email` is a text that administrators of *any* tenant can write down for their people, so a stranger could come as our contact. A
guest's name is of the tenant that it comes from, so a guest is no contact. Names are given to others in time, so a contact who never
comes may not for ever.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from onboarding.tenant.sessions import Session
    from relay.core.presence import UserId
    from relay.graph.auth.idtokens import VerifiedIdentity
    from relay.store.custody.managers import Claim
    from relay.store.custody.tenants import Tenant

CONTACT_EMAIL: Final = "contact_email"
"""The tenant's setting that names the contact's address."""


class Access(enum.Enum):
    """By which right somebody comes; see the module."""

    MANAGES = enum.auto()
    ROLE = enum.auto()
    READS = enum.auto()
    NO_ROLE = enum.auto()
    NOT_CONNECTED = enum.auto()

    @property
    def looks_after(self) -> bool:
        """Whether they look after the tenant."""
        return self in _LOOKING_AFTER

    def may(self, deed: Deed) -> bool:
        """Whether this right covers a deed."""
        return self in RIGHTS[deed]


class Deed(enum.Enum):
    """What somebody can want on the page. Every route names one."""

    SEE_OWN_STATE = enum.auto()
    """How the account's own grant fares."""
    WITHDRAW_OWN_GRANT = enum.auto()
    WITHDRAW_OWN_REQUEST = enum.auto()
    """To read for the tenant: of whoever waits for a yes, and so has no right yet."""
    SEE_TENANT = enum.auto()
    """How the tenant fares, its accounts, suites and settings."""
    SEE_PRESENCE = enum.auto()
    """Diagnostics: who is watched, and what was seen."""
    SEE_LOG = enum.auto()
    """Who watched whom."""
    CHANGE_ACCOUNTS = enum.auto()
    """Add, renew and replace accounts that read."""
    WITHDRAW_GRANT = enum.auto()
    """Of another account."""
    DECIDE_REQUESTS = enum.auto()
    """Say yes or no to whoever asks to read for the tenant."""
    CHANGE_MANAGERS = enum.auto()
    """Name others, and end their right."""
    CHANGE_KEYS = enum.auto()
    CHANGE_SETTINGS = enum.auto()
    LEAVE = enum.auto()


_LOOKING_AFTER: Final = frozenset({Access.MANAGES, Access.ROLE})
_INSIDE: Final = _LOOKING_AFTER | {Access.READS}

RIGHTS: Final[Mapping[Deed, frozenset[Access]]] = MappingProxyType(
    {
        Deed.SEE_OWN_STATE: _INSIDE,
        Deed.WITHDRAW_OWN_GRANT: _INSIDE,
        Deed.WITHDRAW_OWN_REQUEST: _INSIDE | {Access.NO_ROLE},
        Deed.SEE_TENANT: _LOOKING_AFTER,
        Deed.SEE_PRESENCE: _LOOKING_AFTER,
        Deed.SEE_LOG: _LOOKING_AFTER,
        Deed.CHANGE_ACCOUNTS: _LOOKING_AFTER,
        Deed.WITHDRAW_GRANT: _LOOKING_AFTER,
        Deed.DECIDE_REQUESTS: _LOOKING_AFTER,
        Deed.CHANGE_MANAGERS: _LOOKING_AFTER,
        Deed.CHANGE_KEYS: _LOOKING_AFTER,
        Deed.CHANGE_SETTINGS: _LOOKING_AFTER,
        Deed.LEAVE: _LOOKING_AFTER,
    }
)
"""Deed -> the rights that cover it. All of them."""


def access_of(
    who: Session,
    tenant: Tenant | None,
    managers: Collection[UserId],
    accounts: Collection[UserId],
    roles: Collection[str] = (),
) -> Access:
    """By which right `who` comes.

    Args:
        who: whoever signed in, as Microsoft vouches for it.
        tenant: the one that they signed in to, as it is now; None when it is not here.
        managers: those that look after it.
        accounts: those that hold a grant of it.
        roles: the directory roles (template ids, in lower case) whose holders look after it; none when the operator names none.
    """
    if tenant is None or tenant.tenant_id != who.tenant_id:
        return Access.NOT_CONNECTED
    if who.account_id in managers:
        return Access.MANAGES
    if any(role.lower() in roles for role in who.roles):
        return Access.ROLE
    return Access.READS if who.account_id in accounts else Access.NO_ROLE


def is_contact(who: VerifiedIdentity, claim: Claim) -> bool:
    """Whether somebody who has just signed in to a tenant may claim to be its contact."""
    return not who.is_guest and claim.is_of(who.upn)
