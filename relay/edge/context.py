"""The parts of one edge that all of its streams share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.core.watching.values import NamesSnapshot
from relay.edge.auth import KeyVerifier
from relay.edge.connected_suites import SuiteSweeper
from relay.edge.hub.hub import Hub
from relay.edge.interest import LocalInterest
from relay.edge.name_budget import KeyBudgets
from relay.edge.open_calls import OpenCalls
from relay.edge.tasks import ShortTasks
from relay.edge.tenant_limits import TenantLimits
from relay.edge.unauthenticated import UnauthenticatedCalls
from relay.edge.watch_audit import WatchAudit
from relay.edge.weighted_semaphore import WeightedSemaphore
from relay.errors import StoreUnavailable
from relay.store.custody.audit import AuditLog
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.presence.connected import ConnectedSuites
from relay.store.presence.interest import Interest
from relay.store.presence.pipes import Changes
from relay.store.presence.presences import Presences
from relay.store.server import keys

if TYPE_CHECKING:
    from relay.core.presence import TenantId
    from relay.edge.settings import EdgeSettings
    from relay.ops.clock import Clock
    from relay.store.sealing.marks import Marks
    from relay.store.server.connection import Store


class EdgeContext:
    """The parts of an edge. The creator runs `hub`, `interest`, `suites` and `watch_audit`."""

    def __init__(self, store: Store, settings: EdgeSettings, marks: Marks, edge_id: str, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.tasks = ShortTasks()
        self.suite_keys = SuiteKeys(store, marks)
        self.unauthenticated = UnauthenticatedCalls(settings, self.tasks)
        self.auth = KeyVerifier(self.suite_keys, self.unauthenticated, settings)
        self.open_calls = OpenCalls(settings.streams_per_tenant)
        self.presences = Presences(store)
        limits = TenantLimits(Tenants(store), settings.tenant_names, clock)
        kept = settings.forgotten_after
        self.interest = LocalInterest(Interest(store, kept), edge_id, kept / 3, limits.names, clock)
        self.budgets = KeyBudgets(settings, clock)
        self.hub = Hub(store, self.interest, settings, clock)
        self.watch_audit = WatchAudit(AuditLog(store), settings.watch_log_every, settings.watch_goes_on_for, clock)
        self.suites = SuiteSweeper(ConnectedSuites(store, kept), self.hub, self.suite_keys, edge_id, kept / 3, clock)
        self.lookups = WeightedSemaphore(settings.lookup_names_at_once)
        self._changes = Changes(store)

    async def empty_snapshot(self, tenant_id: TenantId) -> NamesSnapshot[bytes]:
        """Return a snapshot without names, for a stream that watches no users yet: it still needs an epoch and a position.

        Raises:
            StoreUnavailable: no worker has taken the partition yet, or the store does not answer.
        """
        last = await self._changes.last(keys.partition_of(tenant_id))
        position = self.hub.position(tenant_id)
        if position is None:
            raise StoreUnavailable("No worker owns this partition yet")
        return NamesSnapshot(last, position.epoch, {}, {})
