"""Takes, renews, ends, hands over and gives up the leases of one worker. `worker.py` does the work of the partitions.

share       writes this worker's row in the table and takes its share of the free partitions, in one round trip each: every third
            of a lease, when the next lease or registration expires, and when a worker announces a change
give        hands over partitions that other workers should have, one at a time
renew       renews leases every third of a lease, without waiting for the last answer, so that a slow store ends no lease
deadlines   ends partitions whose lease was not confirmed in time, see `tenure`
tell        writes one log line for each change that has settled
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from relay.core.shares import PartitionLoad
from relay.core.take_limit import TakeLimit
from relay.errors import Retryable, StoreUnavailable
from relay.ops.cadence import wait_until_set
from relay.ops.clock import SYSTEM, Clock
from relay.store.presence.leases import Leases
from relay.store.server import keys
from relay.worker import metrics
from relay.worker.load import ShareReadings
from relay.worker.sharing import Sharing
from relay.worker.tenure import Tenure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from relay.ops.instruments import Gauge, Read
    from relay.store.presence.leases import Lease, TakenPartition
    from relay.store.server.connection import Store
    from relay.worker.settings import WorkerSettings
    from relay.worker.store_clock import StoreClock

log = structlog.get_logger(__name__)

_RETRY_S: Final = 0.5
_SOON_S: Final = 0.01
"""Time after which the store has dropped an expired lease, and shortest time between two checks of deadlines."""
_SETTLED_S: Final = 1.0
"""Partitions come and go together; a state that has not changed for this long is logged."""
_MOST_UNSETTLED_S: Final = 10.0
_RENEWALS_AT_ONCE: Final = 3
"""Renewals under way within one lease: the answer to an older one comes too late."""


class Owner(Protocol):
    """The object that does the work of the partitions."""

    async def begin(self, taken: Sequence[tuple[TakenPartition, Tenure]]) -> None:
        """Begin to work for these leases, which are in force. Raises StoreUnavailable, and is called again with the rest."""

    def end(self, tenures: Collection[Tenure]) -> None:
        """Stop all work for these leases, which have ended."""

    async def finish(self, tenure: Tenure) -> None:
        """End the work for a lease that another worker should have; return when nothing is under way for it."""

    def load(self, tenure: Tenure) -> PartitionLoad | None:
        """Return the work of a partition; None while it is not known yet."""


class Leasing:
    """The leases of this worker, and the deadline of each."""

    def __init__(
        self,
        store: Store,
        settings: WorkerSettings,
        worker_id: str,
        owner: Owner,
        store_clock: StoreClock,
        clock: Clock = SYSTEM,
    ) -> None:
        self._leases = Leases(store)
        self._sharing = Sharing(store, settings, worker_id, store_clock, clock)
        self._share_readings = ShareReadings(worker_id, lambda: self._sharing.table)
        self._limit = TakeLimit(keys.PARTITIONS, settings.lease.total_seconds())
        self._clock = clock
        self._settings = settings
        self._worker_id = worker_id
        self._owner = owner
        self._tenures: dict[int, Tenure] = {}
        self._waiting: dict[int, TakenPartition] = {}  # taken, but not begun
        self._giving: Tenure | None = None  # still ours in the store, until nothing is under way for it
        self._blocked: frozenset[int] = frozenset()
        self._is_stopping = False
        self._look = asyncio.Event()
        self._looked = asyncio.Event()
        self._changed = asyncio.Event()
        self._renew_now = asyncio.Event()
        self._renewing: set[asyncio.Task[None]] = set()
        self._is_prepared = False
        self._looked_at: float | None = None
        self._renewed_at: float | None = None
        self._trouble = ""

    @property
    def loops(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Name -> a loop that runs until it is cancelled."""
        return {
            "leases-renew": self._keep_renewing,
            "leases-deadlines": self._watch_deadlines,
            "leases-share": self._keep_sharing,
            "leases-give": self._keep_giving,
            "leases-changed": self._listen,
            "leases-tell": self._tell,
        }

    def readers(self) -> dict[Gauge, Read]:
        """Return instrument -> its reader, for scrapes."""
        return {**self._share_readings.readers(), metrics.LEASE_AGE: lambda: self.late_s or 0.0}

    @property
    def late_s(self) -> float | None:
        """Seconds since this worker last looked for partitions or renewed its leases; None before the first look.

        About a third of a lease is normal.
        """
        if self._looked_at is None:
            return None
        kept_at = self._renewed_at if self._tenures else self._looked_at
        return self._clock.monotonic() - min(self._looked_at, kept_at or self._looked_at)

    def ended(self, tenure: Tenure) -> None:
        """Note that nothing is under way for a partition any more, so that it may be taken again."""
        tenure.end()
        partition = tenure.lease.partition
        if self._tenures.get(partition) is tenure:
            del self._tenures[partition]
            self._waiting.pop(partition, None)
            self._changed.set()
            self._look.set()

    def known_load(self, partition: int) -> PartitionLoad:
        """Return the work of a partition as its last owner counted it."""
        return self._sharing.table.loads.get(partition, PartitionLoad())

    def stop_sharing(self) -> None:
        """Stop taking and handing over partitions, before `give_up`."""
        self._is_stopping = True

    async def give_up(self) -> None:
        """Hand all partitions over; the other workers take them at once. Call it when nothing is under way for them."""
        tenures, self._tenures = list(self._tenures.values()), {}
        if self._giving is not None and self._giving not in tenures:
            tenures.append(self._giving)
        for tenure in tenures:
            tenure.end()
        with suppress(Retryable):  # they expire
            if tenures:
                await self._leases.release(*(tenure.lease for tenure in tenures))
            await self._sharing.leave()
            if tenures:
                log.info("partitions_given_up", given_up=len(tenures))
        await self._sharing.aclose()

    # Sharing

    async def _keep_sharing(self) -> None:
        while True:
            self._look.clear()
            try:
                wait_s = await self._share()
            except StoreUnavailable as error:
                self._note_trouble(str(error))
                wait_s = _RETRY_S
            # A change is handled at once; a store in trouble is not retried at once.
            await wait_until_set(self._clock, self._look, wait_s)

    async def _share(self) -> float:
        """Publish the partitions of this worker, and take its share; return seconds until the next look."""
        # Concurrently: far from the store, each of the two opens connections and sends scripts for seconds.
        for done in await asyncio.gather(self._prepare(), self._sharing.beat(self._owned()), return_exceptions=True):
            if isinstance(done, BaseException):
                raise done
        await self._begin()
        next_free_s = self._sharing.next_expiry_s
        owned = self._owned()
        wanted = self._wanted(owned)
        if wanted:
            next_free_s = min(next_free_s, await self._take(wanted))
        self._looked_at = self._clock.monotonic()
        self._looked.set()
        if self._limit.is_in_force:
            next_free_s = min(next_free_s, _RETRY_S)
        return min(self._settings.lease_renewal.total_seconds(), next_free_s)

    def _wanted(self, owned: Mapping[int, PartitionLoad | None]) -> list[int]:
        """Return the partitions to take now."""
        if self._is_stopping:
            return []
        is_settled = bool(owned) and len(owned) == len(self._tenures) and None not in owned.values()
        self._limit.kept(self._clock.monotonic(), is_settled=is_settled)
        free = [one for one in self._sharing.to_take() if one not in owned]
        return free[: max(0, self._limit.most - len(owned))]

    async def _prepare(self) -> None:
        if not self._is_prepared:
            await self._leases.prepare()
            self._is_prepared = True

    def _owned(self) -> dict[int, PartitionLoad | None]:
        """Return the partitions that this worker owns in the store, as far as it knows, with their work."""
        tenures = [tenure for tenure in self._tenures.values() if tenure.is_live]
        if self._giving is not None:
            tenures.append(self._giving)
        return {tenure.lease.partition: self._owner.load(tenure) for tenure in tenures}

    async def _take(self, wanted: Sequence[int]) -> float:
        """Take those of the partitions that are free; return seconds until another may be free."""
        asked_at = self._clock.monotonic()
        look = await self._leases.take(wanted, self._worker_id, self._settings.lease)
        for taken in look.taken:
            self._tenures[taken.lease.partition] = Tenure(taken.lease, asked_at, self._settings.tenure, self._clock)
            self._waiting[taken.lease.partition] = taken
        self._note_blocked(look.blocked)
        if look.taken:
            metrics.MOVES.add(len(look.taken), "taken")
            self._renew_now.set()  # with a slow store much of the lease is over already
            self._changed.set()
            self._look.set()  # publish it to the others
            await self._begin()
        return look.next_free.total_seconds() + _SOON_S if look.next_free is not None else float("inf")

    async def _begin(self) -> None:
        begun = [(taken, self._tenures[partition]) for partition, taken in self._waiting.items()]
        if begun:
            await self._owner.begin(begun)
            self._waiting.clear()

    async def _keep_giving(self) -> None:
        while True:
            await self._looked.wait()
            self._looked.clear()
            partition = None if self._is_stopping else self._sharing.to_give()
            tenure = self._tenures.get(partition) if partition is not None else None
            if tenure is not None and tenure.is_live and tenure.lease.partition not in self._waiting:
                await self._give(tenure)

    async def _give(self, tenure: Tenure) -> None:
        """Hand one partition over: first its work ends, then its lease, and then the others look for partitions."""
        partition, self._giving = tenure.lease.partition, tenure
        await self._owner.finish(tenure)
        tenure.end()
        with suppress(Retryable):  # it expires
            await self._leases.release(tenure.lease)
        self._giving = None
        self._sharing.gave(partition)
        metrics.MOVES.add(1, "handed_over")
        self._look.set()
        log.debug("partition_handed_over", partition=partition)

    async def _listen(self) -> None:
        while True:
            try:
                if await self._sharing.wait_changed():
                    self._look.set()
            except StoreUnavailable:
                await self._clock.sleep(_RETRY_S)

    # Keeping

    async def _keep_renewing(self) -> None:
        async with asyncio.TaskGroup() as renewals:
            while True:
                await wait_until_set(self._clock, self._renew_now, self._settings.lease_renewal.total_seconds())
                self._renew_now.clear()
                if self._tenures and len(self._renewing) < _RENEWALS_AT_ONCE:
                    task = renewals.create_task(self._renew(), name="leases-renewal")
                    self._renewing.add(task)
                    task.add_done_callback(self._renewing.discard)

    async def _renew(self) -> None:
        tenures = {tenure.lease: tenure for tenure in self._tenures.values() if tenure.is_live}
        parts = await self._leases.together(list(tenures))
        # Separately for each node: an unavailable node of a cluster must not end leases at another.
        renewed = await asyncio.gather(*(self._renew_part({one: tenures[one] for one in part}) for part in parts))
        if all(renewed):
            self._note_trouble("")

    async def _renew_part(self, asked: Mapping[Lease, Tenure]) -> bool:
        """Renew leases of one node, with retries while they can still be in force; return whether the node answered."""
        asked_at = self._clock.monotonic()
        deadline_s = asked_at + self._settings.tenure.total_seconds()
        while self._clock.monotonic() < deadline_s:
            try:
                async with asyncio.timeout(self._settings.tenure.total_seconds()):
                    held = await self._leases.renew(list(asked), self._settings.lease)
                break
            except (StoreUnavailable, TimeoutError) as error:
                self._note_trouble(str(error) or "The store does not answer in time")
                await self._clock.sleep(_RETRY_S)
                asked_at = self._clock.monotonic()
        else:
            return False
        self._renewed_at = self._clock.monotonic()
        for lease, tenure in asked.items():
            if lease in held:
                tenure.prove(asked_at)
        # A partition that is taking its lease again meanwhile learns from that whether the lease is lost.
        self._stop([tenure for lease, tenure in asked.items() if lease not in held and tenure.is_over(lease)])
        return True

    async def _watch_deadlines(self) -> None:
        while True:
            self._stop_late()
            now, margin_s = self._clock.monotonic(), self._settings.lease_margin.total_seconds()
            nearest = min((tenure.until for tenure in self._tenures.values() if tenure.is_live), default=float("inf"))
            # The deadline of one taken meanwhile is more than a margin away.
            await self._clock.sleep(max(_SOON_S, min(nearest - now, margin_s)))

    def _stop_late(self) -> None:
        """Stop the partitions whose leases were not renewed in time."""
        owned = sum(not tenure.has_ended for tenure in self._tenures.values())
        late = [tenure for tenure in self._tenures.values() if not tenure.has_ended and not tenure.is_live]
        if late and self._limit.lost(owned, self._clock.monotonic()):
            log.warning("leases_renewed_too_late", lost=len(late), of=owned, takes_at_most=self._limit.most)
        self._stop(late)

    def _stop(self, tenures: Iterable[Tenure]) -> None:
        stopped = [tenure for tenure in tenures if not tenure.has_ended]
        for tenure in stopped:
            tenure.end()
            if self._waiting.pop(tenure.lease.partition, None) is not None:
                self.ended(tenure)
        if stopped:
            metrics.LEASES_LOST.add(len(stopped))
            self._owner.end(stopped)

    # Logging

    async def _tell(self) -> None:
        told = 0
        while True:
            await self._changed.wait()
            await self._settled()
            owned, lost = len(self._tenures), told and not self._tenures
            if lost:
                log.warning(
                    "partitions_all_lost", before=told, hint="the store does not answer, or others took them over"
                )
            elif owned != told:
                log.info("partitions_owned", owned=owned, before=told, of=keys.PARTITIONS)
            told = owned

    async def _settled(self) -> None:
        unsettled_since = self._clock.monotonic()
        while self._changed.is_set() and self._clock.monotonic() - unsettled_since < _MOST_UNSETTLED_S:
            self._changed.clear()
            await self._clock.sleep(_SETTLED_S)

    def _note_blocked(self, blocked: frozenset[int]) -> None:
        """Log each partition once that no worker can take."""
        for partition in sorted(blocked - self._blocked):
            log.error(
                "partition_blocked",
                partition=partition,
                keys=[keys.lease(partition).decode(), keys.fence(partition).decode()],
                hint="another program wrote one of these keys; delete that key so that a worker can take the partition",
            )
        self._blocked = blocked

    def _note_trouble(self, trouble: str) -> None:
        """Log once when leases cannot be renewed, and once (empty text) when they can again."""
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                log.warning("leases_not_renewed", error=trouble)
            else:
                log.info("leases_renewed_again")
