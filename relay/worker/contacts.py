"""The contact times of one partition's tenants, written together: changes at once, the others at intervals."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from relay.ops.cadence import wait_until_set

if TYPE_CHECKING:
    from relay.core.presence import TenantId
    from relay.store.presence.entries import TenantContact
    from relay.store.presence.leases import Lease
    from relay.worker.context import Resources
    from relay.worker.ownership import Ownership


class ContactWriter:
    """Writes the latest contact of each tenant; it replaces an earlier one that was not written yet."""

    def __init__(self, resources: Resources, ownership: Ownership) -> None:
        self._resources = resources
        self._ownership = ownership
        self._unwritten: dict[TenantId, TenantContact] = {}
        self._urgent = asyncio.Event()

    def put(self, contact: TenantContact, *, urgent: bool) -> None:
        """Write this contact with the next ones, or immediately if it is urgent."""
        self._unwritten[contact.tenant_id] = contact
        if urgent:
            self._urgent.set()

    def forget(self, tenant_id: TenantId) -> None:
        """Stop writing contacts of this tenant."""
        self._unwritten.pop(tenant_id, None)

    async def run(self) -> None:
        """Write until cancelled.

        Raises:
            LeaseLost: the partition is lost.
        """
        interval_s = self._resources.settings.contact_interval.total_seconds()
        while True:
            await wait_until_set(self._resources.clock, self._urgent, interval_s)
            self._urgent.clear()
            if self._unwritten:
                await self._ownership.until_written(self._write)

    async def write(self) -> None:
        """Write all unwritten contacts once: the next owner continues with the stored contact.

        Raises:
            StoreUnavailable, LeaseLost: the contacts may not be written.
        """
        if self._unwritten:
            await self._write(self._ownership.lease)

    async def _write(self, lease: Lease) -> None:
        contacts = dict(self._unwritten)
        now_ms = self._resources.store_clock.now_ms()
        await self._resources.presences.contact(lease, [contact.said_at(now_ms) for contact in contacts.values()])
        for tenant_id, contact in contacts.items():
            if self._unwritten.get(tenant_id) is contact:  # otherwise there is a newer one
                del self._unwritten[tenant_id]
