"""Names of states, of parts of the list, and of operators' acts, as messages; and the colours of their chips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import TenantState
from relay.diagnosis.tenant_list import Choice
from relay.locale.languages import english
from relay.store.custody.operator_log import ActKind

if TYPE_CHECKING:
    from collections.abc import Mapping

STATES: Final[Mapping[TenantState, tuple[str, str]]] = {
    TenantState.PENDING: (english("waits for approval"), "warn"),
    TenantState.ACTIVE: (english("active"), "good"),
    TenantState.CONSENT_REQUIRED: (english("needs consent"), "bad"),
    TenantState.SUSPENDED: (english("suspended"), "warn"),
    TenantState.REMOVED: (english("removed"), ""),
}
"""State -> (name, tone)."""

CHOICES: Final[Mapping[Choice, str]] = {
    Choice.ATTENTION: english("needs attention"),
    Choice.PENDING: english("waits for approval"),
    Choice.CONSENT_REQUIRED: english("needs consent"),
    Choice.SUSPENDED: english("suspended"),
    Choice.ACTIVE: english("active"),
}

GRANTS: Final[Mapping[GrantState, tuple[str, str]]] = {
    GrantState.HEALTHY: (english("Works"), "good"),
    GrantState.SUSPECT: (english("Has problems"), "warn"),
    GrantState.DEAD: (english("Does not work"), "bad"),
}

ACTS: Final[Mapping[ActKind, str]] = {
    ActKind.INVITED: english("Invited"),
    ActKind.APPROVED: english("Approved"),
    ActKind.REFUSED: english("Refused"),
    ActKind.SUSPENDED: english("Suspended"),
    ActKind.RESUMED: english("Resumed"),
    ActKind.MAPPED: english("Mapping changed"),
    ActKind.LIMITED: english("Limit changed"),
    ActKind.REMOVED: english("Removed"),
    ActKind.LIFTED: english("Allowed to return"),
}
