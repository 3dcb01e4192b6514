"""The relay's own processes for operators: workers with their leases and cost, and edges with their streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.core.consent.tenant import TenantState
from relay.core.shares import PartitionLoad, shares
from relay.store.custody.tenants import Tenants
from relay.store.presence.connected import ConnectedSuites
from relay.store.presence.workers import Workers
from relay.store.server import keys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from relay.store.presence.connected import EdgeStreams
    from relay.store.server.connection import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """One live worker.

    Attributes:
        name: of its process.
        age: time since it registered.
        partitions: the numbers of the partitions that it owns.
        users: watched users in these partitions.
        notifications: change notifications a minute in them.
        cost: cost of these partitions; one watched user costs 1.
        of_mean: its cost in proportion to the mean of all workers.
    """

    name: str
    age: timedelta
    partitions: tuple[int, ...]
    users: int
    notifications: int
    cost: int
    of_mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFleet:
    """All workers.

    Attributes:
        workers: the live workers, by name.
        free: partitions that no live worker owns.
        partitions: how many partitions there are.
        is_needed: whether there is a tenant to read.
    """

    workers: Sequence[WorkerRow]
    free: tuple[int, ...]
    partitions: int
    is_needed: bool


def in_ranges(partitions: Sequence[int]) -> list[str]:
    """Return ascending numbers as short texts: `0–3` for consecutive ones."""
    ranges: list[tuple[int, int]] = []
    for number in partitions:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = ranges[-1][0], number
        else:
            ranges.append((number, number))
    return [f"{first}" if first == last else f"{first}–{last}" for first, last in ranges]


async def read_workers(store: Store, *, is_needed: bool) -> WorkerFleet:
    """Read the table of workers, in one round trip.

    Args:
        store: the relay's store.
        is_needed: whether there is a tenant to read; before the first tenant no worker is necessary.
    """
    table = await Workers(store).table()
    owned: dict[str, list[int]] = {name: [] for name in table.workers}
    for partition in range(table.partitions):
        if (owner := table.owner(partition)) is not None:
            owned[owner].append(partition)
    rows = [
        WorkerRow(
            name=name,
            age=table.workers[name].age,
            partitions=tuple(owned[name]),
            users=share.users,
            notifications=sum(table.loads.get(one, PartitionLoad()).notifications for one in owned[name]),
            cost=share.cost,
            of_mean=share.of_mean,
        )
        for name, share in sorted(shares(table).items())
    ]
    return WorkerFleet(workers=rows, free=tuple(table.free), partitions=keys.PARTITIONS, is_needed=is_needed)


async def read_edges(store: Store) -> list[EdgeStreams]:
    """Read the open streams of each edge, by name: one command for each tenant, many in a round trip."""
    tenants = await Tenants(store).list()
    return await ConnectedSuites(store).by_edge(
        [tenant.tenant_id for tenant in tenants if tenant.state is not TenantState.REMOVED]
    )
