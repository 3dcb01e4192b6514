"""The newest contacts of many tenants at once, for lists on pages and in commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.store.presence import entries
from relay.store.server import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.core.presence import TenantId
    from relay.store.server.connection import Store

_AT_ONCE: Final = 500


async def contacts_of(store: Store, tenant_ids: Sequence[TenantId]) -> dict[TenantId, entries.TenantContact]:
    """Return tenant -> its newest contact, 500 in a round trip; tenants not read within a week are absent."""
    found: dict[TenantId, entries.TenantContact] = {}
    for start in range(0, len(tenant_ids), _AT_ONCE):
        batch = tenant_ids[start : start + _AT_ONCE]
        texts = await store.many([("GET", keys.tenant_contact(tenant_id)) for tenant_id in batch])
        found |= {one: entries.contact(one, text) for one, text in zip(batch, texts, strict=True) if text is not None}
    return found
