"""The one place where tests reach into a worker: for a race that nothing from outside can arrange."""

from __future__ import annotations

from relay.core.presence import TenantId
from relay.store.server import keys
from relay.worker.partition import OwnedPartition
from relay.worker.tenant.loop import TenantWorker
from relay.worker.tenant.parts import Parts
from relay.worker.worker import Worker


def partition_of(worker: Worker, tenant: TenantId) -> OwnedPartition:
    """Return a tenant's partition, which the worker owns."""
    return worker._owned[keys.partition_of(tenant)][0]


def tenant_of(worker: Worker, tenant: TenantId) -> TenantWorker:
    """Return a tenant's work."""
    return partition_of(worker, tenant)._tenants[tenant][0]


def parts_of(worker: Worker, tenant: TenantId) -> Parts:
    """Return what a tenant's work consists of."""
    return tenant_of(worker, tenant)._parts
