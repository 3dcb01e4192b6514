"""The secret that notices to a tenant's own systems are signed with, sealed among the tenant's settings.

It is the tenant's, not Microsoft's, but somebody who reads it can send that tenant's systems messages that look like the relay's.
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
    """Return the secret as it is kept in the setting; an empty one stays empty."""
    return ring.seal(secret, _belonging(tenant_id)) if secret else ""


def opened(ring: KeyRing, tenant_id: TenantId, setting: str) -> str:
    """Return the secret in a setting; empty when there is none.

    Raises:
        SealBroken: the ring lacks its key, or it is another tenant's.
    """
    return ring.open(setting, _belonging(tenant_id)) if setting else ""


def belonging_of_key(key: str) -> Belonging | None:
    """Return what the secret in a tenant's record belongs to; None for a key that is not a tenant's record."""
    found = _TENANT.fullmatch(key)
    return None if found is None else _belonging(found[1])


def _belonging(tenant_id: str) -> Belonging:
    return Belonging(tenant_id, "", SETTING)
