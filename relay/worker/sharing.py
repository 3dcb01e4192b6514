"""The worker's row in the table of workers: publishes its partitions, and decides which ones to take and hand over.

    beat       every third of a lease, and at once when a worker announces a change
    to_take    the free partitions that the plan assigns to this worker
    to_give    one partition that another worker should have; the next one after that was taken

The rules are in the core (`core.share_moves`), the table is in the store (`presence.workers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.core.share_moves import ShareMoves
from relay.ops.clock import SYSTEM, Clock
from relay.store.presence.workers import SharesChanged, Workers
from relay.store.server import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.core.shares import PartitionLoad, ShareTable
    from relay.store.server.connection import Store
    from relay.worker.settings import WorkerSettings
    from relay.worker.store_clock import StoreClock

_SOON_S: Final = 0.01
"""Time after which the store has dropped an expired registration."""


class Sharing:
    """The registration of this worker, and the table that it read last."""

    def __init__(
        self, store: Store, settings: WorkerSettings, worker_id: str, store_clock: StoreClock, clock: Clock = SYSTEM
    ) -> None:
        self._workers = Workers(store)
        self._changed = SharesChanged(store)
        self._lease = settings.lease
        self._worker_id = worker_id
        self._clock = clock
        self._store_clock = store_clock
        self._announced: set[int] | None = None
        self._holder = ShareMoves(worker_id, keys.PARTITIONS, settings.lease.total_seconds())

    @property
    def table(self) -> ShareTable:
        """The table as it was at the last beat."""
        return self._holder.table

    async def beat(self, owned: Mapping[int, PartitionLoad | None]) -> None:
        """Renew this worker's registration with its partitions, and read the table. Other workers are notified of a change.

        Raises:
            StoreUnavailable: the table is unchanged.
        """
        announce = self._announced is None or self._announced != owned.keys()
        asked_at = self._clock.monotonic()
        table = await self._workers.beat(self._worker_id, self._lease, owned, announce=announce)
        self._store_clock.observe(table.read_ms, asked_at, self._clock.monotonic())
        self._announced = set(owned)
        self._holder.see(table, self._clock.monotonic())

    def to_take(self) -> list[int]:
        """Return the free partitions that this worker should take."""
        return self._holder.to_take(self._clock.monotonic())

    def to_give(self) -> int | None:
        """Return the partition that this worker should hand over now; None without one."""
        return self._holder.to_give(self._clock.monotonic())

    def gave(self, partition: int) -> None:
        """Note that a partition was handed over."""
        self._holder.gave(partition, self._clock.monotonic())

    @property
    def next_expiry_s(self) -> float:
        """Seconds until the first registration of another worker expires unless renewed."""
        others = (worker for name, worker in self.table.workers.items() if name != self._worker_id)
        return min((other.expires_in.total_seconds() + _SOON_S for other in others), default=float("inf"))

    async def wait_changed(self) -> bool:
        """Wait until a worker announces a change, at most a second; return whether one did. Raises StoreUnavailable."""
        return await self._changed.wait()

    async def leave(self) -> None:
        """Remove this worker's registration; the others take its partitions at once. Raises StoreUnavailable."""
        await self._workers.leave(self._worker_id)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._changed.aclose()
