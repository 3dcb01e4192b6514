"""Loads a tenant from the store: at the take-over, and when the store may differ from the state in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from relay.errors import LeaseLost, StoreUnavailable
from relay.ops.turns import in_slices
from relay.store.presence.push import PushStatus
from relay.worker.tenant.handover import digest, go_on, renewals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relay.core.presence import TenantId, UserId
    from relay.store.presence.handovers import Handover
    from relay.store.presence.leases import Lease
    from relay.worker.context import Resources
    from relay.worker.ownership import Ownership
    from relay.worker.tenant.parts import Parts

STORE_PAUSE_S: Final = 0.5
"""Pause between two attempts while the store does not answer."""


class Takeover:
    """Loads one tenant, and loads it again after a write of unknown outcome.

    Attributes:
        doubted: a lease under which a write or read of the store failed; None while the state in memory is certain.
    """

    def __init__(
        self,
        tenant_id: TenantId,
        resources: Resources,
        ownership: Ownership,
        parts: Parts,
        predecessor: int | None = None,
    ) -> None:
        """Prepare to load.

        Args:
            tenant_id: the tenant.
            resources: the worker's resources.
            ownership: ownership of the partition.
            parts: the tenant's parts.
            predecessor: fencing token of a former owner that stopped cleanly, if no other owner has accepted anything
                since; else None.
        """
        self._tenant_id = tenant_id
        self._predecessor = predecessor
        self._resources = resources
        self._ownership = ownership
        self._parts = parts
        self.doubted: Lease | None = None

    def doubt(self, began: Lease, error: StoreUnavailable | LeaseLost) -> None:
        """Note that some work failed; `began` is the lease at its beginning.

        Raises:
            LeaseLost: the partition is lost. LEASELOST for a replaced lease only means that nothing was written.
        """
        if isinstance(error, StoreUnavailable):
            self.doubted = self._ownership.lease
        elif self._ownership.is_over(began):
            raise error
        else:
            self.doubted = self.doubted or began

    async def take_over(self) -> None:
        """Load the state of an earlier owner, with retries until it is loaded.

        Raises:
            LeaseLost: the partition is lost.
        """
        while True:
            lease = self._ownership.lease
            try:
                if self.doubted is not None:
                    await self._ownership.fence(self.doubted)
                await self._load()
            except (StoreUnavailable, LeaseLost) as error:
                self.doubt(lease, error)
                await self._resources.clock.sleep(STORE_PAUSE_S)
            else:
                self.doubted = None
                return

    async def recover(self, doubted: Lease) -> None:
        """Load the stored answers, and have all users read again. Read all interest after this call.

        The doubted write is not carried out later, and the work that should have followed it is repeated.
        """
        parts = self._parts
        await self._ownership.fence(doubted)
        stored = await parts.books.answers.load()
        parts.reader.read_all_now()
        known = set(parts.books.names.users())
        await parts.reader.forget({*stored, *parts.schedule.users} - known)
        await self._write_again()
        await parts.standing.reload()
        if self.doubted is doubted:
            self.doubted = None

    async def restore_history(self) -> None:
        """Store everything again, because the store has lost its history, and perhaps some names."""
        await self._learn_upns(self._parts.books.names.users())
        await self._write_again()
        await self._parts.interest.read_all()

    async def _load(self) -> None:
        parts, tenant_id = self._parts, self._tenant_id
        names, now = parts.books.names, self._resources.clock.monotonic()
        # One round trip for all five. If one fails, all others have ended before a retry.
        reads = (
            asyncio.ensure_future(parts.books.answers.load()),
            asyncio.ensure_future(self._resources.presences.load_directory(tenant_id)),
            asyncio.ensure_future(self._resources.interest.read(tenant_id)),
            asyncio.ensure_future(parts.pool.load()),
            asyncio.ensure_future(self._left_behind()),
        )
        await asyncio.gather(*reads, return_exceptions=True)
        answers, directory, interest, grants, left = reads
        grants.result()
        handover, time = left.result(), self._resources.store_clock
        stored = answers.result()
        names.clear()
        async for entries in in_slices(directory.result().items()):
            names.load(entries)
        await parts.interest.load(interest.result())
        # Names that an earlier owner left linger from now on.
        async for some in in_slices(list(names.directory)):
            parts.books.wanted.linger(some, now)
        known = set(names.users())
        await parts.reader.forget(stored - known)
        await self._learn_upns(known)
        resumed = go_on(parts, handover, time, known) if handover is not None else set()
        await parts.enforcer.enforce(known)
        await parts.contact.inherit(known - resumed, parts.books.answers)
        if parts.push is not None:
            await parts.push.subscriber.load(renewals(handover, time, self._resources.clock))
            parts.schedule.cover(parts.push.subscriber.book.covered)
        else:
            lease = self._ownership.lease
            await self._resources.push_statuses.put(lease, tenant_id, PushStatus(is_off=True))
        await parts.standing.check_grants()

    async def _left_behind(self) -> Handover | None:
        """Return the handover of a former owner, if it can be used."""
        if self._predecessor is None:
            return None
        found = await self._resources.handovers.load(self._tenant_id, self._predecessor)
        is_of_settings = found is not None and found.settings == digest(self._parts.standing.tenant.settings)
        return found if is_of_settings else None

    async def _learn_upns(self, users: Iterable[UserId]) -> None:
        async for some in in_slices(users):
            self._parts.resolver.learn_upns(some)

    async def _write_again(self) -> None:
        """Store again everything that the store may have lost."""
        parts = self._parts
        await parts.directory.write_all()
        if parts.push is not None:
            await parts.push.subscriber.write_again()
        await parts.enforcer.enforce(parts.books.names.users())
        if not parts.standing.is_read:
            await parts.standing.write_unread()
