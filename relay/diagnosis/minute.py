"""Watching one user for a minute: interest as an edge registers it, which expires by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.store.presence.interest import Interest, is_page, page_edge

if TYPE_CHECKING:
    from relay.core.presence import Name, TenantId
    from relay.store.server.connection import Store

MOST_AT_ONCE: Final = 20
"""Users of a tenant that pages watch at one time. A suite is for more."""


async def watch(store: Store, tenant_id: TenantId, name: Name) -> bool:
    """Watch a user until a minute from now; False when pages watch too many already. The tenant's permission rules apply here too."""
    interest, edge = Interest(store), page_edge(name)
    pages = {other for other in await interest.read_edges(tenant_id) if is_page(other)}
    if edge not in pages and len(pages) >= MOST_AT_ONCE:
        return False
    await interest.add(tenant_id, edge, [name])
    return True
