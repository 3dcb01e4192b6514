"""The watchdog tells a dead subscription from a quiet office, and a lossy one from both."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.presence import UserId
from relay.core.push.watchdog import Watchdog, reconcile_after

ADA, BEN, CHLOE = UserId("ada"), UserId("ben"), UserId("chloe")
LATER = 120.0


def test_three_changes_of_two_users_that_nothing_announced_are_silence():
    dog = Watchdog()
    dog.found([ADA], 0.0)
    dog.found([BEN], 10.0)
    dog.found([ADA], 20.0)
    assert not dog.is_silent(20.0 + LATER - 1)
    assert dog.is_silent(20.0 + LATER)


def test_three_changes_of_one_user_are_not():
    dog = Watchdog()
    for at in range(10):
        dog.found([ADA], float(at))
    assert not dog.is_silent(10.0 + LATER)


def test_two_changes_are_not():
    dog = Watchdog()
    dog.found([ADA, BEN], 0.0)
    assert not dog.is_silent(LATER + 1)


def test_a_quiet_office_is_not_silence():
    assert not Watchdog().is_silent(100_000.0)


def test_anything_that_was_announced_meanwhile_ends_the_suspicion():
    dog = Watchdog()
    dog.found([ADA, BEN, CHLOE], 0.0)
    dog.announced([UserId("dora")], 60.0)
    assert not dog.is_silent(LATER + 1)
    dog.found([ADA, BEN, CHLOE], 200.0)
    assert dog.is_silent(200.0 + LATER)
    dog.announced([ADA], 200.0 + LATER + 1)
    assert not dog.is_silent(200.0 + LATER + 2)


def test_a_change_that_a_poll_found_first_is_announced_when_its_notification_comes_later():
    dog = Watchdog()
    for at in range(20):
        dog.found([ADA, BEN], at * 10.0)
        dog.announced([ADA, BEN], at * 10.0 + 9)
    assert dog.loss(200.0 + LATER) == 0.0
    assert dog.judged == {True: 40, False: 0}


def test_loss_is_the_share_of_changes_that_were_never_announced():
    dog = Watchdog()
    for at in range(30):
        dog.found([ADA], at * 30.0)
        dog.confirmed(1, at * 30.0)
    dog.announced([BEN], 500.0)
    assert dog.loss(30 * 30.0 + LATER) == pytest.approx(0.5, abs=0.1)


def test_a_handful_of_changes_says_nothing_of_loss():
    dog = Watchdog()
    dog.found([ADA], 0.0)
    assert dog.loss(LATER + 1) == 0.0


def test_loss_is_forgotten_in_time():
    dog = Watchdog()
    for at in range(40):
        dog.found([ADA], float(at))
    assert dog.loss(40 + LATER) == 1.0
    assert dog.loss(40 + LATER + 3600) == 0.0


def test_loss_shortens_the_reconcile_interval_and_never_below_a_poll():
    assert reconcile_after(0.0, 60.0, 5.0) == 60.0
    assert reconcile_after(0.05, 60.0, 5.0) == 60.0
    assert reconcile_after(0.1, 60.0, 5.0) == pytest.approx(30.0)
    assert reconcile_after(1.0, 60.0, 5.0) == 5.0


@given(st.lists(st.tuples(st.sampled_from([ADA, BEN, CHLOE]), st.integers(0, 100), st.integers(1, 119)), max_size=60))
def test_what_is_announced_within_two_minutes_is_never_held_against_it(changes):
    dog, now, due = Watchdog(), 0.0, []
    for user, pause, delay in changes:
        now += pause
        due.append((now + delay, user))
        for at, late in sorted(due):
            if at <= now:
                dog.announced([late], at)
                due.remove((at, late))
        dog.found([user], now)
    for at, late in sorted(due):
        dog.announced([late], at)
    assert not dog.is_silent(now + 1000)
    assert dog.judged[False] == 0
