"""The partitions in use and the tenants with open streams: joining, leaving, and how far each partition was delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.edge.hub.history import Partition
from relay.edge.hub.tenants import Listener, TenantView
from relay.store.server import keys

if TYPE_CHECKING:
    from relay.core.presence import TenantId
    from relay.core.watching.values import Position
    from relay.edge.settings import EdgeSettings


class Registry:
    """Open streams by tenant and partition. The two dictionaries stay the same objects: the fan-out reads them directly.

    Attributes:
        partitions: number -> a partition with open streams.
        tenants: tenant id -> a tenant with open streams.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        self.partitions: dict[int, Partition] = {}
        self.tenants: dict[TenantId, TenantView] = {}
        self._settings = settings

    def add(self, tenant_id: TenantId, stream: Listener, now: float) -> tuple[TenantView, Partition]:
        """Add a stream, and its tenant and partition if it is the first there."""
        partition = self.partitions.setdefault(number := keys.partition_of(tenant_id), Partition(number))
        view = self.tenants.get(tenant_id)
        if view is None:
            view = self.tenants[tenant_id] = TenantView(tenant_id, number, self._settings, now)
            partition.views[view] = None
        view.add(stream)
        return view, partition

    def remove(self, tenant_id: TenantId, stream: Listener) -> int | None:
        """Remove a stream, if it is there; return the number of its partition if that has no more streams."""
        view = self.tenants.get(tenant_id)
        if view is None:
            return None
        view.remove(stream)
        if view.streams:
            return None
        del self.tenants[tenant_id]
        partition = self.partitions[view.partition]
        del partition.views[view]
        if partition.views:
            return None
        del self.partitions[view.partition]
        return view.partition

    def partition_of(self, tenant_id: TenantId) -> Partition | None:
        """Return the partition of a tenant with open streams."""
        view = self.tenants.get(tenant_id)
        return self.partitions.get(view.partition) if view else None

    def position(self, tenant_id: TenantId) -> Position | None:
        """Return the position up to which entries were delivered to the tenant's streams; None while its partition is not read."""
        partition = self.partition_of(tenant_id)
        return partition.position if partition else None

    def sweep(self, now: float) -> None:
        """Recompute the freshness of each tenant; wake the streams of a tenant that became stale or fresh again."""
        for view in self.tenants.values():
            view.judge(now)
