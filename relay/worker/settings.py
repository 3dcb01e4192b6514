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
        poll_interval: between two reads of a user, when Graph's limit allows it. 5 s: a colleague's change is seen by an
            attendant before the next call is answered, and 50,000 users of a tenant still fit into Graph's limit.
        reconcile_interval: between two reads of a user whose changes Graph announces. 60 s: what a lost notification costs, for a
            twelfth of the reads.
        gather: how long users whose changes were announced wait for others to be read with, where a notification does not say
            enough by itself: half of the 200 ms within which they are promised to be read.
        subscription_size: users of one subscription; Graph's own limit is 650.
        announced_within: a change that no notification announces within this time was not announced. Graph takes a minute at most,
            and retries take theirs.
        sweep: how often lingering, expiry, staleness, set-aside users and who is to be covered are looked at.
        page_size: users in one bulk read; Graph's own limit is 650.
        reads_at_once: bulk reads of one tenant under way together. 8 of 50 ms each allow 160 reads a second, three times
            Graph's limit, and still leave a stalled tenant with few open requests.
        watch_linger: how long users are read on after the last suite has left, so that one that comes back costs nothing.
        unknown_linger: the same for names that stand for nobody: long enough for a suite to reconnect, and nothing is lost with one,
            because it cost one line of a request.
        tenant_names: distinct names that a tenant may watch; its own setting goes before. A worker keeps at most twice as many.
        names_share: of what Graph allows a tenant, what asking for names may use. A tenth is 4 requests a second, with 300 names
            each, and what was not used for half a minute at once: 40,000 names.
        lease: how long a partition is this worker's without renewal: what a killed worker costs before another takes over.
        lease_renewal: a third of it, so that one lost renewal does not lose the lease. Nor is an answer lost that takes as long as this.
        directory_found: how long a name is taken to stand for the same user. 5 minutes: people are deleted, renamed, and recreated under
            a name that was another's, and Graph does not announce it. 50,000 names cost a request every 2 s.
        directory_not_found: how soon a name that stands for nobody is asked for again, while somebody watches it. A minute: a newly
            created colleague is found after this time.
        stale_after_intervals: a page unconfirmed for so many intervals makes its users stale.
        lag: for how long Graph's servers may be behind each other: what a lesser sequence number says is not believed before. 10 s:
            not documented; notifications take so long on average.
        grant_refresh: every grant is refreshed as often, used or not, so that a dead one is found within a day.
        grant_patience: how long a refusal that may pass is tried again before the grant counts as dead.
        graph_patience: the same where Entra goes on giving tokens and only Graph refuses them. 15 minutes: Graph has refused good
            tokens for several, and mails to administrators cannot be taken back.
        contact_interval: how often contact times are written for a partition; the edges need them far less often than reads.
        heartbeat: how often each tenant's state is written for the edges, changed or not: what they take a silence by for a death. Well
            within the 15 s in which users are noticed as stale that are polled.
        changes_kept: how long entries of `changes` are kept for edges that lag.
        budget: Graph's limit.
        subscriptions: when subscriptions are made, renewed, made anew and tried again.
        push: change notifications; None: none are asked for.
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
        """Time before a lease can expire at which a worker stops what it does at Microsoft.

        A sixth of the lease: what is on its way arrives before a successor begins, also when two clocks run a little apart; and
        two renewals in a row must be late by more than half of their interval before it costs anything.
        """
        return self.lease / 6

    @property
    def tenure(self) -> timedelta:
        """Time for which a worker acts on a lease without another proof, from when it asked for the last one."""
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
    """Return the settings of a worker, from the operator's."""
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
