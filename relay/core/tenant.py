"""The life of a tenant, as pure transitions.

    PENDING ──consented──► ACTIVE ──last grant died──► CONSENT_REQUIRED
                             ▲                                │
                             └──────consented, healed─────────┘

    all three ──suspended──► SUSPENDED ──resumed──► ACTIVE, or CONSENT_REQUIRED when no grant works
    all four ──removed──► REMOVED ──consented──► ACTIVE (the customer came back, by a person's own act)

An event that cannot change a state leaves it as it is: events come from several processes and may arrive late or twice.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from relay.core.presence import Status


class TenantState(enum.StrEnum):
    """Where a tenant stands; the values are what the store keeps."""

    PENDING = "pending"
    ACTIVE = "active"
    CONSENT_REQUIRED = "consent-required"
    SUSPENDED = "suspended"
    REMOVED = "removed"


class TenantEvent(enum.Enum):
    """What happens to a tenant."""

    CONSENTED = enum.auto()
    """A tenant admin or a service account granted consent, and the grant was saved."""
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
        (_S.PENDING, _E.CONSENTED): _S.ACTIVE,
        (_S.PENDING, _E.SUSPENDED): _S.SUSPENDED,
        (_S.PENDING, _E.REMOVED): _S.REMOVED,
        (_S.ACTIVE, _E.LAST_GRANT_DIED): _S.CONSENT_REQUIRED,
        (_S.ACTIVE, _E.SUSPENDED): _S.SUSPENDED,
        (_S.ACTIVE, _E.REMOVED): _S.REMOVED,
        (_S.CONSENT_REQUIRED, _E.CONSENTED): _S.ACTIVE,
        (_S.CONSENT_REQUIRED, _E.HEALED): _S.ACTIVE,
        (_S.CONSENT_REQUIRED, _E.SUSPENDED): _S.SUSPENDED,
        (_S.CONSENT_REQUIRED, _E.REMOVED): _S.REMOVED,
        # Consent renewed meanwhile does not lift the operator's decision.
        (_S.SUSPENDED, _E.RESUMED): _S.ACTIVE,
        (_S.SUSPENDED, _E.RESUMED_WITHOUT_GRANT): _S.CONSENT_REQUIRED,
        (_S.SUSPENDED, _E.REMOVED): _S.REMOVED,
        (_S.REMOVED, _E.CONSENTED): _S.ACTIVE,
    }
)
"""Every transition there is."""


def after(state: TenantState, event: TenantEvent) -> TenantState:
    """The state after `event`; the same one when the event changes nothing."""
    return TRANSITIONS.get((state, event), state)


def is_read(state: TenantState) -> bool:
    """Whether the tenant's users are read at all."""
    return state is TenantState.ACTIVE


def status_of(state: TenantState) -> Status:
    """What suites are told of a tenant in this state, as long as nothing more particular is known."""
    return _STATUSES[state]


_STATUSES: Final = {
    # Not PENDING, which promises an answer within seconds: a tenant admin must act first.
    TenantState.PENDING: Status.CONSENT_REQUIRED,
    TenantState.ACTIVE: Status.NONE,
    TenantState.CONSENT_REQUIRED: Status.CONSENT_REQUIRED,
    TenantState.SUSPENDED: Status.NOT_PERMITTED,
    TenantState.REMOVED: Status.NOT_PERMITTED,
}
