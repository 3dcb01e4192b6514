"""The poll plan: everybody is read once an interval, urgent users first, nobody twice at once."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.core.presence import UserId
from relay.core.reading.pages import PlannedRead
from relay.core.reading.planning import JITTER, PollPlan

INTERVAL = 5.0


def settle(plan: PollPlan, now: float) -> None:
    """Everything that is due is read and answered."""
    while (read := plan.next(now)) is not None:
        plan.done(read, now, INTERVAL)


def users(count: int, prefix: str = "u") -> list[UserId]:
    return [UserId(f"{prefix}{number}") for number in range(count)]


def drain(plan: PollPlan, now: float) -> list[PlannedRead]:
    reads = []
    while (read := plan.next(now)) is not None:
        reads.append(read)
    return reads


def finish(plan: PollPlan, reads: list[PlannedRead], now: float) -> None:
    for read in reads:
        plan.done(read, now, INTERVAL)


def test_new_users_are_read_at_once():
    plan = PollPlan(650)
    plan.add(users(3), 100.0, INTERVAL)
    assert plan.wait(100.0) == 0
    assert plan.next(100.0).users == tuple(users(3))


def test_a_small_request_is_not_behind_a_large_one():
    plan = PollPlan(10)
    plan.add(users(100, "crowd"), 0.0, INTERVAL)
    plan.add(users(1, "one"), 0.0, INTERVAL)
    first = plan.next(0.0)
    assert UserId("one0") in first.users


def test_a_dirty_user_who_is_being_read_waits_for_that_read():
    plan = PollPlan(650, phase=0.5)
    plan.add(users(2), 0.0, INTERVAL)
    read = plan.next(0.0)
    plan.mark_dirty(users(1))
    assert plan.next(0.0) is None
    plan.done(read, 0.1, INTERVAL)
    assert plan.next(0.1).users == (UserId("u0"),)


def test_pages_are_spread_evenly_over_the_interval():
    plan = PollPlan(10)
    plan.add(users(500), 0.0, INTERVAL)
    finish(plan, drain(plan, 0.0), 0.0)
    starts = []
    now = 0.0
    while now < INTERVAL:
        for read in drain(plan, now):
            starts.append(now)
            plan.done(read, now, INTERVAL)
        now += 0.01
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert max(gaps) < 4 * INTERVAL / 50


def test_the_time_a_read_takes_does_not_add_up():
    plan = PollPlan(650)
    plan.add(users(5), 0.0, INTERVAL)
    finish(plan, drain(plan, 0.0), 0.1)
    times = []
    now = 0.0
    while now < 60:
        for read in drain(plan, now):
            times.append(now)
            plan.done(read, now + 0.2, INTERVAL)
        now += 0.05
    assert len(times) >= 11
    assert all(later - earlier <= INTERVAL + 0.06 for earlier, later in pairwise(times))


def test_jitter_only_shortens():
    plan = PollPlan(650)
    plan.add(users(1), 0.0, INTERVAL)
    finish(plan, drain(plan, 0.0), 0.0)
    now = plan.wait(0.0)
    read = plan.next(now)
    plan.done(read, now, INTERVAL, jitter=1.0)
    assert INTERVAL * (1 - JITTER) - 0.01 <= plan.wait(now) <= INTERVAL


def test_a_failed_read_is_tried_again_when_told():
    plan = PollPlan(650)
    plan.add(users(2), 0.0, INTERVAL)
    plan.failed(plan.next(0.0), 3.0, users(2))
    page = plan.next(2.9)
    assert page.users == ()  # whose turn it is, and who are not read with their page before
    plan.put_off(page, 2.9, INTERVAL)
    assert plan.next(2.9) is None
    assert plan.wait(2.9) == pytest.approx(0.1)
    assert set(plan.next(3.0).users) == set(users(2))


@pytest.mark.fault("L10")
def test_those_of_whom_nothing_is_held_come_first_when_graph_answers_again():
    plan = PollPlan(2)
    plan.add(users(4), 0.0, INTERVAL)
    settle(plan, 0.0)
    new = UserId("new")
    plan.add([new], 10.0, INTERVAL)
    for _ in range(3):
        read = plan.next(10.0)
        plan.failed(read, 12.0, [new] if new in read.users else [])
    plan.pause(30.0)
    assert plan.next(29.0) is None
    assert plan.next(30.0).users == (new,)


@pytest.mark.fault("L10")
def test_of_a_page_that_fails_those_of_whom_nothing_is_held_are_read_ahead_of_it():
    plan = PollPlan(2)
    plan.add(users(4), 0.0, INTERVAL)
    settle(plan, 0.0)
    read = plan.next(10.0)
    assert read.page is not None
    plan.failed(read, 30.0, read.users[:1])
    ahead = plan.next(30.0)
    assert (ahead.page, ahead.users) == (None, read.users[:1])


@pytest.mark.fault("B5")
def test_users_who_cannot_be_read_again_and_again_are_stubborn_until_they_are_answered():
    plan = PollPlan(650)
    plan.add(users(2), 0.0, INTERVAL)
    read = plan.next(0.0)
    for at in (1.0, 2.0):
        assert not read.is_stubborn
        plan.failed(read, at, users(2))
        if not (read := plan.next(at)).users:
            plan.put_off(read, at, INTERVAL)
            read = plan.next(at)
    assert read.is_stubborn
    plan.done(read, 2.0, INTERVAL)
    assert not plan.next(7.0).is_stubborn


@pytest.mark.fault("B11")
def test_users_who_were_not_answered_for_are_read_by_themselves_until_they_are():
    plan = PollPlan(4)
    plan.add(users(4), 0.0, INTERVAL)
    settle(plan, 0.0)
    read = plan.next(INTERVAL)
    plan.part(read, users(4)[2:], INTERVAL + 1.0)
    plan.done(read, INTERVAL, INTERVAL, left=users(4)[2:])
    assert (plan.pages, plan.oldest_confirmation) == (2, 0.0)
    assert plan.next(INTERVAL + 0.9) is None
    part = plan.next(INTERVAL + 1.0)
    assert set(part.users) == set(users(4)[2:])
    plan.done(part, INTERVAL + 1.0, INTERVAL)
    assert (plan.pages, len(plan), plan.oldest_confirmation) == (1, 4, INTERVAL)


def test_overdue_pages_are_those_without_an_answer():
    plan = PollPlan(650)
    plan.add(users(2), 0.0, INTERVAL)
    assert plan.overdue(15.0, 15.0) == []
    assert len(plan.overdue(15.1, 15.0)) == 1


def test_a_removed_user_is_not_read():
    plan = PollPlan(650)
    plan.add(users(3), 0.0, INTERVAL)
    plan.remove(users(1))
    assert set(plan.next(0.0).users) == set(users(3)[1:])
    assert UserId("u0") not in plan


def test_covered_users_have_pages_of_their_own_and_are_read_once_at_once():
    plan = PollPlan(650)
    plan.add(users(10), 0.0, INTERVAL)
    finish(plan, drain(plan, 0.0), 0.0)
    assert plan.move(users(4), 1.0, 60.0, covered=True) == users(4)
    assert plan.load(covered=True) == (1, 4)
    assert plan.load(covered=False) == (1, 6)
    assert plan.next(1.0).users == tuple(users(4))
    assert plan.move(users(4), 1.0, 60.0, covered=True) == []


def test_covered_users_are_read_at_their_own_speed():
    plan = PollPlan(650)
    plan.add(users(10), 0.0, INTERVAL)
    plan.move(users(4), 0.0, 60.0, covered=True)
    finish(plan, drain(plan, 0.0), 0.0)
    seen: dict[UserId, int] = {}
    now = 0.1
    while now < 600:
        for read in drain(plan, now):
            for user in read.users:
                seen[user] = seen.get(user, 0) + 1
            plan.done(read, now, 60.0 if read.page.covered else INTERVAL)
        now += 0.1
    assert 9 <= seen[UserId("u0")] <= 11
    assert 118 <= seen[UserId("u9")] <= 122


def test_users_who_are_covered_no_longer_are_read_at_once_and_not_overdue_for_it():
    plan = PollPlan(650)
    plan.add(users(4), 0.0, INTERVAL)
    plan.move(users(4), 0.0, 60.0, covered=True)
    finish(plan, drain(plan, 0.0), 0.0)
    plan.move(users(4), 50.0, INTERVAL, covered=False)
    assert plan.next(50.0).users == tuple(users(4))
    assert plan.overdue(51.0, 15.0) == []
    # What is held is as old as it is, all the same.
    assert plan.oldest_confirmation == 0.0
    assert len(plan.overdue(66.0, 15.0)) == 1


@pytest.mark.fault("V7")
def test_what_was_taken_over_is_as_old_as_it_was_until_all_of_it_is_answered_for():
    plan = PollPlan(2, phase=0.5)
    plan.add(users(4), 100.0, INTERVAL)
    plan.inherit(users(3), 60.0)
    first, second = drain(plan, 100.0)
    assert plan.oldest_confirmation == 60.0
    plan.done(first, 101.0, INTERVAL)
    assert (plan.oldest_confirmation, plan.inherited_at) == (60.0, 60.0)
    plan.done(second, 102.0, INTERVAL)
    assert (plan.oldest_confirmation, plan.inherited_at) == (101.0, None)


@pytest.mark.fault("V7")
def test_who_is_not_read_any_more_leaves_nothing_to_confirm():
    plan = PollPlan(650)
    plan.add(users(2), 100.0, INTERVAL)
    plan.inherit(users(2), 60.0)
    plan.remove(users(2))
    assert (plan.oldest_confirmation, plan.inherited_at) == (None, None)


@pytest.mark.fault("V7")
def test_nothing_is_confirmed_before_graph_answers():
    plan = PollPlan(650, phase=0.0)
    plan.add(users(2), 100.0, INTERVAL)
    urgent = plan.next(100.0)
    page = plan.next(100.0)
    assert page.users == ()  # both are being read ahead of it
    plan.put_off(page, 100.0, INTERVAL)
    assert plan.oldest_confirmation is None
    plan.done(urgent, 100.5, INTERVAL)
    assert plan.oldest_confirmation == 100.5


def test_everybody_is_read_once_more_who_was_being_read_when_something_may_have_been_missed():
    plan = PollPlan(650)
    plan.add(users(2), 0.0, INTERVAL)
    finish(plan, drain(plan, 0.0), 0.0)
    page = plan.next(INTERVAL)
    plan.mark_all(INTERVAL + 0.1)
    assert plan.next(INTERVAL + 0.1) is None
    plan.done(page, INTERVAL + 0.2, INTERVAL)
    assert plan.next(INTERVAL + 0.2).users == tuple(users(2))


def test_covered_pages_are_overdue_by_their_own_measure():
    plan = PollPlan(650)
    plan.add(users(4), 0.0, INTERVAL)
    plan.move(users(4), 0.0, 60.0, covered=True)
    assert plan.overdue(100.0, 15.0) == []
    assert plan.overdue(100.0, 180.0, covered=True) == []
    assert len(plan.overdue(181.0, 180.0, covered=True)) == 1


def test_announced_users_wait_a_moment_for_each_other():
    plan = PollPlan(650, phase=0.5, gather_s=0.1)
    plan.add(users(10), 0.0, INTERVAL)
    finish(plan, drain(plan, 0.0), 0.0)
    plan.mark_announced(users(1), 1.0)
    assert plan.next(1.0) is None
    assert plan.wait(1.0) == pytest.approx(0.1)
    plan.mark_announced(users(3), 1.08)
    assert set(plan.next(1.1).users) == set(users(3))


def test_what_is_held_is_in_no_read_and_who_is_read_is_not_held():
    plan = PollPlan(650)
    plan.add(users(3), 0.0, INTERVAL)
    assert plan.hold(users(1)) == users(1)
    read = plan.next(0.0)
    assert set(read.users) == set(users(3)[1:])
    assert plan.hold([*users(3), UserId("nobody")]) == []
    plan.let_go(users(1))
    plan.done(read, 0.0, INTERVAL)
    assert plan.next(0.0).users == tuple(users(1))


actions = st.lists(
    st.tuples(
        st.sampled_from(
            ["add", "remove", "dirty", "announced", "cover", "uncover", "all", "next", "done", "fail", "pass"]
        ),
        st.integers(0, 40),
    ),
    max_size=120,
)


@given(actions, st.integers(1, 7))
@settings(max_examples=2 * settings.default.max_examples)
def test_no_user_is_ever_in_two_reads_at_once_and_none_is_forgotten(  # noqa: C901 - one step each
    steps: list[tuple[str, int]], page_size: int
):
    plan, now = PollPlan(page_size, gather_s=0.1), 0.0
    wanted: set[UserId] = set()
    under_way: list[PlannedRead] = []
    chance = random.Random(1)
    for step, number in steps:
        some = users(number)
        if step == "add":
            plan.add(some, now, INTERVAL)
            wanted.update(some)
        elif step == "remove":
            plan.remove(some)
            wanted.difference_update(some)
        elif step == "dirty":
            plan.mark_dirty(some)
        elif step == "announced":
            plan.mark_announced(some, now)
        elif step in ("cover", "uncover"):
            plan.move(some, now, INTERVAL, covered=step == "cover")
        elif step == "all":
            plan.mark_all(now)
        elif step == "next" and (read := plan.next(now)) is not None:
            busy = {user for other in under_way for user in other.users}
            assert not busy & set(read.users)
            assert len(read.users) <= page_size
            under_way.append(read)
        elif step in ("done", "fail") and under_way:
            read = under_way.pop(chance.randrange(len(under_way)))
            if step == "done":
                plan.done(read, now, INTERVAL)
            else:
                plan.failed(read, now + 1)
        elif step == "pass":
            now += number / 10
    for read in under_way:
        plan.done(read, now, INTERVAL)
    assert len(plan) == len(wanted) == plan.load(covered=False)[1] + plan.load(covered=True)[1]
    seen: set[UserId] = set()
    for _ in range(200):
        now += 0.5
        for read in drain(plan, now):
            seen.update(read.users)
            plan.done(read, now, INTERVAL)
        if seen >= wanted:
            break
    assert wanted <= seen
