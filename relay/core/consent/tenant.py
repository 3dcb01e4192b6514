"""The states of a tenant, as pure transitions.

    (new) ──applied──► PENDING ──approved, consented──► ACTIVE ──last grant died──► CONSENT_REQUIRED
      │                   │                             ▲  ▲                               │
      │                   └──refused──► REMOVED         │  └───consented, applied, healed──┘
      └─────────────consented───────────────────────────┘

    ACTIVE, CONSENT_REQUIRED ──suspended──► SUSPENDED ──resumed──► ACTIVE, or CONSENT_REQUIRED when no grant works
    all four ──removed──► REMOVED ──consented──► ACTIVE, or ──applied──► PENDING (the tenant returned)

The operator chooses how tenants join (`SignUp`). A consent that the operator allowed, by open sign-up, an invitation or
a command, is `CONSENTED`. Any other is `APPLIED`: the grant is kept sealed, and nothing is read until the operator
approves. A tenant that the operator removed or refused cannot join again until the operator lifts that. The store keeps
the mark for this (`relay.store.custody.turned_away`), because the tenant's record is gone.

An event that does not apply to a state leaves it unchanged: events come from several processes and may arrive late or
twice.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from relay.core.presence import Status


class SignUp(enum.StrEnum):
    """The operator's rule for new tenants."""

    INVITED = "invited"
    """Only tenants with a link from the operator may join."""
    APPROVAL = "approval"
    """Every organisation may apply; the operator decides."""
    OPEN = "open"
    """Anybody."""

    def event(self, *, has_word: bool) -> TenantEvent | None:
        """Return the tenant's event for a consent in the wizard; None if the tenant may not join.

        Args:
            has_word: whether the consent came with the operator's invitation.
        """
        if has_word or self is SignUp.OPEN:
            return TenantEvent.CONSENTED
        return TenantEvent.APPLIED if self is SignUp.APPROVAL else None


class TenantState(enum.StrEnum):
    """The state of a tenant; the store uses these values."""

    PENDING = "pending"
    """The tenant waits for the operator's approval: its grant is stored, and nothing is read."""
    ACTIVE = "active"
    CONSENT_REQUIRED = "consent-required"
    SUSPENDED = "suspended"
    REMOVED = "removed"


class TenantEvent(enum.Enum):
    """An event in the life of a tenant."""

    CONSENTED = enum.auto()
    """A person of the tenant consented, the grant was saved, and the operator allows the tenant."""
    APPLIED = enum.auto()
    """A person of the tenant consented, the grant was saved, and the operator has not decided yet."""
    APPROVED = enum.auto()
    """The operator approved a tenant that waited."""
    REFUSED = enum.auto()
    """The operator refused the tenant, or did not decide in time."""
    LAST_GRANT_DIED = enum.auto()
    """No grant of the tenant works any more."""
    HEALED = enum.auto()
    """A dead grant works again without a new consent, for example because a policy was lifted."""
    SUSPENDED = enum.auto()
    """The operator suspended the tenant."""
    RESUMED = enum.auto()
    """The operator resumed the tenant."""
    RESUMED_WITHOUT_GRANT = enum.auto()
    """The operator resumed the tenant, but none of its grants works."""
    REMOVED = enum.auto()
    """The tenant left the relay."""


_S = TenantState
_E = TenantEvent

TRANSITIONS: Final[Mapping[tuple[TenantState, TenantEvent], TenantState]] = MappingProxyType(
    {
        # A pending tenant cannot be suspended: resuming it would approve it by accident.
        (_S.PENDING, _E.CONSENTED): _S.ACTIVE,
        (_S.PENDING, _E.APPROVED): _S.ACTIVE,
        (_S.PENDING, _E.REFUSED): _S.REMOVED,
        (_S.PENDING, _E.REMOVED): _S.REMOVED,
        (_S.ACTIVE, _E.LAST_GRANT_DIED): _S.CONSENT_REQUIRED,
        (_S.ACTIVE, _E.SUSPENDED): _S.SUSPENDED,
        (_S.ACTIVE, _E.REMOVED): _S.REMOVED,
        (_S.CONSENT_REQUIRED, _E.CONSENTED): _S.ACTIVE,
        (_S.CONSENT_REQUIRED, _E.APPLIED): _S.ACTIVE,  # it was approved before
        (_S.CONSENT_REQUIRED, _E.HEALED): _S.ACTIVE,
        (_S.CONSENT_REQUIRED, _E.SUSPENDED): _S.SUSPENDED,
        (_S.CONSENT_REQUIRED, _E.REMOVED): _S.REMOVED,
        # A consent renewed meanwhile does not lift the suspension.
        (_S.SUSPENDED, _E.RESUMED): _S.ACTIVE,
        (_S.SUSPENDED, _E.RESUMED_WITHOUT_GRANT): _S.CONSENT_REQUIRED,
        (_S.SUSPENDED, _E.REMOVED): _S.REMOVED,
        (_S.REMOVED, _E.CONSENTED): _S.ACTIVE,
        (_S.REMOVED, _E.APPLIED): _S.PENDING,
    }
)
"""All transitions."""


def after(state: TenantState, event: TenantEvent) -> TenantState:
    """Return the state after `event`; the same one when the event changes nothing."""
    return TRANSITIONS.get((state, event), state)


FIRST: Final[Mapping[TenantEvent, TenantState]] = MappingProxyType({_E.CONSENTED: _S.ACTIVE, _E.APPLIED: _S.PENDING})
"""The first state of a tenant, by the event that creates it."""


def is_read(state: TenantState) -> bool:
    """True if the tenant's users are read at all."""
    return state is TenantState.ACTIVE


def status_of(state: TenantState) -> Status:
    """Return the status that suites get for users of a tenant in this state, unless a more specific one is known."""
    return _STATUSES[state]


_STATUSES: Final = {
    # Not PENDING, which promises an answer within seconds, nor NOT_PERMITTED, which is the organisation's own decision: the
    # operator must act first.
    TenantState.PENDING: Status.SUSPENDED,
    TenantState.ACTIVE: Status.NONE,
    TenantState.CONSENT_REQUIRED: Status.CONSENT_REQUIRED,
    TenantState.SUSPENDED: Status.SUSPENDED,
    TenantState.REMOVED: Status.SUSPENDED,
}
