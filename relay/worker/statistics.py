"""A snapshot of a worker: its partitions and the users that it watches, as immutable values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.core.consent.tenant import TenantState
    from relay.core.presence import Name, TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStatistics:
    """One tenant at work.

    Attributes:
        state: the tenant's state in this worker.
        watched: edge -> the names that it watches.
        polled: number of users who are read at the full rate.
        covered: number of users who are read less often, because their changes are announced.
        due: number of users whose next read is due or under way.
    """

    state: TenantState
    watched: Mapping[str, frozenset[Name]]
    polled: int
    covered: int
    due: int

    def watchers(self, name: Name) -> int:
        """Return how many edges watch a name."""
        return sum(name in names for names in self.watched.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStatistics:
    """One owned partition.

    Attributes:
        begun: time at which its work began, by the worker's monotonic clock; a different time means a different
            ownership.
        position: inbox position up to which hints were processed.
        is_read: whether all tenants of the beginning are at work.
        tenants: tenant id -> its statistics, for the tenants at work.
    """

    begun: float
    position: bytes
    is_read: bool
    tenants: Mapping[TenantId, TenantStatistics]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatistics:
    """One worker at one moment.

    Attributes:
        partitions: number -> an owned partition.
    """

    partitions: Mapping[int, PartitionStatistics]
