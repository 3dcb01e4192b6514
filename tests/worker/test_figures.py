"""The tenants of a worker in numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import TenantState
from relay.core.presence import Status, TenantId, UserId
from relay.core.push.subscription import HeldSubscription, PushFault, SubscriptionStanding
from relay.ops.instruments import EXPORTED
from relay.worker import metrics
from relay.worker.figures import TenantFigures, WorkerFigures, readings_of
from relay.worker.push.book import GrantSubscription
from relay.worker.push.metrics import SUBSCRIPTIONS, SubscriptionCondition

NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA: Final = UserId("0ada0000-0000-4000-8000-000000000000")
BEN: Final = UserId("0b0b0000-0000-4000-8000-000000000000")
CALM: Final = TenantFigures(
    state=TenantState.ACTIVE,
    reported=Status.NONE,
    pushed=3,
    polled=10,
    interval_s=5.0,
    is_slowed=False,
    is_blocked=False,
    budget_left=0.9,
    contact_age_s=4.0,
    grants=[(GrantState.HEALTHY, 100.0)],
    subscriptions=[SubscriptionCondition.HEALTHY],
)
THROTTLED: Final = replace(
    CALM,
    reported=Status.THROTTLED,
    interval_s=20.0,
    is_slowed=True,
    is_blocked=True,
    budget_left=0.0,
    contact_age_s=90.0,
)
DEAD: Final = replace(
    CALM, state=TenantState.CONSENT_REQUIRED, reported=Status.CONSENT_REQUIRED, contact_age_s=9000.0, pushed=0, polled=0,
    grants=[(GrantState.DEAD, None), (GrantState.SUSPECT, 7200.0)], subscriptions=[SubscriptionCondition.SILENT],
)  # fmt: skip
ONE, TWO, THREE = (TenantId(f"{number}1111111-2222-3333-4444-555555555555") for number in range(3))


def test_tenants_are_counted_by_state_and_trouble_and_the_worst_of_the_active_ones_shows():
    found = readings_of({ONE: CALM, TWO: THROTTLED, THREE: DEAD})
    assert found[metrics.TENANTS] == {("pending",): 0, ("active",): 2, ("consent-required",): 1, ("suspended",): 0}
    reported = found[metrics.REPORTED]
    assert isinstance(reported, dict)
    assert {status: count for status, count in reported.items() if count} == {
        ("none",): 1, ("throttled",): 1, ("consent_required",): 1
    }  # fmt: skip
    assert found[metrics.USERS] == {("pushed",): 6, ("polled",): 20}
    worst = (metrics.CONTACT_AGE, metrics.INTERVAL, metrics.SLOWED, metrics.BLOCKED, metrics.BUDGET_LEFT)
    assert [found[gauge] for gauge in worst] == [90.0, 20.0, 1, 1, 0.0]
    assert found[metrics.GRANTS] == {("healthy",): 2, ("suspect",): 1, ("dead",): 1}
    assert found[metrics.GRANT_AGE] == 7200.0
    conditions = found[SUBSCRIPTIONS]
    assert isinstance(conditions, dict)
    assert (conditions[("healthy",)], conditions[("silent",)]) == (2, 1)


def test_only_named_tenants_have_series_of_their_own(monkeypatch: pytest.MonkeyPatch):
    assert readings_of({ONE: CALM})[metrics.TENANT_USERS] == {}
    monkeypatch.setattr(EXPORTED, "tenants", frozenset({TWO, THREE}))
    found = readings_of({ONE: CALM, TWO: THROTTLED})
    assert found[metrics.TENANT_USERS] == {(TWO,): 13}
    assert found[metrics.TENANT_INTERVAL] == {(TWO,): 20.0}


def test_tenants_are_counted_once_for_all_instruments_of_several_scrapes():
    passes = 0

    def tenants() -> dict[TenantId, TenantFigures]:
        nonlocal passes
        passes += 1
        return {ONE: CALM}

    readers = WorkerFigures(tenants).readers()
    for _ in range(3):
        assert readers[metrics.USERS]() == {("pushed",): 3, ("polled",): 10}
        assert readers[metrics.SLOWED]() == 0
    assert passes == 1


def test_a_subscription_is_healthy_lossy_silent_refused_or_pending():
    one = GrantSubscription(ADA)
    assert one.condition(0.0) is None
    one.standing = SubscriptionStanding(wanted=(ADA,))
    assert one.condition(0.0) is SubscriptionCondition.PENDING
    held = HeldSubscription(
        route_id="r", subscription_id="s", users=(ADA, BEN), created=NOW, renew_at=NOW, expires=NOW + timedelta(hours=1)
    )
    one.standing = SubscriptionStanding(held=held, wanted=(ADA, BEN))
    assert one.condition(0.0) is SubscriptionCondition.HEALTHY
    one.watchdog.confirmed(9, 0.0)
    one.watchdog.found([ADA, BEN, ADA], 0.0)
    assert one.condition(130.0) is SubscriptionCondition.LOSSY
    one.standing = replace(one.standing, is_suspect=True)
    assert one.condition(130.0) is SubscriptionCondition.SILENT
    one.standing = replace(one.standing, refusal=PushFault.REFUSED)
    assert one.condition(130.0) is SubscriptionCondition.REFUSED
