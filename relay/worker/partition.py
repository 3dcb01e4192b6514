"""One owned partition: its tenants, its inbox, and its housekeeping.

Taking over: check that the epoch belongs to the server's history, note the inbox position, then read everything. Later
hints come through `hint`. Handing over: finish the steps that must not be interrupted, and store the state that only
this worker has. A lost lease ends the partition with LeaseLost, and nothing is written: another owner is at work.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from relay.core.revision import START
from relay.core.shares import PartitionLoad
from relay.errors import LeaseLost, Retryable
from relay.ops.cadence import Cadence, wait_until_set
from relay.ops.supervision import heed_cancellation
from relay.store.presence import hints
from relay.store.presence.pipes import INBOX_PER_TENANT
from relay.worker.contacts import ContactWriter
from relay.worker.load import NotificationRate
from relay.worker.statistics import PartitionStatistics
from relay.worker.tasks import start
from relay.worker.tenant.loop import TenantWorker

if TYPE_CHECKING:
    from relay.core.presence import TenantId
    from relay.core.revision import Epoch, Revision
    from relay.store.custody.tenants import Roster, Tenant
    from relay.store.presence.leases import Lease
    from relay.store.presence.pipes import InboxEntry
    from relay.worker.context import Resources
    from relay.worker.figures import TenantFigures
    from relay.worker.ownership import Ownership

log = structlog.get_logger(__name__)

_HOUSEKEEPING_S: Final = 5.0
_TRIMMED: Final = 1 / 20
"""Interval at which old changes are dropped, as a share of the time for which changes are kept."""
_FINISH_S: Final = 2.0
"""Time to finish steps that must not be interrupted before a handover. No worker begins reads of the partition meanwhile."""
_SETTLE_S: Final = 1.0
"""Time for reads that are under way then. The next owner repeats reads that do not end in time."""
_SAVE_AFTER: Final = INBOX_PER_TENANT // 4
"""Hints after which the inbox position is saved at once. The inbox keeps a limited number of a tenant's hints above the
saved position, and with more than 200 notifications a second the limit would be reached before the next
housekeeping."""


class OwnedPartition:
    """A partition as long as its lease lasts. `run` ends by being cancelled, or with LeaseLost in an exception group."""

    def __init__(
        self,
        resources: Resources,
        ownership: Ownership,
        position: bytes,
        roster: Roster,
        known: PartitionLoad,
        predecessor: int | None = None,
    ) -> None:
        """Own a partition.

        Args:
            resources: the worker's settings and connections.
            ownership: ownership with a lease that is in force.
            position: inbox position from before anything else is read, or the one that a former owner had reached when
                it stopped cleanly.
            roster: the partition's tenants, read after the lease was taken.
            known: the partition's work as an earlier owner counted it.
            predecessor: fencing token of a former owner that stopped cleanly; see `Takeover`.
        """
        self.ownership = ownership
        self.position = position
        self.is_read = False  # whether all tenants of the beginning are at work
        self.last = START  # the newest entry of `changes` seen: an older newest entry means lost history
        self._resources = resources
        self._roster = roster
        self._predecessor = predecessor
        self.is_ending = False  # from now on hints stay in the inbox for the next owner
        self._contacts = ContactWriter(resources, ownership)
        self._begun = resources.clock.monotonic()
        self._notifications = NotificationRate(known.notifications, resources.clock.monotonic())
        self._saved = position
        self._unsaved = 0
        self._many_came = asyncio.Event()
        self._tenants: dict[TenantId, tuple[TenantWorker, asyncio.Task[None]]] = {}
        # Tenant that is being started -> hints that arrived for it meanwhile.
        self._early: dict[TenantId, list[hints.Hint]] = {tenant_id: [] for tenant_id in roster.tenants}
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def lease(self) -> Lease:
        """The lease in force, as far as this worker knows."""
        return self.ownership.lease

    async def run(self) -> None:
        """Work for the partition's tenants."""
        async with asyncio.TaskGroup() as self._tasks:
            # First, so that a tenant that left and returned meanwhile begins without its old state.
            for tenant_id in self._roster.left:
                await self._let_go(tenant_id)
            first = [
                self._tasks.create_task(self._take_up(tenant_id, is_first=True), name=f"take-up:{tenant_id}")
                for tenant_id in self._roster.tenants
            ]
            self._tasks.create_task(self._note_read(first), name=f"read:{self.lease.partition}")
            self._tasks.create_task(self._contacts.run(), name=f"contact:{self.lease.partition}")
            self._tasks.create_task(self._keep_house(), name=f"house:{self.lease.partition}")

    def hint(self, entry: InboxEntry) -> None:
        """Process an entry of the inbox."""
        if self.is_ending:
            return
        self.position = entry.position
        self._unsaved += hints.weight(entry.hint) if entry.hint is not None else 1
        if self._unsaved >= _SAVE_AFTER:
            self._many_came.set()
        if entry.gap or entry.hint is None:
            log.info("inbox_gap", partition=self.lease.partition)
            self._predecessor = None  # tenants that are not started yet have missed hints too
            for tenant, _ in self._tenants.values():
                tenant.hints_lost()
        if entry.hint is None:
            return
        if isinstance(entry.hint, hints.Notified):
            self._notifications.count(len(entry.hint.items))
        known = self._tenants.get(entry.hint.tenant_id)
        is_awaited = entry.hint.tenant_id in self._early
        if isinstance(entry.hint, hints.TenantChanged) or (known is None and not is_awaited):
            self._start_take_up(entry.hint.tenant_id)
        if known is not None:
            known[0].hint(entry.hint)
        elif is_awaited:
            self._early[entry.hint.tenant_id].append(entry.hint)

    def history_lost(self, epoch: Epoch, last: Revision) -> None:
        """Begin a new epoch after `last`: reads under way do not count, and everything is stored again."""
        self.ownership.epoch, self.last = epoch, last
        for tenant, _ in self._tenants.values():
            tenant.history_lost()

    def statistics(self) -> PartitionStatistics:
        """Return the present statistics of the partition."""
        tenants = {tenant_id: work.statistics() for tenant_id, (work, _) in self._tenants.items()}
        return PartitionStatistics(begun=self._begun, position=self.position, is_read=self.is_read, tenants=tenants)

    def figures(self) -> dict[TenantId, TenantFigures]:
        """Return tenant id -> figures of the tenant, for the tenants at work."""
        return {tenant_id: work.figures() for tenant_id, (work, _) in self._tenants.items()}

    def tenants(self) -> list[TenantId]:
        """Return the tenants at work."""
        return list(self._tenants)

    def load(self) -> PartitionLoad | None:
        """Return the work of this partition; None until all of its tenants are loaded and their users can be counted."""
        works = [work for work, _ in self._tenants.values()]
        if not self.is_read or not all(work.is_taken_over for work in works):
            return None
        notifications = self._notifications.per_minute(self._resources.clock.monotonic())
        return PartitionLoad(sum(work.users for work in works), notifications)

    async def finish(self) -> None:
        """Finish steps that must not be interrupted, and store the state that only this worker has. Cancel `run` after it.

        It takes some seconds at most. The next owner finds and repairs anything that was interrupted anyway.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                await asyncio.gather(*(work.finish() for work, _ in self._tenants.values()))
        self.is_ending = True
        if not self._tenants:
            return
        try:
            async with asyncio.timeout(_FINISH_S):
                await self._settle()
                await asyncio.gather(self._contacts.write(), self._save_position(), self._leave_behind())
        except (Retryable, TimeoutError):
            log.info("handover_left_out", partition=self.lease.partition)
        except Exception:
            log.exception("handover_failed", partition=self.lease.partition)

    async def _settle(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_S):
                await asyncio.gather(*(work.settle() for work, _ in self._tenants.values()))

    async def _leave_behind(self) -> None:
        left = {tenant_id: work.left_behind() for tenant_id, (work, _) in self._tenants.items()}
        handovers = {tenant_id: handover for tenant_id, handover in left.items() if handover is not None}
        await self._resources.handovers.leave(self.lease, self.position, handovers)

    # Tenants

    async def _note_read(self, first: list[asyncio.Task[None]]) -> None:
        if first:
            await asyncio.wait(first)
        self.is_read = True

    def _start_take_up(self, tenant_id: TenantId) -> None:
        if self._tasks is not None:
            start(self._tasks, self._take_up(tenant_id), f"take-up:{tenant_id}")

    async def _take_up(self, tenant_id: TenantId, *, is_first: bool = False) -> None:
        """Begin to work for a tenant, or stop if it has left."""
        tenant = await self.ownership.until_answered(partial(self._resources.tenants.load, tenant_id))
        known = self._tenants.get(tenant_id)
        if tenant is None:
            await self._let_go(tenant_id)
        elif known is None and self._tasks is not None:
            work = self._work_for(tenant, self._predecessor if is_first else None)
            task = start(self._tasks, self._run_tenant(work), f"tenant:{tenant_id}")
            if task is not None:
                self._tenants[tenant_id] = (work, task)
                for hint in self._early.pop(tenant_id, ()):
                    work.hint(hint)
        self._early.pop(tenant_id, None)

    def _work_for(self, tenant: Tenant, predecessor: int | None = None) -> TenantWorker:
        return TenantWorker(tenant, self._resources, self.ownership, self._contacts, predecessor)

    async def _run_tenant(self, work: TenantWorker) -> None:
        """Run a tenant, and restart it after an unexpected error, so that the other tenants continue."""
        while True:
            try:
                await work.run()
            except* LeaseLost:
                raise
            except* Exception:
                log.exception("tenant_failed", tenant_id=work.tenant_id)
            heed_cancellation()
            await self._resources.clock.sleep(_HOUSEKEEPING_S)
            work = self._work_for(work.tenant)
            self._tenants[work.tenant_id] = (work, self._tenants[work.tenant_id][1])

    async def _let_go(self, tenant_id: TenantId) -> None:
        known = self._tenants.pop(tenant_id, None)
        self._contacts.forget(tenant_id)
        if known is not None:
            await known[0].leave()
            known[1].cancel()
            await asyncio.wait([known[1]])
        await self.ownership.until_written(partial(self._resources.presences.drop, tenant_id=tenant_id))
        await self.ownership.until_answered(partial(self._resources.tenants.has_gone, tenant_id))

    # Housekeeping

    async def _keep_house(self) -> None:
        """Save the inbox position, early after many hints, and drop old changes."""
        clock, settings = self._resources.clock, self._resources.settings
        trim = Cadence(max(_HOUSEKEEPING_S, settings.changes_kept.total_seconds() * _TRIMMED))
        trim.take(clock.monotonic())
        while True:
            await wait_until_set(clock, self._many_came, _HOUSEKEEPING_S)
            self._many_came.clear()
            lease = self.lease
            try:
                await self._save_position()
                if trim.take(clock.monotonic()):
                    await self._resources.presences.trim(self.lease, clock.wall() - settings.changes_kept)
            except LeaseLost:
                if self.ownership.is_over(lease):
                    raise
            except Retryable:
                continue

    async def _save_position(self) -> None:
        if self.position == self._saved:
            return
        position, self._unsaved = self.position, 0
        for tenant_id in await self._resources.inbox.save(self.lease, position):
            if tenant_id in self._tenants:
                self._tenants[tenant_id][0].hints_lost()
        self._saved = position
