"""The worker's settings, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from relay.alerts.settings import AlertSettings
from relay.core.consent.grants import GRAPH_PATIENCE, PATIENCE
from relay.core.push.subscription import MAX_USERS, SubscriptionPolicy
from relay.core.push.watchdog import ANNOUNCED_WITHIN
from relay.core.reading.budget import BudgetSettings
from relay.core.reading.ordering import LAG_S
from relay.core.watching.limits import MOST_NAMES

if TYPE_CHECKING:
    from relay.graph.push.settings import PushSettings
    from relay.settings.groups.edge import WatchConfig
    from relay.settings.groups.reading import PollConfig, SubscriptionConfig, WorkerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Settings of one worker.

    Attributes:
        poll_interval: time between two reads of a user, when Graph's limit allows it. 5 s: a colleague's change is seen
            by an attendant before the next call is answered, and 50,000 users of a tenant still fit into Graph's limit.
        reconcile_interval: time between two reads of a user whose changes Graph announces. 60 s: the delay after a lost
            notification, for a twelfth of the reads.
        gather: time that announced users wait to be read together with others, when a notification alone does not
            contain enough: half of the 200 ms within which they must be read.
        subscription_size: users of one subscription; Graph's own limit is 650.
        announced_within: a change that no notification announces within this time was not announced. Graph takes a minute at most,
            and retries take longer.
        sweep: interval of checking lingering, expiry, staleness, set-aside users and coverage.
        page_size: users in one bulk read; Graph's own limit is 650.
        reads_at_once: bulk reads of one tenant under way together. 8 of 50 ms each allow 160 reads a second, three times
            Graph's limit, and still leave a stalled tenant with few open requests.
        watch_linger: time that users are still read after the last suite has left, so that a suite that returns causes
            no request.
        unknown_linger: the same for names that stand for no user: long enough for a suite to reconnect. Forgetting such
            a name loses little, because looking it up takes one line of a request.
        tenant_names: distinct names that a tenant may watch; the tenant's setting takes precedence. A worker keeps at
            most twice as many.
        names_share: share of Graph's limit for a tenant that requests for names may use. A tenth is 4 requests a
            second, with 300 names each; the unused part of half a minute may be used at once: 40,000 names.
        lease: time that a partition belongs to this worker without renewal. After a worker is killed, another takes
            over this much later.
        lease_renewal: a third of the lease, so that one lost renewal, or one answer that takes as long as this, loses
            no lease.
        directory_found: time for which a name stands for the same user. 5 minutes: users are deleted, renamed, and
            recreated with the name of another, and Graph does not announce it. 50,000 names cost a request every 2 s.
        directory_not_found: time after which a name without a user is looked up again, while it is watched. A minute: a
            newly created user is found after this time.
        stale_after_intervals: number of intervals without confirmation after which the users of a page are stale.
        lag: longest time that one of Graph's servers may lag behind another: a smaller sequence number is not believed
            before. 10 s: not documented; the average notification takes this long.
        grant_refresh: interval of refreshing each grant, used or not, so that a dead one is found within a day.
        grant_patience: time for which a refusal that may pass is retried before the grant counts as dead.
        graph_patience: the same when Entra still issues tokens and only Graph refuses them. 15 minutes: Graph has
            refused valid tokens for several minutes, and mails to administrators cannot be recalled.
        contact_interval: interval of writing contact times for a partition; the edges need them far less often than
            reads.
        heartbeat: interval of writing each tenant's state for the edges, changed or not. Edges take a longer silence
            for a dead worker. Well within the 15 s in which stale polled users are noticed.
        changes_kept: time for which entries of `changes` are kept for edges that lag.
        budget: Graph's limit.
        subscriptions: times at which subscriptions are created, renewed, replaced and retried.
        push: change notifications; None: no subscriptions.
        alerts: e-mail and signed notices to administrators.
    """

    poll_interval: timedelta = timedelta(seconds=5)
    reconcile_interval: timedelta = timedelta(seconds=60)
    gather: timedelta = timedelta(milliseconds=100)
    subscription_size: int = MAX_USERS
    announced_within: timedelta = ANNOUNCED_WITHIN
    sweep: timedelta = timedelta(seconds=1)
    page_size: int = 650
    reads_at_once: int = 8
    watch_linger: timedelta = timedelta(minutes=5)
    unknown_linger: timedelta = timedelta(seconds=10)
    tenant_names: int = MOST_NAMES
    names_share: float = 0.1
    lease: timedelta = timedelta(seconds=6)
    lease_renewal: timedelta = timedelta(seconds=2)
    directory_found: timedelta = timedelta(minutes=5)
    directory_not_found: timedelta = timedelta(minutes=1)
    stale_after_intervals: int = 3
    lag: timedelta = timedelta(seconds=LAG_S)
    grant_refresh: timedelta = timedelta(hours=24)
    grant_patience: timedelta = PATIENCE
    graph_patience: timedelta = GRAPH_PATIENCE
    contact_interval: timedelta = timedelta(seconds=1)
    heartbeat: timedelta = timedelta(seconds=5)
    changes_kept: timedelta = timedelta(minutes=10)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    subscriptions: SubscriptionPolicy = field(default_factory=SubscriptionPolicy)
    push: PushSettings | None = None
    alerts: AlertSettings = field(default_factory=AlertSettings)

    @property
    def lease_margin(self) -> timedelta:
        """Time before a lease can expire at which a worker stops its requests to Microsoft.

        A sixth of the lease: requests under way arrive before a successor begins, even if two clocks run at slightly
        different rates, and work stops only when two renewals in a row are late by more than half of their interval.
        """
        return self.lease / 6

    @property
    def tenure(self) -> timedelta:
        """Time for which a worker acts on a lease without another confirmation, counted from the last confirmed request."""
        return self.lease - self.lease_margin


def worker_settings(
    worker: WorkerConfig,
    poll: PollConfig,
    watch: WatchConfig,
    subscription: SubscriptionConfig,
    *,
    push: PushSettings | None,
    alerts: AlertSettings,
) -> WorkerSettings:
    """Return the settings of a worker, from the operator's settings."""
    return WorkerSettings(
        poll_interval=poll.interval,
        reconcile_interval=poll.reconcile_interval,
        subscription_size=subscription.users,
        announced_within=subscription.announced_within,
        page_size=poll.page_size,
        watch_linger=watch.linger,
        unknown_linger=watch.unknown_linger,
        tenant_names=watch.tenant_names,
        lease=worker.lease,
        lease_renewal=worker.lease / 3,
        grant_refresh=worker.grant_refresh,
        budget=BudgetSettings(limit=poll.limit, headroom=poll.headroom, count_ids=poll.count_ids),
        subscriptions=subscription.policy(),
        push=push,
        alerts=alerts,
    )
