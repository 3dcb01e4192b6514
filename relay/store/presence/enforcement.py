"""Marks of changed watching permissions, from the change until the worker has enforced it.

    page or command    begin ──► the tenant's record (custody)
    worker             pending ──► reads the record, replaces the stored answers ──► done
    edges              send no stored answer of the tenant in between (see `Presences.snapshot`)

So no stream, new or resumed, sends answers that were stored before the change. If custody is on a separate server, mark
and change cannot be one step. The mark comes first; if its change is never written, the worker only reads the record
once.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from relay.errors import LeaseLost
from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from relay.core.presence import TenantId
    from relay.store.presence.leases import Lease
    from relay.store.server.connection import Store

_DONE = Script("enforced")


class Enforcement:
    """The marks of all tenants. Every call may be repeated."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, tenant_id: TenantId) -> None:
        """Mark a change before it is written: stored answers are held back until the worker has enforced it."""
        await self._store.command("SET", keys.tenant_unenforced(tenant_id), secrets.token_hex(8))

    async def pending(self, tenant_id: TenantId) -> bytes | None:
        """Return the mark, for `done`; None if no change is pending. Read it before the record."""
        mark: bytes | None = await self._store.command("GET", keys.tenant_unenforced(tenant_id))
        return mark

    async def done(self, lease: Lease, tenant_id: TenantId, mark: bytes) -> None:
        """Clear `mark` after the settings that were read after it are in force; a newer mark is kept."""
        if keys.partition_of(tenant_id) != lease.partition:
            raise LeaseLost("The lease is not of this tenant's partition")
        await self._store.run(
            _DONE(
                lease=keys.lease(lease.partition),
                mark=keys.tenant_unenforced(tenant_id),
                lease_value=lease.value,
                carried_out=mark,
            )
        )
