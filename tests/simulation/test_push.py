"""Notifications however late, often and out of order never make a presence older, and each rule is needed for it."""

from __future__ import annotations

import pytest

from tests.simulation.push import OF_HANDOVERS, WEAKENED, PushRules, run_push
from tests.simulation.rules import Broken

pytestmark = pytest.mark.long

SCHEDULES = 4_000
IN_ORDER = 1_000
ENOUGH = 4_000
"""Schedules within which a missing rule shows: each is found at least three times in as many on average."""


def test_no_schedule_of_notifications_breaks_a_guarantee() -> None:
    assert run_push(range(SCHEDULES)) == SCHEDULES


def test_no_schedule_of_owners_that_hand_over_breaks_a_guarantee() -> None:
    assert run_push(range(IN_ORDER), in_order=True) == IN_ORDER


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("in_order", [False, True], ids=["owners die", "owners also end in order"])
def test_no_schedule_of_notifications_of_a_long_sweep_breaks_a_guarantee(in_order: bool) -> None:
    assert run_push(range(SCHEDULES, 60 * SCHEDULES), in_order=in_order) == 59 * SCHEDULES


@pytest.mark.parametrize(("name", "rules"), WEAKENED.items(), ids=WEAKENED.keys())
def test_weakening_any_rule_of_notifications_breaks_a_guarantee(name: str, rules: PushRules) -> None:
    with pytest.raises(Broken):
        run_push(range(ENOUGH), rules, in_order=name in OF_HANDOVERS)
