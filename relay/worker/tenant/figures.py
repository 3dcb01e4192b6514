"""One tenant in numbers, for metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.worker.figures import TenantFigures

if TYPE_CHECKING:
    from datetime import timedelta

    from relay.ops.clock import Clock
    from relay.worker.tenant.parts import Parts

_SLOWER: Final = 1.01
"""Times the interval that is set, from which a tenant counts as read more slowly."""


def figures_of(parts: Parts, poll_interval: timedelta, clock: Clock) -> TenantFigures:
    """Return the tenant of these parts as it is at present.

    Args:
        parts: of the tenant's work.
        poll_interval: between two reads of a polled user, as set.
        clock: of the worker.
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
