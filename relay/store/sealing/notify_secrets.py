"""The secret that signs notices to a tenant's own systems, sealed in the tenant's settings.

It gives no access to Microsoft, but an attacker who has it can send that tenant's systems forged notices.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from relay.store.sealing.keyring import Belonging

if TYPE_CHECKING:
    from relay.core.presence import TenantId
    from relay.store.sealing.keyring import KeyRing

SETTING: Final = "notify_secret"
_TENANT: Final = re.compile(r"\{p[0-9]{2}\}:tenant:([^:]+)")


def seal(ring: KeyRing, tenant_id: TenantId, secret: str) -> str:
    """Return the sealed secret for the setting; empty for an empty secret."""
    return ring.seal(secret, _belonging(tenant_id)) if secret else ""


def opened(ring: KeyRing, tenant_id: TenantId, setting: str) -> str:
    """Return the secret in a setting; empty if there is none.

    Raises:
        SealBroken: the ring lacks its key, or it belongs to another tenant.
    """
    return ring.open(setting, _belonging(tenant_id)) if setting else ""


def belonging_of_key(key: str) -> Belonging | None:
    """Return the belonging of the secret in a tenant's record; None for another key."""
    found = _TENANT.fullmatch(key)
    return None if found is None else _belonging(found[1])


def _belonging(tenant_id: str) -> Belonging:
    return Belonging(tenant_id, "", SETTING)
