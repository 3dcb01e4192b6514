"""Fair shares of the partitions: which worker has which, by their cost, with few moves. (Pure.)

Every worker sees the same table and computes the same plan from it, so there is no leader. Two that see different tables for a moment
can only disagree about a move: a lease decides who owns a partition.

    free partitions     go to the worker with the smallest cost, the most expensive partition first
    owned partitions    stay, until some worker's cost differs from the mean by more than is tolerated
    moves               go from the worker with the greatest cost to the one with the smallest, and only if that one then has less than
                        the giver: each move makes shares more alike, so moves come to an end
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOLERATED: Final = 0.15
"""The part of the mean by which a worker's cost may differ before partitions begin to move. A move costs a read of all its users, so
small differences, which come and go, are left alone."""
SETTLED: Final = 0.05
"""The part of the mean at which partitions that have begun to move come to rest: so the next difference must grow first."""
EMPTY_COST: Final = 100
"""The cost of a partition without users: its lease and its streams. It keeps shares fair by number where few users are watched, who
would else move partitions as they come and go."""
NOTIFICATION_COST: Final = 30
"""The cost of one notification a minute, in watched users who are polled each 5 s: a notification is decrypted (about 1 ms), a page of
650 users is read in about 1.2 ms."""


@dataclass(frozen=True, slots=True)
class PartitionLoad:
    """The work of one partition, in plain numbers that its owner counts."""

    users: int = 0
    """Watched users who are read."""
    notifications: int = 0
    """Notifications a minute."""

    @property
    def cost(self) -> int:
        """The cost of owning the partition; one watched user costs 1."""
        return EMPTY_COST + self.users + NOTIFICATION_COST * self.notifications


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker's registration, by the store's clock."""

    age: timedelta
    """Time since it registered."""
    expires_in: timedelta
    """Time until it counts as dead unless it says again that it lives."""


@dataclass(frozen=True, slots=True)
class ShareTable:
    """The table that all workers see.

    Attributes:
        partitions: how many there are; they are numbered from 0.
        workers: name -> registration, of those that live.
        owners: partition -> the worker that says it owns it, which may have died since.
        loads: partition -> its work as its last owner counted it.
        read_ms: the store's time at which it was read, in ms since 1970.
    """

    partitions: int
    workers: Mapping[str, LiveWorker] = field(default_factory=dict)
    owners: Mapping[int, str] = field(default_factory=dict)
    loads: Mapping[int, PartitionLoad] = field(default_factory=dict)
    read_ms: int = 0

    def owner(self, partition: int) -> str | None:
        """Return the live worker that owns a partition; None for a free one."""
        owner = self.owners.get(partition)
        return owner if owner in self.workers else None

    @property
    def free(self) -> list[int]:
        """The partitions that no live worker owns."""
        return [partition for partition in range(self.partitions) if self.owner(partition) is None]

    def cost(self, partition: int) -> int:
        """Return the cost of owning a partition; that of an empty one when nobody has counted yet."""
        return self.loads.get(partition, PartitionLoad()).cost


@dataclass(frozen=True, slots=True)
class Share:
    """One worker's part of the work."""

    partitions: int
    users: int
    of_mean: float
    """Its cost in proportion to the mean of all workers: 1.0 is exactly fair."""
    cost: int = 0
    """The cost of its partitions; one watched user costs 1."""


def shares(table: ShareTable) -> dict[str, Share]:
    """Return each live worker's share as it is at present."""
    owned: dict[str, list[int]] = {worker: [] for worker in table.workers}
    for partition in range(table.partitions):
        owner = table.owner(partition)
        if owner is not None:
            owned[owner].append(partition)
    costs = {worker: sum(map(table.cost, mine)) for worker, mine in owned.items()}
    mean = sum(costs.values()) / len(costs) if costs else 0.0
    return {
        worker: Share(
            partitions=len(mine),
            users=sum(table.loads.get(partition, PartitionLoad()).users for partition in mine),
            of_mean=costs[worker] / mean if mean else 0.0,
            cost=costs[worker],
        )
        for worker, mine in owned.items()
    }


def plan(table: ShareTable, tolerated: float = TOLERATED) -> dict[int, str]:
    """Return partition -> the worker that is to have it; empty without live workers.

    Args:
        table: as all workers see it.
        tolerated: the part of the mean by which a worker's cost may differ.
    """
    if not table.workers:
        return {}
    planned: dict[str, set[int]] = {worker: set() for worker in sorted(table.workers)}
    costs = [table.cost(partition) for partition in range(table.partitions)]
    totals = Counter(dict.fromkeys(planned, 0))
    free = set(table.free)
    for partition in sorted(range(table.partitions), key=lambda one: (one in free, -costs[one], one)):
        owner = table.owner(partition)
        if owner is None:
            owner = min(totals, key=lambda worker: (totals[worker], len(planned[worker]), worker))
        planned[owner].add(partition)
        totals[owner] += costs[partition]
    _even_out(planned, totals, costs, tolerated)
    return {partition: worker for worker, mine in planned.items() for partition in mine}


def _even_out(planned: dict[str, set[int]], totals: Counter[str], costs: Sequence[int], tolerated: float) -> None:
    """Move partitions from the worker with the most to the one with the least until all are near the mean.

    A worker with the most that can give nothing, because each of its partitions is too dear for the others, is left out, and the
    mean is that of the others: one heavy partition must not have them share out the rest to the last user.
    """
    rest = sorted(totals)
    while len(rest) > 1:
        mean = sum(totals[worker] for worker in rest) / len(rest)
        most = max(rest, key=lambda worker: (totals[worker], worker))
        least = min(rest, key=lambda worker: (totals[worker], worker))
        if totals[most] <= mean * (1 + tolerated) and totals[least] >= mean * (1 - tolerated):
            return
        gap = totals[most] - totals[least]
        fitting = [partition for partition in planned[most] if costs[partition] < gap]
        if not fitting:
            rest.remove(most)
            continue
        best = min(fitting, key=lambda partition: (abs(2 * costs[partition] - gap), partition))
        planned[most].remove(best)
        planned[least].add(best)
        totals[most] -= costs[best]
        totals[least] += costs[best]


def to_take(table: ShareTable, me: str) -> list[int]:
    """Return the free partitions that this worker is to take."""
    free = table.free
    planned = plan(table) if free else {}
    return [partition for partition in free if planned.get(partition) == me]


def to_give(table: ShareTable, me: str, *, is_moving: bool = False) -> list[int]:
    """Return the partitions that this worker owns and another is to have, the dearest first.

    Given one by one, with a new plan after each, none comes back: the receiver has less than the giver afterwards.

    Args:
        table: as all workers see it.
        me: this worker.
        is_moving: whether it has just given one: then it goes on until shares are `SETTLED`.
    """
    planned = plan(table, SETTLED if is_moving else TOLERATED)
    mine = [partition for partition, worker in planned.items() if worker != me and table.owner(partition) == me]
    return sorted(mine, key=lambda partition: (-table.cost(partition), partition))
