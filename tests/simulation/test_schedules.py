"""The rules keep Ordered, Resumable, Convergent and Answered under every schedule, and each rule is needed for it."""

from __future__ import annotations

import pytest

from tests.simulation.rules import Broken, Rules
from tests.simulation.schedule import run_schedules
from tests.simulation.weakened import WEAKENED

pytestmark = pytest.mark.long

ENOUGH = 4_000
"""Schedules within which a missing rule shows: each is found at least three times in as many on average."""
QUICK, LONG = 1_500, 300_000
"""Schedules of `make test` and of `make soak`."""


@pytest.mark.fault("V3")
def test_no_schedule_breaks_a_guarantee() -> None:
    assert run_schedules(range(QUICK)) == QUICK


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_no_schedule_of_a_long_sweep_breaks_a_guarantee() -> None:
    assert run_schedules(range(QUICK, LONG)) == LONG - QUICK


@pytest.mark.fault("V3")
@pytest.mark.parametrize("rules", WEAKENED.values(), ids=WEAKENED.keys())
def test_weakening_any_rule_breaks_a_guarantee(rules: Rules) -> None:
    with pytest.raises(Broken):
        run_schedules(range(ENOUGH), rules)
