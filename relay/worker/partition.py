"""One partition in this worker's hands: its tenants, its epoch, and what it says of them.

Taking over: make sure that the epoch is of the server's history, note where the inbox is, then read everything; hints
from there on come through `hint`. Losing the lease ends it by LeaseLost, without a word: another owner is at work.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from relay.core.revision import START
from relay.errors import LeaseLost, Retryable, StoreUnavailable
from relay.ops.supervision import heed_cancellation
from relay.store.presence import hints
from relay.store.presence.leases import new_nonce
from relay.store.presence.pipes import INBOX_PER_TENANT
from relay.worker.grants.pool import GrantPool
from relay.worker.tasks import start
from relay.worker.tenant.loop import TenantWorker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from relay.core.presence import TenantId
    from relay.core.revision import Epoch, Revision
    from relay.store.custody.tenants import Roster
    from relay.store.presence.entries import TenantContact
    from relay.store.presence.leases import Lease
    from relay.store.presence.pipes import InboxEntry
    from relay.worker.cloud import Cloud
    from relay.worker.tenure import Tenure
    from relay.worker.worker import Worker

log = structlog.get_logger(__name__)

_HOUSEKEEPING_S: Final = 5.0
_SAVE_AFTER: Final = INBOX_PER_TENANT // 4
"""Hints of which the inbox is told at once: it keeps only so many of a tenant that it does not know to be dealt with, and with more
than 200 notifications a second these would be too many before the house is kept."""
_RETRY_S: Final = 0.5
T = TypeVar("T")


class OwnedPartition:
    """A partition as long as its lease lasts. `run` ends by being cancelled, or with LeaseLost in an exception group."""

    def __init__(
        self, worker: Worker, tenure: Tenure, epoch: Epoch, position: bytes, cloud: Cloud, roster: Roster
    ) -> None:
        """Own a partition.

        Args:
            worker: whose settings and connections are used.
            tenure: with a lease that is in force.
            epoch: valid for the server's history.
            position: of the inbox, from before anything else is read.
            cloud: Microsoft's side, as far as the tenure lets it be asked.
            roster: who is in the partition, read since it was taken.
        """
        self.worker = worker
        self.tenure = tenure
        self.cloud = cloud
        self._roster = roster
        self.epoch = epoch
        self.position = position
        self.is_read = False  # whether all tenants that there were at the beginning are at work
        self.last = START  # the newest entry of `changes` that was seen: one that is older again is lost history
        self._dealt_with = position
        self._unsaved = 0
        self._many_came = asyncio.Event()
        self._tenants: dict[TenantId, tuple[TenantWorker, asyncio.Task[None]]] = {}
        self._unsaid: dict[TenantId, TenantContact] = {}
        self._urgent = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._fencing = asyncio.Lock()
        self._removed: asyncio.Queue[TenantId] = asyncio.Queue()

    @property
    def lease(self) -> Lease:
        """The one in force, as far as this worker knows."""
        return self.tenure.lease

    async def run(self) -> None:
        """Work for the partition's tenants."""
        async with asyncio.TaskGroup() as self._tasks:
            # First, so that one that left and came back meanwhile begins with nothing of before.
            for tenant_id in self._roster.left:
                await self._let_go(tenant_id)
            first = [
                self._tasks.create_task(self._take_up(tenant_id), name=f"take-up:{tenant_id}")
                for tenant_id in self._roster.tenants
            ]
            self._tasks.create_task(self._note_read(first), name=f"read:{self.lease.partition}")
            self._tasks.create_task(self._keep_saying(), name=f"contact:{self.lease.partition}")
            self._tasks.create_task(self._keep_house(), name=f"house:{self.lease.partition}")

    def hint(self, entry: InboxEntry) -> None:
        """Take in an entry of the inbox."""
        self.position = entry.position
        self._unsaved += hints.weight(entry.hint) if entry.hint is not None else 1
        if self._unsaved >= _SAVE_AFTER:
            self._many_came.set()
        if entry.gap or entry.hint is None:
            log.info("inbox_gap", partition=self.lease.partition)
            for tenant, _ in self._tenants.values():
                tenant.look_anew()
        if entry.hint is None:
            return
        known = self._tenants.get(entry.hint.tenant_id)
        if isinstance(entry.hint, hints.TenantChanged) or known is None:
            self._start_take_up(entry.hint.tenant_id)
        if known is not None:
            known[0].hint(entry.hint)

    def history_lost(self, epoch: Epoch, last: Revision) -> None:
        """Another epoch has begun behind `last`: reads under way do not count, and everything is told again."""
        self.epoch, self.last = epoch, last
        for tenant, _ in self._tenants.values():
            tenant.history_lost()

    def tenants(self) -> list[TenantId]:
        """The tenants at work."""
        return list(self._tenants)

    def say(self, contact: TenantContact, *, urgent: bool) -> None:
        """Tell the edges how a tenant fares, at once if it is news."""
        self._unsaid[contact.tenant_id] = contact
        if urgent:
            self._urgent.set()

    async def fence(self, doubted: Lease) -> None:
        """The outcome of a write under a lease is unknown: see to it that it is not carried out after this returns.

        It may still lie in a socket, and lease, epoch and order would let it pass. So the lease is taken anew, for all tenants;
        whoever has a write under way meets LEASELOST, for which see `is_over`.

        Raises:
            LeaseLost: the partition is lost indeed.
            StoreUnavailable: to be tried again.
        """
        tenure = self.tenure
        async with self._fencing:
            if self.lease != doubted:
                return
            tenure.successor = tenure.successor or new_nonce()
            asked_at = time.monotonic()
            try:
                tenure.lease = await self.worker.leasing.leases.fence(
                    doubted, tenure.successor, self.worker.settings.lease
                )
            except LeaseLost:
                tenure.successor = None
                raise
            tenure.successor = None
            tenure.prove(asked_at)
        log.info("partition_fenced", partition=self.lease.partition)

    async def void(self, lease: Lease, error: Retryable) -> None:
        """A write under this lease failed: return when it is sure not to be carried out any more.

        Args:
            lease: the write showed.
            error: StoreUnavailable, or LeaseLost.

        Raises:
            LeaseLost: the partition is lost.
            StoreUnavailable: to be tried again.
        """
        if isinstance(error, LeaseLost) and self.is_over(lease):
            raise error
        await self.fence(lease)

    def is_over(self, lease: Lease) -> bool:
        """Whether LEASELOST under this lease says that the partition is lost, and not that `fence` has replaced the lease."""
        return self.tenure.is_over(lease)

    async def _until_answered(self, ask: Callable[[int], Awaitable[T]]) -> T:
        while True:
            try:
                return await ask(self.lease.partition)
            except StoreUnavailable:
                await asyncio.sleep(_RETRY_S)

    async def _until_written(self, write: Callable[[Lease], Awaitable[None]]) -> None:
        """Write until the store says that it is written; no earlier attempt is carried out after that."""
        failed: tuple[Lease, Retryable] | None = None
        while True:
            try:
                if failed is not None:
                    await self.void(*failed)
                lease = self.lease
                try:
                    return await write(lease)
                except (StoreUnavailable, LeaseLost) as error:
                    failed = lease, error
            except StoreUnavailable:
                pass
            await asyncio.sleep(_RETRY_S)

    async def _note_read(self, first: list[asyncio.Task[None]]) -> None:
        if first:
            await asyncio.wait(first)
        self.is_read = True

    def _start_take_up(self, tenant_id: TenantId) -> None:
        if self._tasks is not None:
            start(self._tasks, self._take_up(tenant_id), f"take-up:{tenant_id}")

    async def _take_up(self, tenant_id: TenantId) -> None:
        """Begin to work for a tenant, or stop if it has gone."""
        while True:
            try:
                tenant = await self.worker.tenants.load(tenant_id)
                break
            except StoreUnavailable:
                await asyncio.sleep(_RETRY_S)
        known = self._tenants.get(tenant_id)
        if tenant is None:
            await self._let_go(tenant_id)
        elif known is None and self._tasks is not None:
            work = TenantWorker(tenant, self, self._pool_of(tenant_id))
            task = start(self._tasks, self._run_tenant(work), f"tenant:{tenant_id}")
            if task is not None:
                self._tenants[tenant_id] = (work, task)

    def _pool_of(self, tenant_id: TenantId) -> GrantPool:
        worker = self.worker
        settings = worker.settings
        return GrantPool(tenant_id, worker.vault, self.cloud, settings.grant_patience, settings.graph_patience)

    async def _run_tenant(self, work: TenantWorker) -> None:
        """A tenant that fails in an unforeseen way is begun anew; it must not take the others with it."""
        while True:
            try:
                await work.run()
            except* LeaseLost:
                raise
            except* Exception:
                log.exception("tenant_failed", tenant_id=work.tenant_id)
            heed_cancellation()
            await asyncio.sleep(_HOUSEKEEPING_S)
            work = TenantWorker(work.tenant, self, self._pool_of(work.tenant_id))
            self._tenants[work.tenant_id] = (work, self._tenants[work.tenant_id][1])

    async def _let_go(self, tenant_id: TenantId) -> None:
        known = self._tenants.pop(tenant_id, None)
        self._unsaid.pop(tenant_id, None)
        if known is not None:
            await known[0].leave()
            known[1].cancel()
            await asyncio.wait([known[1]])
        await self._until_written(partial(self.worker.presences.drop, tenant_id=tenant_id))
        await self._until_answered(lambda _: self.worker.tenants.has_gone(tenant_id))

    async def _keep_saying(self) -> None:
        interval = self.worker.settings.contact_interval.total_seconds()
        while True:
            try:
                async with asyncio.timeout(interval):
                    await self._urgent.wait()
            except TimeoutError:
                pass
            self._urgent.clear()
            if not self._unsaid:
                continue
            await self._until_written(self._say_unsaid)

    async def _say_unsaid(self, lease: Lease) -> None:
        said = dict(self._unsaid)
        now_ms = int(time.time() * 1000)
        await self.worker.presences.contact(lease, [contact.said_at(now_ms) for contact in said.values()])
        for tenant_id, contact in said.items():
            if self._unsaid.get(tenant_id) is contact:  # else there is a newer one
                del self._unsaid[tenant_id]

    async def _keep_house(self) -> None:
        """Say how far the inbox was dealt with, at the latest when many hints came, and drop old changes."""
        kept_at = time.monotonic()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_HOUSEKEEPING_S):
                    await self._many_came.wait()
            self._many_came.clear()
            lease = self.lease
            try:
                await self._save_position()
                if time.monotonic() - kept_at >= _HOUSEKEEPING_S:
                    kept_at = time.monotonic()
                    await self.worker.presences.trim(self.lease, datetime.now(UTC) - self.worker.settings.changes_kept)
            except LeaseLost:
                if self.is_over(lease):
                    raise
            except Retryable:
                continue

    async def _save_position(self) -> None:
        if self.position == self._dealt_with:
            return
        position, self._unsaved = self.position, 0
        for tenant_id in await self.worker.inbox.save(self.lease, position):
            if tenant_id in self._tenants:
                self._tenants[tenant_id][0].look_anew()
        self._dealt_with = position
