"""Workers that come, die, flap and stop, each by the real rules of sharing and with a table that may be a moment old.

    table ──► looks (late, in any order) ──► ShareMoves ──► takes, hand-overs ──► leases ──► table

A lease is exclusive here as it is in the store; the rules must do the rest: no storm, no gap, fair shares.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from relay.core.share_moves import ShareMoves
from relay.core.shares import LiveWorker, PartitionLoad, ShareTable, shares
from tests.simulation.rules import Broken

PARTITIONS: Final = 64
LEASE_S: Final = 6.0
BEAT_S: Final = 2.0
TICK_S: Final = 0.05
"""A round trip to Redis and what a hand-over takes, with much to spare."""
LATE: Final = 0.2
"""How often a look is a tick late."""


@dataclass
class SimulatedWorker:
    """One worker. What it gives is its own for another tick, in which what is under way ends."""

    holder: ShareMoves
    since: float
    looked_at: float = float("-inf")
    due_at: float = 0.0
    owned: set[int] = field(default_factory=set)
    giving: int | None = None


class Cluster:
    """All workers, and the table and the leases in the store.

    Attributes:
        moves: partitions that were handed over from one live worker to another.
        taken: partitions that were taken in all.
        longest_gap_s: for which a partition was free that had been handed over, or whose owner had stopped in order.
        longest_outage_s: for which a partition of a killed worker was not owned.
    """

    def __init__(self, seed: int, users: Sequence[int]) -> None:
        self.draw = random.Random(seed)
        self.now = 0.0
        self.moves = self.taken = 0
        self.longest_gap_s = self.longest_outage_s = 0.0
        self.workers: dict[str, SimulatedWorker] = {}
        self._loads = {partition: PartitionLoad(users=number) for partition, number in enumerate(users)}
        self._registered: dict[str, tuple[float, float]] = {}  # until, since
        self._told: dict[int, str] = {}
        self._leases: dict[int, float] = {}  # of all that somebody has; until
        self._unowned: dict[int, tuple[float, bool]] = {}  # since when, and whether its owner was killed
        self._changed_at = 0.0

    # What happens

    def join(self, name: str) -> None:
        self.workers[name] = SimulatedWorker(ShareMoves(name, PARTITIONS, LEASE_S), self.now)

    def kill(self, name: str) -> None:
        """It renews nothing any more; what it owned is free when its leases and its registration are over."""
        for partition in self.workers.pop(name).owned:
            self._unowned[partition] = self.now, True

    def stop(self, name: str) -> None:
        """It gives everything up in order."""
        self._registered.pop(name, None)
        for partition in self.workers.pop(name).owned:
            self._free(partition)
            self._told.pop(partition, None)
        self._changed_at = self.now

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self._tick()

    # What holds

    @property
    def table(self) -> ShareTable:
        """The truth, as the table has it when everybody has told."""
        alive = LiveWorker(timedelta(), timedelta())
        owners = {partition: name for name, worker in self.workers.items() for partition in worker.owned}
        return ShareTable(PARTITIONS, dict.fromkeys(self.workers, alive), owners, self._loads)

    def most(self) -> float:
        """The largest share, in proportion to the mean or to the dearest partition, whichever is more."""
        table = self.table
        mean = sum(map(table.cost, range(PARTITIONS))) / max(1, len(table.workers))
        dearest = max(map(table.cost, range(PARTITIONS))) / mean
        return max((share.of_mean for share in shares(table).values()), default=0.0) / max(1.0, dearest)

    def demand_owned_once(self) -> None:
        owned = [partition for worker in self.workers.values() for partition in worker.owned]
        if len(owned) != len(set(owned)):
            raise Broken("two workers own one partition")

    def demand_all_owned(self) -> None:
        if self.workers and self.table.free:
            raise Broken(f"nobody owns {self.table.free}")

    # One moment

    def _tick(self) -> None:
        self.now += TICK_S
        names = list(self.workers)
        self.draw.shuffle(names)
        for name in names:
            worker = self.workers[name]
            is_told = self._changed_at >= worker.looked_at and self.draw.random() > LATE
            if is_told or self.now >= worker.due_at or worker.giving is not None:
                self._look(name, worker)
        self.demand_owned_once()

    def _look(self, name: str, worker: SimulatedWorker) -> None:
        if worker.giving is not None:
            partition, worker.giving = worker.giving, None
            worker.owned.remove(partition)
            self._free(partition)
            self.moves += 1
            worker.holder.gave(partition, self.now)
        self._beat(name, worker)
        for partition in worker.holder.to_take(self.now):
            if self._leases.get(partition, 0.0) <= self.now:
                self._take(worker, partition)
        worker.giving = worker.holder.to_give(self.now)

    def _beat(self, name: str, worker: SimulatedWorker) -> None:
        self._registered[name] = self.now + LEASE_S, worker.since
        told = {partition for partition, owner in self._told.items() if owner == name}
        if told != worker.owned or worker.looked_at < 0:
            self._changed_at = self.now
        for partition in told - worker.owned:
            del self._told[partition]
        for partition in worker.owned:
            self._told[partition] = name
            self._leases[partition] = self.now + LEASE_S
        worker.looked_at = self.now
        ends = [until for one, (until, _) in self._registered.items() if one != name and until > self.now]
        worker.due_at = min([self.now + BEAT_S, *ends])
        live = {
            one: LiveWorker(timedelta(), timedelta())
            for one, (until, _) in self._registered.items()
            if until > self.now
        }
        worker.holder.see(ShareTable(PARTITIONS, live, dict(self._told), self._loads), self.now)

    def _take(self, worker: SimulatedWorker, partition: int) -> None:
        self._leases[partition] = self.now + LEASE_S
        worker.owned.add(partition)
        worker.due_at = self.now  # it tells at once
        self.taken += 1
        since, is_killed = self._unowned.pop(partition, (self.now, False))
        if is_killed:
            self.longest_outage_s = max(self.longest_outage_s, self.now - since)
        else:
            self.longest_gap_s = max(self.longest_gap_s, self.now - since)

    def _free(self, partition: int) -> None:
        self._leases.pop(partition, None)
        self._unowned[partition] = self.now, False


def users_of(seed: int, tenants: int, users: int, heavy: int = 0) -> list[int]:
    """The watched users of each partition: tenants of sizes as they are (few large, many small), and one heavy one."""
    draw = random.Random(seed)
    weights = [1 / (number + 1) ** 0.9 for number in range(tenants)]
    found = [0] * PARTITIONS
    for weight in weights:
        found[draw.randrange(PARTITIONS)] += int(users * weight / sum(weights))
    found[draw.randrange(PARTITIONS)] += heavy
    return found
