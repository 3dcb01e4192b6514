"""A worker at one moment: what it owns and watches, as values that do not change with it."""

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
        state: as it is acted on.
        watched: edge -> the names that it watches.
        polled: users who are read at the full rate.
        covered: users who are read seldom, because their changes are announced.
    """

    state: TenantState
    watched: Mapping[str, frozenset[Name]]
    polled: int
    covered: int

    def watchers(self, name: Name) -> int:
        """Return how many edges watch a name."""
        return sum(name in names for names in self.watched.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStatistics:
    """One owned partition.

    Attributes:
        begun: when its work began, by the worker's monotonic clock: another one is another ownership.
        position: up to which its inbox was taken in.
        is_read: whether all tenants that there were at the beginning are at work.
        tenants: tenant id -> what is known of it, of the tenants at work.
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
