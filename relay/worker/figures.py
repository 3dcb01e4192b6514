"""Figures of a worker's tenants, for metrics: counted in one pass every few seconds at most, independent of scrapes."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import TenantState
from relay.core.presence import Status, TenantId
from relay.ops.instruments import EXPORTED
from relay.worker import metrics
from relay.worker.push.metrics import SUBSCRIPTIONS, SubscriptionCondition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from relay.ops.instruments import Gauge, Read, Reading

_FRESH_S: Final = 5.0
"""Greatest age of the figures. A pass over 5,000 tenants takes some 50 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFigures:
    """The figures of one tenant at one moment.

    Attributes:
        state: the tenant's state in this worker.
        reported: the trouble that was reported to the edges.
        pushed: number of users who are read less often, because Graph announces their changes.
        polled: number of other users who are read.
        interval_s: seconds between two reads of a polled user.
        is_slowed: whether that interval is longer than the setting.
        is_blocked: whether Graph requested a wait that is not over.
        budget_left: the share of Graph's budget that is left, 0 to 1.
        contact_age_s: seconds since Graph confirmed everything that suites see; None before that.
        grants: state of each grant, and seconds since its last refresh; None for a dead grant.
        subscriptions: condition of the subscription of each grant that has one or should have one.
    """

    state: TenantState
    reported: Status
    pushed: int
    polled: int
    interval_s: float
    is_slowed: bool
    is_blocked: bool
    budget_left: float
    contact_age_s: float | None
    grants: Sequence[tuple[GrantState, float | None]]
    subscriptions: Sequence[SubscriptionCondition]


class WorkerFigures:
    """The figures of all tenants of a worker, for scrapes."""

    def __init__(self, tenants: Callable[[], Mapping[TenantId, TenantFigures]]) -> None:
        """Make the readings.

        Args:
            tenants: returns tenant id -> present figures, for the tenants at work.
        """
        self._tenants = tenants
        self._readings: Mapping[Gauge, Reading] = {}
        self._until = 0.0

    def readers(self) -> Mapping[Gauge, Read]:
        """Return instrument -> its reader."""

        def read_of(gauge: Gauge) -> Read:
            return lambda: self._fresh()[gauge]

        return {gauge: read_of(gauge) for gauge in readings_of({})}

    def _fresh(self) -> Mapping[Gauge, Reading]:
        if time.monotonic() >= self._until:
            self._readings = readings_of(self._tenants())
            self._until = time.monotonic() + _FRESH_S
        return self._readings


def readings_of(tenants: Mapping[TenantId, TenantFigures]) -> dict[Gauge, Reading]:
    """Return instrument -> its reading, of these tenants."""
    all_of = list(tenants.values())
    active = [one for one in all_of if one.state is TenantState.ACTIVE]
    grants = [grant for one in all_of for grant in one.grants]
    named = {(one,): tenants[TenantId(one)] for one in EXPORTED.tenants if one in tenants}
    return {
        metrics.TENANTS: _counted((one.state.value for one in all_of), metrics.TENANTS),
        metrics.REPORTED: _counted((one.reported.name.lower() for one in all_of), metrics.REPORTED),
        metrics.USERS: {
            ("pushed",): sum(one.pushed for one in all_of),
            ("polled",): sum(one.polled for one in all_of),
        },
        metrics.CONTACT_AGE: max((one.contact_age_s or 0.0 for one in active), default=0.0),
        metrics.INTERVAL: max((one.interval_s for one in active), default=0.0),
        metrics.SLOWED: sum(one.is_slowed for one in active),
        metrics.BLOCKED: sum(one.is_blocked for one in active),
        metrics.BUDGET_LEFT: min((one.budget_left for one in active), default=1.0),
        metrics.GRANTS: _counted((state.value for state, _ in grants), metrics.GRANTS),
        metrics.GRANT_AGE: max((age_s for _, age_s in grants if age_s is not None), default=0.0),
        SUBSCRIPTIONS: _counted((each.value for one in all_of for each in one.subscriptions), SUBSCRIPTIONS),
        metrics.TENANT_USERS: {tenant: one.pushed + one.polled for tenant, one in named.items()},
        metrics.TENANT_INTERVAL: {tenant: one.interval_s for tenant, one in named.items()},
        metrics.TENANT_BUDGET_LEFT: {tenant: one.budget_left for tenant, one in named.items()},
    }


def _counted(values: Iterable[str], gauge: Gauge) -> dict[tuple[str, ...], float]:
    """Return value of the gauge's only label -> number of occurrences; values that the label does not have are left out."""
    found = Counter(values)
    return {series: found[series[0]] for series in gauge.metric.seeds()}
