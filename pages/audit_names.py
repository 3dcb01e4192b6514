"""Names of the audit log's events and authors, as messages."""

from __future__ import annotations

from typing import Final

from relay.core.audit.events import ActorKind, EventKind
from relay.locale.languages import english

KINDS: Final = {
    EventKind.TENANT_ADMITTED: english("Organisation connected"),
    EventKind.TENANT_APPLIED: english("Approval requested"),
    EventKind.TENANT_APPROVED: english("Organisation approved"),
    EventKind.TENANT_SUSPENDED: english("Reading suspended"),
    EventKind.TENANT_RESUMED: english("Reading resumed"),
    EventKind.TENANT_LEFT: english("Organisation left"),
    EventKind.TENANT_RESTORED: english("Restored from a backup"),
    EventKind.GRANT_ADDED: english("Account added"),
    EventKind.GRANT_REPLACED: english("Consent renewed"),
    EventKind.GRANT_WITHDRAWN: english("Account withdrawn"),
    EventKind.KEY_MADE: english("Suite key made"),
    EventKind.KEY_ROTATED: english("Suite key rotated"),
    EventKind.KEY_REVOKED: english("Suite key revoked"),
    EventKind.KEY_RENAMED: english("Suite renamed"),
    EventKind.SETTINGS_CHANGED: english("Settings changed"),
    EventKind.CONTACT_CHANGED: english("Contact changed"),
    EventKind.MANAGER_ADDED: english("Manager added"),
    EventKind.MANAGER_REMOVED: english("Manager removed"),
    EventKind.ACCESS_ASKED: english("Access requested"),
    EventKind.ACCESS_REFUSED: english("Access refused"),
    EventKind.ACCESS_WITHDRAWN: english("Request withdrawn"),
    EventKind.WATCH_BEGAN: english("A suite began to watch"),
    EventKind.WATCHED: english("Watched by a suite"),
}
ACTORS: Final = {
    ActorKind.ACCOUNT: english("account"),
    ActorKind.OPERATOR: english("relay operator"),
    ActorKind.SUITE: english("suite"),
    ActorKind.RELAY: english("the relay"),
}
