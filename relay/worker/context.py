"""The connections, repositories and settings that all tenants of a worker share. Built once, passed down, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.store.custody.tenants import Tenants
from relay.store.presence.enforcement import Enforcement
from relay.store.presence.explanations import Explanations
from relay.store.presence.handovers import Handovers
from relay.store.presence.interest import Interest
from relay.store.presence.leases import Leases
from relay.store.presence.pipes import Inbox
from relay.store.presence.presences import Presences
from relay.store.presence.push import PushStatuses
from relay.store.presence.subscriptions import Subscriptions
from relay.worker.store_clock import StoreClock, WorkerClock
from relay.worker.tenant.trouble import FailedCalls

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.ops.clock import Clock
    from relay.store.custody.vault import Vault
    from relay.store.server.connection import Store
    from relay.worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The objects of the worker that a tenant's work needs; those of the partition are in `Ownership`.

    Attributes:
        worker_id: name of this worker, for leases and explanations.
        settings: settings of the worker.
        clock: clock for all waiting and measuring here; its time of day is that of `store_clock`.
        store_clock: the time of day that workers share, for times that one worker writes and another reads.
        vault: the grants.
        tenants: records of the tenants.
        presences: answers, names and contact times.
        interest: names that edges watch.
        subscriptions: records of the subscriptions at Graph.
        push_statuses: the push status of each tenant.
        enforcement: marks of permission changes that are not in force yet.
        explanations: answers to questions about one user.
        inbox: hints for partitions.
        handovers: state that former owners left for the next one.
        leases: leases on partitions.
        failed_calls: logs failed calls of Graph and Entra.
        wake_alerts: triggers the sending of notices.
    """

    worker_id: str
    settings: WorkerSettings
    clock: Clock
    store_clock: StoreClock
    vault: Vault
    tenants: Tenants
    presences: Presences
    interest: Interest
    subscriptions: Subscriptions
    push_statuses: PushStatuses
    enforcement: Enforcement
    explanations: Explanations
    inbox: Inbox
    handovers: Handovers
    leases: Leases
    failed_calls: FailedCalls
    wake_alerts: Callable[[], None]

    @classmethod
    def of(
        cls,
        store: Store,
        vault: Vault,
        settings: WorkerSettings,
        worker_id: str,
        clock: Clock,
        wake_alerts: Callable[[], None],
    ) -> Resources:
        """Return the resources over one store."""
        store_clock = StoreClock(clock)
        clock = WorkerClock(clock, store_clock)
        return cls(
            worker_id=worker_id,
            settings=settings,
            clock=clock,
            store_clock=store_clock,
            vault=vault,
            tenants=Tenants(store),
            presences=Presences(store),
            interest=Interest(store),
            subscriptions=Subscriptions(store),
            push_statuses=PushStatuses(store),
            enforcement=Enforcement(store),
            explanations=Explanations(store),
            inbox=Inbox(store),
            handovers=Handovers(store),
            leases=Leases(store),
            failed_calls=FailedCalls(clock),
            wake_alerts=wake_alerts,
        )
