"""Watches one user for a minute: registers interest as an edge does, which then expires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.store.presence.interest import Interest, is_page, page_edge

if TYPE_CHECKING:
    from relay.core.presence import Name, TenantId
    from relay.store.server.connection import Store

MOST_AT_ONCE: Final = 20
"""Users of a tenant that pages watch at the same time. To watch more, use a suite."""


async def watch(store: Store, tenant_id: TenantId, name: Name) -> bool:
    """Watch a user for a minute; return False when pages already watch too many. The tenant's permission rules also apply here."""
    interest, edge = Interest(store), page_edge(name)
    pages = {other for other in await interest.read_edges(tenant_id) if is_page(other)}
    if edge not in pages and len(pages) >= MOST_AT_ONCE:
        return False
    await interest.add(tenant_id, edge, [name])
    return True
