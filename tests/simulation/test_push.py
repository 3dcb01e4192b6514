"""Notifications however late, often and out of order never make a presence older, and each rule is needed for it."""

from __future__ import annotations

import pytest

from tests.simulation.push import WEAKENED, PushRules, run_push
from tests.simulation.rules import Broken

SCHEDULES = 4_000
ENOUGH = 4_000
"""Schedules within which a missing rule shows: each is found at least three times in as many on average."""


def test_no_schedule_of_notifications_breaks_a_guarantee() -> None:
    assert run_push(range(SCHEDULES)) == SCHEDULES


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_no_schedule_of_notifications_of_a_long_sweep_breaks_a_guarantee() -> None:
    assert run_push(range(SCHEDULES, 60 * SCHEDULES)) == 59 * SCHEDULES


@pytest.mark.parametrize("rules", WEAKENED.values(), ids=WEAKENED.keys())
def test_weakening_any_rule_of_notifications_breaks_a_guarantee(rules: PushRules) -> None:
    with pytest.raises(Broken):
        run_push(range(ENOUGH), rules)
