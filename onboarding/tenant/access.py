"""Rights on a tenant's page. Pure.

Two rights, and the states without one:

    MANAGES         is a manager of the tenant, by object id (see `relay.store.custody.managers`)
    ROLE            holds a directory role of the tenant that the operator named; read from the id token of the sign-in
    READS           holds a grant: the relay reads with this account, and the account can see and end its grant
    NO_ROLE         belongs to the tenant and has none of these; it may have requested to read for the tenant
    NOT_CONNECTED   the tenant is not connected

Reading for a tenant gives no right to manage it: any account that Microsoft lets consent could get that right by running the
wizard, and in many organisations every account may consent.

The contact named at onboarding becomes a manager at the first sign-in to this tenant. Only the account's name (`preferred_username`,
the UPN) in an id token of this tenant counts: the part after its @ is a domain that the tenant has proved to Microsoft, and only the
tenant's administrators assign names. No other claim is safe: administrators of *any* tenant can set `email` for their users, so an
outsider could pose as the contact. A guest's name belongs to the guest's home tenant, so a guest cannot be the contact. Names are
reassigned over time, so a contact who does not sign in within 90 days loses the claim.
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
    from relay.graph.auth.id_tokens import VerifiedIdentity
    from relay.store.custody.managers import Claim
    from relay.store.custody.tenants import Tenant

CONTACT_EMAIL: Final = "contact_email"
"""The tenant's setting with the contact's address."""


class Access(enum.Enum):
    """The right with which an account opens the page; see the module."""

    MANAGES = enum.auto()
    ROLE = enum.auto()
    READS = enum.auto()
    NO_ROLE = enum.auto()
    NOT_CONNECTED = enum.auto()

    @property
    def is_manager(self) -> bool:
        """True if this right allows managing the tenant."""
        return self in _MANAGERS

    def may(self, action: Action) -> bool:
        """Return whether this right covers an action."""
        return self in RIGHTS[action]


class Action(enum.Enum):
    """An action on the page. Every route names one."""

    SEE_OWN_STATE = enum.auto()
    """The state of the account's own grant."""
    WITHDRAW_OWN_GRANT = enum.auto()
    WITHDRAW_OWN_REQUEST = enum.auto()
    """Granted to an account whose request to read waits for a decision, and which has no right yet."""
    SEE_TENANT = enum.auto()
    """The state of the tenant, its accounts, suites and settings."""
    SEE_PRESENCE = enum.auto()
    """Diagnostics: the watched users and their presence."""
    SEE_LOG = enum.auto()
    """The audit log, which records which suite watched which users."""
    CHANGE_ACCOUNTS = enum.auto()
    """Add, renew and replace accounts that read presence."""
    WITHDRAW_GRANT = enum.auto()
    """The grant of another account."""
    DECIDE_REQUESTS = enum.auto()
    """Accept and refuse requests to read for the tenant."""
    CHANGE_MANAGERS = enum.auto()
    """Add managers and remove them."""
    CHANGE_KEYS = enum.auto()
    CHANGE_SETTINGS = enum.auto()
    LEAVE = enum.auto()


_MANAGERS: Final = frozenset({Access.MANAGES, Access.ROLE})
_INSIDE: Final = _MANAGERS | {Access.READS}

RIGHTS: Final[Mapping[Action, frozenset[Access]]] = MappingProxyType(
    {
        Action.SEE_OWN_STATE: _INSIDE,
        Action.WITHDRAW_OWN_GRANT: _INSIDE,
        Action.WITHDRAW_OWN_REQUEST: _INSIDE | {Access.NO_ROLE},
        Action.SEE_TENANT: _MANAGERS,
        Action.SEE_PRESENCE: _MANAGERS,
        Action.SEE_LOG: _MANAGERS,
        Action.CHANGE_ACCOUNTS: _MANAGERS,
        Action.WITHDRAW_GRANT: _MANAGERS,
        Action.DECIDE_REQUESTS: _MANAGERS,
        Action.CHANGE_MANAGERS: _MANAGERS,
        Action.CHANGE_KEYS: _MANAGERS,
        Action.CHANGE_SETTINGS: _MANAGERS,
        Action.LEAVE: _MANAGERS,
    }
)
"""Action -> the rights that cover it. Every action has an entry."""


def access_of(
    who: Session,
    tenant: Tenant | None,
    managers: Collection[UserId],
    accounts: Collection[UserId],
    roles: Collection[str] = (),
) -> Access:
    """Return the right with which `who` opens the page.

    Args:
        who: the person who signed in, as identified by Microsoft.
        tenant: the current record of the tenant that they signed in to; None if it is not connected.
        managers: its managers.
        accounts: the accounts with a grant.
        roles: the directory roles (template ids, in lower case) whose holders manage the tenant; empty if the operator named none.
    """
    if tenant is None or tenant.tenant_id != who.tenant_id:
        return Access.NOT_CONNECTED
    if who.account_id in managers:
        return Access.MANAGES
    if any(role.lower() in roles for role in who.roles):
        return Access.ROLE
    return Access.READS if who.account_id in accounts else Access.NO_ROLE


def is_contact(who: VerifiedIdentity, claim: Claim) -> bool:
    """Return whether a person who has just signed in is the tenant's contact and may become a manager."""
    return not who.is_guest and claim.is_of(who.upn)
