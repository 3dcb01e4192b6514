"""The figures of one tenant, for metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.worker.figures import TenantFigures

if TYPE_CHECKING:
    from datetime import timedelta

    from relay.ops.clock import Clock
    from relay.worker.tenant.parts import Parts

_SLOWER: Final = 1.01
"""A tenant counts as slowed when its interval is longer than this many times the setting."""


def figures_of(parts: Parts, poll_interval: timedelta, clock: Clock) -> TenantFigures:
    """Return the present figures of a tenant.

    Args:
        parts: the parts of the tenant's work.
        poll_interval: setting: time between two reads of a polled user.
        clock: the worker's clock.
    """
    now, schedule = clock.monotonic(), parts.schedule
    interval_s, _ = schedule.intervals(now)
    conditions = [] if parts.push is None else [grant.condition(now) for grant in parts.push.subscriber.book]
    return TenantFigures(
        state=parts.standing.tenant.state,
        reported=parts.contact.reported,
        pushed=schedule.covered,
        polled=schedule.polled,
        interval_s=interval_s,
        is_slowed=interval_s > _SLOWER * poll_interval.total_seconds(),
        is_blocked=now < schedule.budget.blocked_until(),
        budget_left=schedule.budget.left(now),
        contact_age_s=parts.contact.age_s,
        grants=parts.pool.ages(),
        subscriptions=[condition for condition in conditions if condition is not None],
    )
