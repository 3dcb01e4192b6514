"""Runs the partitions that `leasing` has taken, reads their inbox, and watches the history of the store.

    begin            starts the work for partitions that were taken, all together
    finish           before another worker takes a partition: ends the steps that must not be interrupted, then the partition
    end              cancels all work for leases that are lost, or may be
    _read_inbox      one blocking read over all owned partitions; passes entries on as hints
    _watch_history   once a second: if the store lost history, makes a new epoch and writes everything again

A killed worker leaves only leases that expire. A worker that stops gives them up and announces it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from relay.alerts.sender import AlertSender
from relay.core.revision import is_of
from relay.errors import LeaseLost, Retryable, StoreUnavailable
from relay.ops.clock import SYSTEM, Clock
from relay.ops.instruments import reading
from relay.ops.supervision import supervised
from relay.store.custody.tenants import Tenants
from relay.store.presence.entries import parse_id
from relay.worker import metrics
from relay.worker.context import Resources
from relay.worker.figures import WorkerFigures
from relay.worker.leasing import Leasing
from relay.worker.ownership import Ownership
from relay.worker.partition import OwnedPartition
from relay.worker.statistics import WorkerStatistics
from relay.worker.tasks import start

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from relay.core.presence import TenantId
    from relay.core.revision import Revision
    from relay.core.shares import PartitionLoad
    from relay.store.custody.vault import Vault
    from relay.store.presence.leases import Lease, TakenPartition
    from relay.store.presence.pipes import InboxEntry
    from relay.store.server.connection import Store
    from relay.worker.cloud import Cloud
    from relay.worker.figures import TenantFigures
    from relay.worker.settings import WorkerSettings
    from relay.worker.tenure import Tenure

log = structlog.get_logger(__name__)

_HISTORY_CHECK_S: Final = 1.0
_RETRY_S: Final = 0.5


class Worker:
    """Owns its share of the partitions and works for their tenants until `run` is cancelled.

    At most one worker writes for a partition: each write carries the lease. While the store is unavailable nothing is
    written, reads of Graph are retried slowly, and everything is read again afterwards.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        cloud: Cloud,
        settings: WorkerSettings,
        worker_id: str,
        clock: Clock = SYSTEM,
    ) -> None:
        self.store = store
        self.settings = settings
        self._cloud = cloud  # for partitions only: each gets a view of it that closes with its lease
        tenants = Tenants(store)
        self._alerts = AlertSender(store, tenants, vault.ring, settings.alerts, lambda: self.partitions)
        self._resources = Resources.of(store, vault, settings, worker_id, clock, self._alerts.wake)
        self._clock = self._resources.clock
        self._leasing = Leasing(store, settings, worker_id, self, self._resources.store_clock, self._clock)
        self._figures = WorkerFigures(self._tenants_in_numbers)
        self._owned: dict[int, tuple[OwnedPartition, asyncio.Task[None]]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._stopping = False

    @property
    def partitions(self) -> set[int]:
        """The partitions owned at present."""
        return set(self._owned)

    def statistics(self) -> WorkerStatistics:
        """Return the present statistics of this worker."""
        return WorkerStatistics(partitions={number: owned.statistics() for number, (owned, _) in self._owned.items()})

    def _tenants_in_numbers(self) -> dict[TenantId, TenantFigures]:
        return {tenant_id: one for owned, _ in self._owned.values() for tenant_id, one in owned.figures().items()}

    def trouble(self) -> str:
        """Return why this worker does not work as it should; empty without trouble, also when other workers own everything."""
        late_s = self._leasing.late_s
        if late_s is None:
            return "it has not looked for partitions yet"
        if late_s > self.settings.lease.total_seconds():
            return f"it has not renewed its partitions for {late_s:.0f} s"
        unread = sum(not owned.is_read for owned, _ in self._owned.values())
        return f"{unread} of its {len(self._owned)} partitions are not read yet" if unread else ""

    async def run(self) -> None:
        """Work until cancelled, then hand the leases over."""
        with reading({**self._figures.readers(), **self._leasing.readers()}):
            await self._run_all()

    async def _run_all(self) -> None:
        try:
            async with asyncio.TaskGroup() as self._tasks:
                loops: dict[str, Callable[[], Awaitable[None]]] = {
                    **self._leasing.loops,
                    "inbox": self._read_inbox,
                    "history": self._watch_history,
                    "alerts": self._alerts.run,
                }
                for name, loop in loops.items():
                    self._tasks.create_task(supervised(name, loop), name=name)
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    # Before the tasks are cancelled: the leases of partitions that end from now on are given up below.
                    self._stopping = True
                    self._leasing.stop_sharing()
                    await asyncio.shield(self._finish_all())
        finally:
            await asyncio.shield(self._hand_over())

    # Partitions

    async def begin(self, taken: Sequence[tuple[TakenPartition, Tenure]]) -> None:
        """Begin to work for partitions that were taken, all together.

        Raises:
            StoreUnavailable: none was begun; call again.
        """
        rosters = await self._resources.tenants.rosters([one.lease.partition for one, _ in taken])
        found = {tenure.lease: is_of(one.epoch, one.replid) if one.epoch else False for one, tenure in taken}
        # After lost history, stored answers must not be shown as if they were new.
        lost = {lease: rosters[lease.partition].tenants for lease, is_known in found.items() if not is_known}
        renewed = await self._resources.presences.renew_epochs(lost) if lost else {}
        for one, tenure in taken:
            epoch = renewed.get(tenure.lease) if tenure.lease in lost else one.epoch
            if epoch is None:  # a slow store or machine: any worker may take it again
                self._leasing.ended(tenure)
                continue
            cloud = self._cloud.behind(tenure.demand)
            ownership = Ownership(self._resources, tenure, epoch, cloud)
            known, roster = self._leasing.known_load(one.lease.partition), rosters[one.lease.partition]
            # No handover is used after lost history: hints may be lost too.
            is_left = one.handed_over is not None and tenure.lease not in lost
            owned = OwnedPartition(
                self._resources,
                ownership,
                one.handed_over if is_left and one.handed_over is not None else one.position,
                roster,
                known,
                one.lease.fence - 1 if is_left else None,
            )
            task = start(self._tasks, self._run(owned), f"partition:{one.lease.partition}") if self._tasks else None
            if task is not None:
                self._owned[one.lease.partition] = owned, task
        await self._resources.inbox.wake()

    def end(self, tenures: Collection[Tenure]) -> None:
        """Cancel all work for partitions whose leases are lost, or may be."""
        for tenure in tenures:
            log.debug("lease_lost", partition=tenure.lease.partition)
            owned, task = self._owned.get(tenure.lease.partition, (None, None))
            if owned is not None and task is not None and owned.ownership.tenure is tenure:
                task.cancel()

    async def finish(self, tenure: Tenure) -> None:
        """End the work for a partition that another worker should have; return when nothing is under way."""
        owned, task = self._owned.get(tenure.lease.partition, (None, None))
        if owned is not None and task is not None and owned.ownership.tenure is tenure:
            await owned.finish()
            task.cancel()
            await asyncio.wait([task])

    def load(self, tenure: Tenure) -> PartitionLoad | None:
        """Return the work of a partition; None until all of its tenants are loaded."""
        owned, _ = self._owned.get(tenure.lease.partition, (None, None))
        return owned.load() if owned is not None and owned.ownership.tenure is tenure else None

    async def _run(self, owned: OwnedPartition) -> None:
        partition = owned.lease.partition
        try:
            await owned.run()
        except* LeaseLost:
            log.debug("lease_lost", partition=partition)
        except* Exception:
            log.exception("partition_failed", partition=partition)
        finally:
            if not self._stopping:
                if self._owned.get(partition, (None,))[0] is owned:
                    del self._owned[partition]
                self._leasing.ended(owned.ownership.tenure)

    async def _finish_all(self) -> None:
        await asyncio.gather(*(owned.finish() for owned, _ in self._owned.values()), return_exceptions=True)

    async def _hand_over(self) -> None:
        await self._leasing.give_up()
        await self._resources.inbox.aclose()

    # The inbox

    async def _read_inbox(self) -> None:
        while True:
            readers = {partition: owned for partition, (owned, _) in self._owned.items() if not owned.is_ending}
            if not readers:
                await self._clock.sleep(_RETRY_S)
                continue
            try:
                entries = await self._resources.inbox.read(
                    {partition: owned.position for partition, owned in readers.items()}
                )
            except StoreUnavailable:
                await self._clock.sleep(_RETRY_S)
                continue
            if entries:
                _note_lag(entries[0], self._clock)
            for entry in entries:
                # A partition that was lost and taken again meanwhile has read everything, and has another position.
                try:
                    readers[entry.partition].hint(entry)
                except Exception:  # an error in one partition must not end the inbox of all
                    log.exception("hint_failed", partition=entry.partition)

    # History

    async def _watch_history(self) -> None:
        while True:
            await self._clock.sleep(_HISTORY_CHECK_S)
            try:
                await self._check_history()
            except Retryable as error:
                log.info("history_not_checked", error=str(error))

    async def _check_history(self) -> None:
        mine = {partition: owned for partition, (owned, _) in self._owned.items()}
        lost: dict[Lease, tuple[OwnedPartition, Revision]] = {}
        for partition, now in (await self._resources.presences.histories(list(mine))).items():
            owned = mine[partition]
            if (
                is_of(owned.ownership.epoch, now.replid)
                and now.epoch == owned.ownership.epoch
                and now.last >= owned.last
            ):
                owned.last = now.last
            else:
                lost[owned.lease] = owned, now.last
        if lost:
            await self._declare_lost(lost)

    async def _declare_lost(self, lost: Mapping[Lease, tuple[OwnedPartition, Revision]]) -> None:
        """Declare history lost, together with all stored answers: an older answer must not be shown again."""
        metrics.HISTORIES_LOST.add(len(lost))
        log.warning("history_lost", partitions=len(lost))
        rosters = await self._resources.tenants.rosters([lease.partition for lease in lost])
        tenants = {lease: rosters[lease.partition].tenants for lease in lost}
        # Lost leases are absent in the result: the next owner declares the loss.
        for lease, epoch in (await self._resources.presences.renew_epochs(tenants)).items():
            owned, last = lost[lease]
            owned.history_lost(epoch, last)


def _note_lag(entry: InboxEntry, clock: Clock) -> None:
    """Record the waiting time of the oldest entry of a read."""
    metrics.INBOX_LAG.record(max(0.0, clock.wall().timestamp() - (parse_id(entry.position) >> 64) / 1000))
