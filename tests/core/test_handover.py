"""An owner that goes on with another's plan reads nobody later than that one would have, and nobody sooner without a reason."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from relay.core.presence import Status, UserId
from relay.core.reading.acceptance import Known
from relay.core.reading.budget import BudgetSettings, RequestBudget
from relay.core.reading.handover import is_as_stored, is_confirmed, is_doubted
from relay.core.reading.ordering import Newest
from relay.core.reading.pages import ReadPage
from relay.core.reading.planning import PollPlan
from relay.core.reading.refused_ids import Refused, RefusedUsers
from tests.core.presences import PRESENCE

INTERVAL, SELDOM = 5.0, 60.0
USERS = [UserId(f"u{number}") for number in range(12)]
AHEAD_S = 1_000_000.0


def lived(plan: PollPlan, seed: int, confirmed: dict[UserId, float]) -> float:
    """Let a plan live for a while; returns the time. Notes when each user was confirmed last."""
    draw, now, under_way = random.Random(seed), 100.0, []
    plan.add(USERS, now, INTERVAL)
    plan.move(USERS[:5], now, SELDOM, covered=True)
    for _ in range(draw.randrange(1, 120)):
        now += draw.choice([0.0, 0.1, 1.0])
        match draw.randrange(8):
            case 0:
                plan.mark_dirty(draw.sample(USERS, 2))
            case 1:
                plan.mark_announced(draw.sample(USERS, 1), now)
            case 2 if under_way:
                plan.failed(under_way.pop(), now + 1.0)
            case 3 | 4 if under_way:
                read = under_way.pop()
                covered = read.page is not None and read.page.covered
                plan.done(read, now, SELDOM if covered else INTERVAL, draw.random())
                confirmed.update(dict.fromkeys(read.users, now))
            case _:
                if (read := plan.next(now)) is not None:
                    under_way.append(read)
    return now


def resumed(former: PollPlan, now: float, away_s: float) -> tuple[PollPlan, float]:
    """The plan of the next owner, by another clock."""
    pages = [page.moved(AHEAD_S) for page in former.settled()]
    plan, later = PollPlan(3), now + AHEAD_S + away_s
    plan.resume(pages, later)
    plan.read_within(INTERVAL, covered=False)
    plan.read_within(SELDOM, covered=True)
    plan.add(USERS, later, INTERVAL)
    return plan, later


@given(st.integers(0, 2**32), st.floats(0.0, 20.0))
def test_nobody_is_read_later_than_an_interval_after_the_last_confirmation(seed: int, away_s: float) -> None:
    former, confirmed = PollPlan(3, gather_s=0.3), dict[UserId, float]()
    now = lived(former, seed, confirmed)
    plan, later = resumed(former, now, away_s)
    for user in USERS:
        due_in = plan.due_in(user, later)
        page = plan.page_of(user)
        assert due_in is not None
        assert page is not None
        interval = SELDOM if page.covered else INTERVAL
        unread_s = later + due_in - (confirmed.get(user, float("-inf")) + AHEAD_S)
        assert due_in == 0.0 or unread_s <= interval + 1e-6


@given(st.integers(0, 2**32))
def test_whoever_waits_for_a_read_is_read_at_once(seed: int) -> None:
    former, confirmed = PollPlan(3, gather_s=0.3), dict[UserId, float]()
    now = lived(former, seed, confirmed)
    waits = [user for user in USERS if former.due_in(user, now) == 0.0]
    plan, later = resumed(former, now, 0.0)
    assert [plan.due_in(user, later) for user in waits] == [0.0] * len(waits)


def test_a_plan_at_rest_goes_on_as_if_nothing_had_happened() -> None:
    former = PollPlan(3, phase=0.3)
    former.add(USERS, 0.0, INTERVAL)
    while (read := former.next(0.0)) is not None:
        former.done(read, 0.0, INTERVAL)
    while (read := former.next(3.0)) is not None:
        former.done(read, 3.0, INTERVAL)
    due = {user: former.due_in(user, 3.0) for user in USERS}
    plan, later = resumed(former, 3.0, 0.0)
    found = {user: plan.due_in(user, later) for user in USERS}
    assert {user: round(due_in or 0.0, 6) for user, due_in in found.items()} == {
        user: round(due_in or 0.0, 6) for user, due_in in due.items()
    }
    assert plan.pages == former.pages


def test_a_page_of_larger_pages_is_divided() -> None:
    plan = PollPlan(5)
    plan.resume([ReadPage(tuple(USERS), False, 10.0, 15.0), ReadPage((USERS[0],), True, 0.0, 1.0)], 10.0)
    assert (len(plan), plan.pages) == (len(USERS), 3)
    assert plan.due_in(USERS[0], 10.0) == 5.0


def test_only_what_graph_has_said_is_confirmed() -> None:
    assert is_confirmed(PRESENCE)
    assert is_confirmed(Status.NOT_REPORTED)
    assert not any(map(is_confirmed, (None, Status.PENDING, Status.STALE, Status.THROTTLED, Status.CONSENT_REQUIRED)))


def test_a_number_newer_than_the_stored_one_is_not_as_stored() -> None:
    known = Known(replace(PRESENCE, sequence_number="A1"), Newest("A1", is_read=True))
    assert is_as_stored(known)
    known.newest = known.newest.taken("A3", 1.0)
    assert not is_as_stored(known)
    known.newest = Newest("A1")
    assert not is_as_stored(known)
    assert not is_as_stored(Known(Status.NOT_REPORTED, Newest("A1", is_read=True)))


def test_a_read_that_was_not_believed_yet_leaves_its_user_in_doubt() -> None:
    _, newest = Newest("A3", is_read=True, seen=1.0).weigh("A2", 2.0)
    assert is_doubted(Known(PRESENCE, newest))
    assert not is_doubted(Known(PRESENCE, Newest("A3")))


def test_refused_users_are_tried_when_they_would_have_been() -> None:
    former = RefusedUsers()
    former.refuse(USERS[:2], 10.0, 5.0)
    former.refuse(USERS[:1], 12.0, 5.0)
    former.due(15.0, 5.0)
    following = RefusedUsers()
    following.resume(former.known())
    assert former.known() == following.known() == {USERS[0]: Refused(2, 17.0), USERS[1]: Refused(1, None)}
    assert following.due(17.0, 5.0) == [USERS[0]]


def test_a_slowed_down_tenant_stays_slowed_down_and_recovers() -> None:
    former = RequestBudget(BudgetSettings())
    until = former.throttled(100.0, 20.0)
    following = RequestBudget(BudgetSettings())
    following.resume(former.slow_down(101.0), until, 101.0)
    assert following.take(1, 101.0) > 0
    assert following.slow_down(101.0) == former.slow_down(101.0) == 2.0
    assert following.slow_down(1000.0) == 1.0


@given(st.floats(allow_nan=False))
def test_no_slow_down_that_is_handed_over_goes_beyond_the_bounds(slow_down: float) -> None:
    budget = RequestBudget(BudgetSettings())
    budget.resume(slow_down, float("-inf"), 0.0)
    assert 1.0 <= budget.slow_down(0.0) <= BudgetSettings().max_slow_down
