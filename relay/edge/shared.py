"""What all streams of one edge use."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import structlog
from opentelemetry import metrics

from relay.core.watching.watch import Outcome, Snapshot
from relay.edge.auth import Authenticator
from relay.edge.hub import Hub
from relay.edge.interest import LocalInterest
from relay.edge.limits import TenantLimits
from relay.edge.open_calls import OpenCalls
from relay.edge.pace import Paces
from relay.edge.strangers import Strangers
from relay.edge.suites import OpenSuites
from relay.edge.turns import Turns
from relay.edge.watched import WatchLog
from relay.errors import StoreUnavailable
from relay.store.custody.audit import AuditLog
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.presence.interest import Interest
from relay.store.presence.pipes import Changes
from relay.store.presence.presences import Presences
from relay.store.server import keys

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from relay.core.presence import TenantId
    from relay.edge.settings import EdgeSettings
    from relay.store.sealing.marks import Marks
    from relay.store.server.connection import Store

_log = structlog.get_logger(__name__)


class Shared:
    """The parts of an edge, made once."""

    def __init__(self, store: Store, settings: EdgeSettings, marks: Marks, edge_id: str) -> None:
        self.settings = settings
        self.suite_keys = SuiteKeys(store, marks)
        self.strangers = Strangers(settings, self.background)
        self.auth = Authenticator(self.suite_keys, self.strangers, settings)
        self.open_calls = OpenCalls(settings.streams_per_tenant)
        self.presences = Presences(store)
        limits = TenantLimits(Tenants(store), settings.tenant_names)
        self.interest = LocalInterest(Interest(store), edge_id, settings.interest_renewal, limits.names)
        self.paces = Paces(settings)
        self.hub = Hub(store, self.interest, settings)
        self.watched = WatchLog(AuditLog(store), settings.watch_log_every, settings.watch_goes_on_for)
        self.suites = OpenSuites(store, self.hub, self.suite_keys, edge_id)
        self.lookups = Turns(settings.lookup_names_at_once)
        self.counts = Counts(self)
        self._changes = Changes(store)
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def tasks(self) -> int:
        """How many tasks of streams are running."""
        return len(self._tasks)

    def background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a task of a stream that may outlive the stream's own coroutine for a moment."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def empty_snapshot(self, tenant_id: TenantId) -> Snapshot[bytes]:
        """A snapshot of no names, for a stream that watches nobody yet: it still needs an epoch and a position."""
        last = await self._changes.last(keys.partition_of(tenant_id))
        position = self.hub.position(tenant_id)
        if position is None:
            raise StoreUnavailable("No worker has taken this partition yet")
        return Snapshot(last, position.epoch, {}, {})

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task_failed", task=task.get_name(), exc_info=error)


class Counts:
    """What an operator wants to know, counted in plain integers: the fan-out has no time for more."""

    def __init__(self, shared: Shared) -> None:
        self.streams = 0
        self._shared = shared
        self._outcomes: Counter[Outcome] = Counter()
        self._deliveries = self._batches = self._slow = 0
        meter = metrics.get_meter("relay.edge")
        gauge, counter = meter.create_observable_gauge, meter.create_observable_counter
        gauge("relay.edge.streams", [self._of(lambda: self.streams)], description="Open streams")
        gauge("relay.edge.names", [self._of(lambda: shared.interest.names)], description="Names watched here")
        counter("relay.edge.deliveries", [self._of(lambda: self._deliveries)], description="Answers sent to streams")
        counter("relay.edge.batches", [self._of(lambda: self._batches)], description="Responses that carried them")
        counter("relay.edge.slow_watchers", [self._of(lambda: self._slow)], description="Streams ended: not reading")
        counter("relay.edge.starts", [self._by_outcome], description="Beginnings of streams, by outcome")

    def sent(self, deliveries: int, batches: int) -> None:
        """Answers go out."""
        self._deliveries += deliveries
        self._batches += batches

    def began(self, outcome: Outcome) -> None:
        """A stream began, or began anew."""
        self._outcomes[outcome] += 1

    def slow(self) -> None:
        """A stream was ended because its suite did not read."""
        self._slow += 1

    def _of(self, read: Any) -> Any:
        return lambda _options: [metrics.Observation(read())]

    def _by_outcome(self, _options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        return [metrics.Observation(n, {"outcome": outcome.name.lower()}) for outcome, n in self._outcomes.items()]
