"""What an owner believes, reads and says is true under every schedule of late replies, late requests and take-overs, and each rule is needed."""

from __future__ import annotations

from functools import partial

import pytest

from relay.core.watching.readings import Readings
from tests.simulation import contact, interest, late
from tests.simulation.contact import ContactRules, play_contact
from tests.simulation.interest import play_interest
from tests.simulation.late import LateRules, play_late
from tests.simulation.rules import Broken, play_all

SCHEDULES = 2_000
ENOUGH = 3_000
"""Schedules within which a missing rule shows: each is found ten times in as many at least."""
PLAYS = {"late": play_late, "interest": play_interest, "contact": play_contact}


@pytest.mark.long
@pytest.mark.fault("V4", "V5", "V7", "V8")
@pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS.keys())
def test_no_schedule_of_an_owner_breaks_a_guarantee(play) -> None:
    assert play_all(range(SCHEDULES), play) == SCHEDULES


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS.keys())
def test_no_schedule_of_an_owner_in_a_long_sweep_breaks_a_guarantee(play) -> None:
    assert play_all(range(SCHEDULES, 100 * SCHEDULES), play) == 99 * SCHEDULES


@pytest.mark.fault("V4")
@pytest.mark.parametrize("rules", late.WEAKENED.values(), ids=late.WEAKENED.keys())
def test_weakening_any_rule_of_late_writes_breaks_a_guarantee(rules: LateRules) -> None:
    with pytest.raises(Broken):
        play_all(range(ENOUGH), partial(play_late, rules=rules))


@pytest.mark.fault("V5")
@pytest.mark.parametrize("readings", interest.WEAKENED.values(), ids=interest.WEAKENED.keys())
def test_weakening_any_rule_of_reading_interest_breaks_a_guarantee(readings: type[Readings]) -> None:
    with pytest.raises(Broken):
        play_all(range(ENOUGH), partial(play_interest, readings=readings))


@pytest.mark.fault("V7", "V8")
@pytest.mark.parametrize("rules", contact.WEAKENED.values(), ids=contact.WEAKENED.keys())
def test_weakening_any_rule_of_contact_breaks_a_guarantee(rules: ContactRules) -> None:
    with pytest.raises(Broken):
        play_all(range(ENOUGH), partial(play_contact, rules=rules))
