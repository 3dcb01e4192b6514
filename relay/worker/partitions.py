"""Which partitions this worker owns: leases, the inbox of all of them, and the history of the store.

    _renew           renews leases, stops partitions whose lease was lost
    _acquire         takes free partitions
    _read_inbox      one blocking read over all owned partitions, handed on as hints
    _watch_history   once a second: has the store lost history? then a new epoch, and everything is told again

A worker that is killed leaves nothing behind but its leases, which expire. One that stops gives them up.
"""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from relay.core.revision import is_of
from relay.errors import LeaseLost, Retryable, StoreUnavailable
from relay.store import keys
from relay.store.interest import Interest
from relay.store.leases import Lease, Leases
from relay.store.pipes import Inbox
from relay.store.presences import Presences
from relay.store.push import PushStatuses
from relay.store.tenants import Tenants
from relay.supervision import supervised
from relay.worker.partition import OwnedPartition
from relay.worker.tasks import start
from relay.worker.teller import Teller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from relay.core.revision import Epoch
    from relay.store.connection import Store
    from relay.store.vault import Vault
    from relay.worker.cloud import Cloud
    from relay.worker.settings import WorkerSettings

log = structlog.get_logger(__name__)

_HISTORY_CHECK_S: Final = 1.0
_RETRY_S: Final = 0.5
_RENEW: Final = "leases-renew"
_ACQUIRE: Final = "leases-acquire"
_LEASE_LOOPS: Final = (_RENEW, _ACQUIRE)


