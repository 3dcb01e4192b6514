"""The states of a tenant, as pure transitions.

    (new) ──applied──► PENDING ──approved, consented──► ACTIVE ──last grant died──► CONSENT_REQUIRED
      │                   │                             ▲  ▲                               │
      │                   └──refused──► REMOVED         │  └───consented, applied, healed──┘
      └─────────────consented───────────────────────────┘

    ACTIVE, CONSENT_REQUIRED ──suspended──► SUSPENDED ──resumed──► ACTIVE, or CONSENT_REQUIRED when no grant works
    all four ──removed──► REMOVED ──consented──► ACTIVE, or ──applied──► PENDING (the tenant's people came back)

The operator chooses how tenants come in (`SignUp`). A consent that the operator allowed, by open sign-up, an invitation or a
command, is `CONSENTED`. Any other is `APPLIED`: the grant is kept sealed, and nothing is read until the operator approves. A tenant
that the operator removed or refused stays out until the operator lifts that. The store keeps the mark for this
(`relay.store.custody.turned_away`), because the tenant's record is gone.

An event that cannot change a state leaves it as it is: events come from several processes and may arrive late or twice.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from relay.core.presence import Status


class SignUp(enum.StrEnum):
    """The rule for new tenants, as the operator set it."""

    INVITED = "invited"
    """Tenants with a link from the operator."""
    APPROVAL = "approval"
    """Anybody may ask; the operator decides."""
    OPEN = "open"
    """Anybody."""

    def event(self, *, has_word: bool) -> TenantEvent | None:
        """Return the event that a consent in the wizard is to the tenant; None if the tenant may not come in.

        Args:
            has_word: whether it came with the operator's invitation.
        """
        if has_word or self is SignUp.OPEN:
            return TenantEvent.CONSENTED
        return TenantEvent.APPLIED if self is SignUp.APPROVAL else None


class TenantState(enum.StrEnum):
    """The state of a tenant; the values are what the store keeps."""

    PENDING = "pending"
    """The tenant waits for the operator's approval: its grant is kept, and nothing is read."""
    ACTIVE = "active"
    CONSENT_REQUIRED = "consent-required"
    SUSPENDED = "suspended"
    REMOVED = "removed"


class TenantEvent(enum.Enum):
    """An event in the life of a tenant."""

    CONSENTED = enum.auto()
    """Somebody of the tenant consented, the grant was saved, and the operator lets the tenant in."""
    APPLIED = enum.auto()
    """Somebody of the tenant consented, the grant was saved, and the operator has not been asked yet."""
    APPROVED = enum.auto()
    """The operator lets a tenant in that waited."""
    REFUSED = enum.auto()
    """The operator does not, or waited too long."""
    LAST_GRANT_DIED = enum.auto()
    """No grant of the tenant works any more."""
    HEALED = enum.auto()
    """A grant that was dead works again by itself, for example because a policy was lifted."""
    SUSPENDED = enum.auto()
    """The operator stops reading the tenant for a while."""
    RESUMED = enum.auto()
    """The operator lets it go on."""
    RESUMED_WITHOUT_GRANT = enum.auto()
    """The operator lets it go on, but no grant of it works."""
    REMOVED = enum.auto()
    """The tenant leaves the relay."""


_S = TenantState
_E = TenantEvent

TRANSITIONS: Final[Mapping[tuple[TenantState, TenantEvent], TenantState]] = MappingProxyType(
    {
        # Not suspended: to resume it would be an approval that nobody meant.
        (_S.PENDING, _E.CONSENTED): _S.ACTIVE,
        (_S.PENDING, _E.APPROVED): _S.ACTIVE,
        (_S.PENDING, _E.REFUSED): _S.REMOVED,
        (_S.PENDING, _E.REMOVED): _S.REMOVED,
        (_S.ACTIVE, _E.LAST_GRANT_DIED): _S.CONSENT_REQUIRED,
        (_S.ACTIVE, _E.SUSPENDED): _S.SUSPENDED,
        (_S.ACTIVE, _E.REMOVED): _S.REMOVED,
        (_S.CONSENT_REQUIRED, _E.CONSENTED): _S.ACTIVE,
        (_S.CONSENT_REQUIRED, _E.APPLIED): _S.ACTIVE,  # it was let in before
        (_S.CONSENT_REQUIRED, _E.HEALED): _S.ACTIVE,
        (_S.CONSENT_REQUIRED, _E.SUSPENDED): _S.SUSPENDED,
        (_S.CONSENT_REQUIRED, _E.REMOVED): _S.REMOVED,
        # Consent renewed meanwhile does not lift the operator's decision.
        (_S.SUSPENDED, _E.RESUMED): _S.ACTIVE,
        (_S.SUSPENDED, _E.RESUMED_WITHOUT_GRANT): _S.CONSENT_REQUIRED,
        (_S.SUSPENDED, _E.REMOVED): _S.REMOVED,
        (_S.REMOVED, _E.CONSENTED): _S.ACTIVE,
        (_S.REMOVED, _E.APPLIED): _S.PENDING,
    }
)
"""Every transition there is."""


def after(state: TenantState, event: TenantEvent) -> TenantState:
    """Return the state after `event`; the same one when the event changes nothing."""
    return TRANSITIONS.get((state, event), state)


FIRST: Final[Mapping[TenantEvent, TenantState]] = MappingProxyType({_E.CONSENTED: _S.ACTIVE, _E.APPLIED: _S.PENDING})
"""The state before a tenant exists."""


def is_read(state: TenantState) -> bool:
    """True if the tenant's users are read at all."""
    return state is TenantState.ACTIVE


def status_of(state: TenantState) -> Status:
    """Return the status that suites get of a tenant in this state, as long as nothing more particular is known."""
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
