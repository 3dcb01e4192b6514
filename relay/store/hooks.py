"""Where a tenant wants notices posted to, and the secret that they are signed with. Custody: acknowledged means on disk."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from relay.core.presence import TenantId
from relay.store import keys
from relay.store.keyring import Belonging, SealBroken
from relay.store.scripting import Script

if TYPE_CHECKING:
    from relay.store.connection import Store
    from relay.store.keyring import KeyRing

_PUT = Script("hook_put")
_PURPOSE: Final = "hook"
_KEY: Final = re.compile(r"\{p[0-9]{2}\}:hook:([^:]+)")


@dataclass(frozen=True, slots=True)
class Hook:
    """A tenant's receiver of notices."""

    url: str
    secret: str = field(repr=False)


class Hooks:
    """The receivers of all tenants. Raises StoreUnavailable, and NotSaved where it writes."""

    def __init__(self, store: Store, ring: KeyRing) -> None:
        self._store = store
        self._ring = ring

    async def load(self, tenant_id: TenantId) -> Hook | None:
        """The tenant's receiver; None when there is none, or its secret cannot be opened."""
        url, sealed = await self._store.vault_command("HMGET", keys.hook(tenant_id), "url", "secret")
        if url is None or sealed is None:
            return None
        try:
            return Hook(url.decode(), self._ring.open(sealed.decode(), _belonging(tenant_id)))
        except SealBroken:
            return None

    async def put(self, tenant_id: TenantId, hook: Hook) -> bool:
        """Keep a receiver in place of the one before; False when there is no such tenant (any more)."""
        sealed = self._ring.seal(hook.secret, _belonging(tenant_id))
        async with self._store.vault_connection() as vault:
            kept = await vault.run(_PUT, [keys.hook(tenant_id), keys.tenant(tenant_id)], [hook.url, sealed])
            await vault.confirm()
        return bool(kept)

    async def remove(self, tenant_id: TenantId) -> bool:
        """Post nothing any more; False when nothing was posted anyway."""
        async with self._store.vault_connection() as vault:
            removed = await vault.execute("UNLINK", keys.hook(tenant_id))
            await vault.confirm()
        return bool(removed)


def belonging_of_key(key: str) -> Belonging | None:
    """What the sealed secret of a hook's key belongs to; None for another key."""
    found = _KEY.fullmatch(key)
    return None if found is None else _belonging(TenantId(found[1]))


def _belonging(tenant_id: TenantId) -> Belonging:
    return Belonging(tenant_id, "", _PURPOSE)
