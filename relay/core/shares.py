"""Assigns partitions to workers in fair shares, by cost, with few moves. (Pure.)

Every worker sees the same table and computes the same plan from it, so there is no leader. Workers that see different
tables for a moment can only disagree about a move: a lease decides which worker owns a partition.

    free partitions     go to the worker with the smallest cost, the most expensive partition first
    owned partitions    stay, until some worker's cost differs from the mean by more than `TOLERATED`
    moves               go from the worker with the greatest cost to the one with the smallest, and only if the receiver
                        then has less than the giver: each move makes the shares more equal, so moves come to an end.
                        Workers hand over one partition at a time, so each move alone must do that, not only all together
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

TOLERATED: Final = 0.15
"""The part of the mean by which a worker's cost may differ before partitions begin to move. A move costs a read of all its users, so
small differences, which come and go, cause no move."""
SETTLED: Final = 0.05
"""The part of the mean at which moves stop once begun. It is smaller, so that only a new difference starts moves again."""
EMPTY_COST: Final = 100
"""The cost of a partition without users: its lease and its streams. It keeps shares fair by number where few users are
watched: otherwise a few users who come and go would move partitions."""
NOTIFICATION_COST: Final = 30
"""The cost of one notification a minute, in watched users who are polled every 5 s: a notification is decrypted (about
1 ms), a page of 650 users is read in about 1.2 ms."""


@dataclass(frozen=True, slots=True)
class PartitionLoad:
    """The work of one partition, as its owner counts it."""

    users: int = 0
    """Number of watched users who are read."""
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
    """Time until it counts as dead, unless it renews its registration."""


@dataclass(frozen=True, slots=True)
class ShareTable:
    """The table that all workers see.

    Attributes:
        partitions: number of partitions; they are numbered from 0.
        workers: name -> registration, of the live workers.
        owners: partition -> the worker that registered it as owned; the worker may have died since.
        loads: partition -> its work as its last owner counted it.
        read_ms: time at which the table was read, in ms since 1970 by the store's clock.
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
        """Return the cost of owning a partition; the cost of an empty one while no owner has counted it."""
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
    """Return the present share of each live worker."""
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
    """Return partition -> the worker that is to have it in the end; empty without live workers.

    Args:
        table: as all workers see it.
        tolerated: the part of the mean by which a worker's cost may differ from it.
    """
    assigned = _Assignment(table)
    assigned.even_out(range(table.partitions), tolerated)
    return assigned.owners()


def plan_free(table: ShareTable) -> dict[int, str]:
    """Return free partition -> the worker that is to take it; empty without live workers. Owned partitions stay where they are."""
    free = frozenset(table.free)
    if not free:
        return {}
    assigned = _Assignment(table)
    assigned.even_out(free, TOLERATED)
    return {partition: worker for partition, worker in assigned.owners().items() if partition in free}


def to_take(table: ShareTable, me: str) -> list[int]:
    """Return the free partitions that this worker is to take."""
    return sorted(partition for partition, worker in plan_free(table).items() if worker == me)


def to_give(table: ShareTable, me: str, *, is_moving: bool = False) -> list[int]:
    """Return the partitions that this worker is to hand over, the most expensive first.

    They are those that another worker should have in the end, except those that would make shares more equal only after
    other moves. So the receiver of each has less than the giver afterwards, no partition returns, and moves come to an end.

    Args:
        table: as all workers see it.
        me: this worker.
        is_moving: whether this worker has just handed one over. It then continues until shares are within `SETTLED`.
    """
    assigned = _Assignment(table)
    gap = assigned.gap(me)
    first = assigned.even_out(range(table.partitions), SETTLED if is_moving else TOLERATED)
    owners = assigned.owners()
    mine = [partition for partition in owners if table.owner(partition) == me]
    moved = [partition for partition in mine if owners[partition] != me and table.cost(partition) < gap]
    if not moved and first in mine:
        moved = [first]  # it moves first and returns later, and nothing else can move before
    return sorted(moved, key=lambda partition: (-table.cost(partition), partition))


class _Assignment:
    """Partitions by worker. At first owned partitions are where they are, and free ones go to the worker with the smallest cost."""

    def __init__(self, table: ShareTable) -> None:
        self._costs = [table.cost(partition) for partition in range(table.partitions)]
        self._of: dict[str, set[int]] = {worker: set() for worker in sorted(table.workers)}
        self._totals = Counter(dict.fromkeys(self._of, 0))
        if not self._of:
            return
        free = set(table.free)
        for partition in sorted(range(table.partitions), key=lambda one: (one in free, -self._costs[one], one)):
            owner = table.owner(partition)
            if owner is None:
                owner = min(self._totals, key=lambda worker: (self._totals[worker], len(self._of[worker]), worker))
            self._of[owner].add(partition)
            self._totals[owner] += self._costs[partition]

    def owners(self) -> dict[int, str]:
        """Return partition -> its worker; empty without workers."""
        return {partition: worker for worker, mine in self._of.items() for partition in mine}

    def gap(self, worker: str) -> int:
        """Return by how much the cost of a worker exceeds the smallest one."""
        return self._totals[worker] - min(self._totals.values(), default=0)

    def even_out(self, movable: Collection[int], tolerated: float) -> int | None:
        """Move partitions from the worker with the most to the one with the least until all are near the mean.

        A worker with the most may have only partitions that are too expensive for the others. It is left out then, and the
        mean is that of the others: one heavy partition must not make them equalise the rest down to the last user.

        Returns:
            The partition that was moved first; None if all are where they were.
        """
        totals, rest, first = self._totals, sorted(self._totals), None
        while len(rest) > 1:
            mean = sum(totals[worker] for worker in rest) / len(rest)
            most = max(rest, key=lambda worker: (totals[worker], worker))
            least = min(rest, key=lambda worker: (totals[worker], worker))
            if totals[most] <= mean * (1 + tolerated) and totals[least] >= mean * (1 - tolerated):
                break
            gap = totals[most] - totals[least]
            fitting = [
                partition for partition in self._of[most] if partition in movable and self._costs[partition] < gap
            ]
            if not fitting:
                rest.remove(most)
                continue
            best = min(fitting, key=lambda partition: (abs(2 * self._costs[partition] - gap), partition))
            self._move(best, most, least)
            first = best if first is None else first
        return first

    def _move(self, partition: int, giver: str, receiver: str) -> None:
        self._of[giver].remove(partition)
        self._of[receiver].add(partition)
        self._totals[giver] -= self._costs[partition]
        self._totals[receiver] += self._costs[partition]