class Worker:
    """Owns as many partitions as it can get and works for their tenants until `run` is cancelled.

    At most one worker writes for a partition: each write shows the lease. While the store is away nothing is written,
    reads of Graph go on being tried slowly, and everything is looked at anew when it is back.
    """

    def __init__(self, store: Store, vault: Vault, cloud: Cloud, settings: WorkerSettings, worker_id: str) -> None:
        self.store = store
        self.vault = vault
        self.cloud = cloud
        self.settings = settings
        self.worker_id = worker_id
        self.tenants = Tenants(store)
        self.presences = Presences(store)
        self.interest = Interest(store)
        self.push_statuses = PushStatuses(store)
        self.inbox = Inbox(store)
        self.teller = Teller(store, self.tenants, vault.ring, settings.telling, lambda: self.partitions, settings.say)
        self.leases = Leases(store)
        self._owned: dict[int, tuple[OwnedPartition, asyncio.Task[None]]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._stopping = False
        self._done_at: dict[str, float] = {}  # loop of the leases -> when its last round was done

    @property
    def partitions(self) -> set[int]:
        """The partitions owned at present."""
        return set(self._owned)

    def trouble(self) -> str:
        """Why this worker does not do its part at present; empty when it does, also when others own everything."""
        if len(self._done_at) < len(_LEASE_LOOPS):
            return "it has not looked at all partitions yet"
        late_s = time.monotonic() - min(self._done_at.values())
        if late_s > self.settings.lease.total_seconds():
            return f"it has not been able to look after its partitions for {late_s:.0f} s"
        unread = sum(not owned.is_read for owned, _ in self._owned.values())
        return f"{unread} of its {len(self._owned)} partitions are not read yet" if unread else ""

    async def run(self) -> None:
        """Work until cancelled; then hand the leases over."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                # Two tasks: taking partitions over takes seconds when there is much to read, and leases do not wait.
                loops: dict[str, Callable[[], Awaitable[None]]] = {
                    **{name: partial(self._again_and_again, name) for name in _LEASE_LOOPS},
                    "inbox": self._read_inbox,
                    "history": self._watch_history,
                    "teller": self.teller.run,
                }
                for name, loop in loops.items():
                    self._tasks.create_task(supervised(name, loop), name=name)
        finally:
            self._stopping = True
            await asyncio.shield(self._hand_over())

    # Leases

    async def _again_and_again(self, name: str) -> None:
        work = {_RENEW: self._renew, _ACQUIRE: self._acquire}[name]
        while True:
            try:
                await work()
                self._done_at[name] = time.monotonic()
            except StoreUnavailable as error:
                log.warning("leases_not_kept", error=str(error))
                await asyncio.sleep(_RETRY_S)
                continue
            await asyncio.sleep(self.settings.lease_renewal.total_seconds())

    async def _renew(self) -> None:
        # Those that are acquired while the answer is under way are not in it, and not lost.
        asked = [(owned, task, owned.lease) for owned, task in self._owned.values()]
        held = await self.leases.renew([lease for _, _, lease in asked], self.settings.lease)
        for owned, task, lease in asked:
            # A partition that takes its lease anew meanwhile finds out by that whether it has lost it.
            if lease not in held and owned.is_over(lease):
                log.warning("lease_lost", partition=owned.lease.partition)
                task.cancel()
                await asyncio.wait([task])

    async def _acquire(self) -> None:
        free = [partition for partition in range(keys.PARTITIONS) if partition not in self._owned]
        # In another order each time, so that two workers that start together do not race for the same ones.
        random.shuffle(free)
        identity = await self.store.server() if free else None
        for partition in free:
            lease = await self.leases.acquire(partition, self.worker_id, self.settings.lease)
            if lease is not None and identity is not None:
                try:
                    await self._own(lease, identity.replid)
                except LeaseLost:  # a slow store or machine: it is anybody's again
                    log.warning("lease_lost", partition=partition)

    async def _own(self, lease: Lease, replid: str) -> None:
        position = await self.inbox.last(lease.partition)
        epoch = await self.presences.epoch(lease.partition)
        if epoch is None or not is_of(epoch, replid):
            epoch = await self._new_epoch(lease, replid)
        owned = OwnedPartition(self, lease, epoch, position)
        if self._tasks is not None:
            task = start(self._tasks, self._run(owned), f"partition:{lease.partition}")
            if task is not None:
                self._owned[lease.partition] = (owned, task)
                await self.inbox.wake()

    async def _run(self, owned: OwnedPartition) -> None:
        partition = owned.lease.partition
        try:
            await owned.run()
        except* LeaseLost:
            log.warning("lease_lost", partition=partition)
        except* Exception:
            log.exception("partition_failed", partition=partition)
        finally:
            if self._owned.get(partition, (None,))[0] is owned and not self._stopping:
                del self._owned[partition]

    async def _hand_over(self) -> None:
        for owned, _ in self._owned.values():
            try:
                await self.leases.release(owned.lease)
            except Retryable:
                break  # they expire
        await self.inbox.aclose()

    # The inbox

    async def _read_inbox(self) -> None:
        while True:
            readers = {partition: owned for partition, (owned, _) in self._owned.items()}
            if not readers:
                await asyncio.sleep(_RETRY_S)
                continue
            try:
                entries = await self.inbox.read({partition: owned.position for partition, owned in readers.items()})
            except StoreUnavailable:
                await asyncio.sleep(_RETRY_S)
                continue
            for entry in entries:
                # A partition that was lost and won again meanwhile has read everything, and stands elsewhere.
                try:
                    readers[entry.partition].hint(entry)
                except Exception:  # one partition's trouble must not end the inbox of all
                    log.exception("hint_failed", partition=entry.partition)

    # History

    async def _watch_history(self) -> None:
        while True:
            await asyncio.sleep(_HISTORY_CHECK_S)
            try:
                await self._check_history()
            except Retryable as error:
                log.info("history_not_checked", error=str(error))

    async def _check_history(self) -> None:
        identity = await self.store.server()
        if identity.role != "master":
            return
        mine = {partition: owned for partition, (owned, _) in self._owned.items()}
        standings = await self.presences.standings(list(mine))
        for partition, owned in mine.items():
            epoch, last = standings[partition]
            if is_of(owned.epoch, identity.replid) and epoch == owned.epoch and last >= owned.last:
                owned.last = last
                continue
            log.warning("history_lost", partition=partition)
            try:
                owned.history_lost(await self._new_epoch(owned.lease, identity.replid), last)
            except LeaseLost:  # its next owner declares it; the renewal of leases ends ours
                log.warning("lease_lost", partition=partition)

    async def _new_epoch(self, lease: Lease, replid: str) -> Epoch:
        """Declare history lost, together with every answer that is stored: an older one must not be shown again."""
        tenants = await self.tenants.of(lease.partition)
        return await self.presences.renew_epoch(lease, replid, tenants)
