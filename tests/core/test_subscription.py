"""A grant's subscription: made, renewed in time, made anew when others are wanted, given up and tried again."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.core.presence import UserId
from relay.core.push import subscription as rules
from relay.core.push.subscription import (
    Create,
    Delete,
    HeldSubscription,
    PushFault,
    Renew,
    SubscriptionPolicy,
    SubscriptionStanding,
    Wait,
    next_step,
)

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
POLICY = SubscriptionPolicy()
LIFE = POLICY.life
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def users(count: int, prefix: str = "u") -> tuple[UserId, ...]:
    return tuple(UserId(f"{prefix}{number}") for number in range(count))


def held(members: tuple[UserId, ...], at: datetime = NOW, life: timedelta = LIFE) -> HeldSubscription:
    return HeldSubscription(
        route_id="07-x", subscription_id="s", users=members, created=at, renew_at=at + life, expires=at + life
    )


def standing(members: tuple[UserId, ...] = users(20), at: datetime = NOW, chance: float = 0.5) -> SubscriptionStanding:
    wanted = rules.wanting(SubscriptionStanding(), members, at)
    return rules.created(wanted, held(members, at), at, POLICY, chance)


def test_nobody_wanted_is_nothing_to_do():
    assert next_step(SubscriptionStanding(), NOW, POLICY) == Wait(None)


def test_the_first_users_wait_for_others_and_then_a_subscription_is_made():
    wanted = rules.wanting(SubscriptionStanding(), users(2), NOW)
    assert next_step(wanted, NOW, POLICY) == Wait(NOW + POLICY.gather)
    more = rules.wanting(wanted, users(5), NOW + SECOND)
    assert next_step(more, NOW + POLICY.gather, POLICY) == Create(users(5))


def test_nobody_is_covered_before_graph_has_it():
    assert rules.wanting(SubscriptionStanding(), users(2), NOW).covered == ()
    assert standing(users(2)).covered == users(2)


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_it_is_renewed_after_25_to_30_minutes(chance):
    renewal = next_step(standing(chance=chance), NOW, POLICY)
    assert isinstance(renewal, Wait)
    assert renewal.until is not None
    assert 25 * MINUTE <= renewal.until - NOW <= 30 * MINUTE
    assert next_step(standing(chance=chance), renewal.until, POLICY) == Renew()


def test_an_earlier_end_than_was_asked_for_is_obeyed():
    short = rules.created(SubscriptionStanding(wanted=users(1)), held(users(1), life=9 * MINUTE), NOW, POLICY, 1.0)
    assert next_step(short, NOW + 6 * MINUTE, POLICY) == Renew()
    shortened = rules.renewed(short, NOW + 12 * MINUTE, NOW + 6 * MINUTE, POLICY, 1.0)
    assert next_step(shortened, NOW + 6 * MINUTE, POLICY) == Wait(NOW + 10 * MINUTE)


def test_graph_asking_for_a_fresh_token_is_a_renewal_at_once():
    assert next_step(rules.reauthorise(standing(), NOW + MINUTE), NOW + MINUTE, POLICY) == Renew()


def test_a_renewal_that_fails_is_tried_again_and_at_its_end_it_is_made_anew():
    late = standing()
    now = NOW + 30 * MINUTE
    while (step := next_step(late, now, POLICY)) == Renew():
        late = rules.refused(late, PushFault.UNREACHABLE, now, POLICY, chance=0.0)
        waiting = next_step(late, now, POLICY)
        assert isinstance(waiting, Wait)
        assert waiting.until is not None
        now = waiting.until
    assert step == Delete()
    assert now >= late.held.expires
    assert next_step(rules.gone(late, POLICY), now + POLICY.gather + POLICY.retry_most * 2, POLICY) == Create(users(20))


def test_it_is_deleted_when_nobody_is_watched_any_more():
    alone = rules.wanting(standing(), (), NOW + MINUTE)
    assert next_step(alone, NOW + MINUTE, POLICY) == Delete()
    assert next_step(rules.gone(alone, POLICY), NOW + MINUTE, POLICY) == Wait(None)


def test_users_who_merely_left_cost_nothing():
    fewer = rules.wanting(standing(users(20)), users(3), NOW + MINUTE)
    step = next_step(fewer, NOW + 20 * MINUTE, POLICY)
    assert isinstance(step, Wait)


def test_many_newcomers_make_it_anew_soon_and_few_make_it_anew_late():
    many = rules.wanting(standing(users(20)), users(30), NOW + 5 * MINUTE)
    assert next_step(many, NOW + 5 * MINUTE, POLICY) == Wait(NOW + 5 * MINUTE + POLICY.remake_soon)
    few = rules.wanting(standing(users(20)), users(21), NOW + 5 * MINUTE)
    assert next_step(few, NOW + 5 * MINUTE, POLICY) == Wait(NOW + 5 * MINUTE + POLICY.remake_late)
    # Those who come meanwhile go along and do not put it off.
    later = rules.wanting(few, (*users(21), UserId("v")), NOW + 14 * MINUTE)
    assert next_step(later, NOW + 15 * MINUTE, POLICY) == Delete()


def test_newcomers_who_leave_again_before_it_is_made_anew_are_forgotten():
    few = rules.wanting(standing(users(20)), users(21), NOW + MINUTE)
    back = rules.wanting(few, users(20), NOW + 2 * MINUTE)
    assert isinstance(next_step(back, NOW + 20 * MINUTE, POLICY), Wait)


def test_after_it_was_deleted_for_others_it_is_made_at_once():
    many = rules.wanting(standing(users(20)), users(30), NOW + 5 * MINUTE)
    now = NOW + 7 * MINUTE
    assert next_step(many, now, POLICY) == Delete()
    assert next_step(rules.gone(many, POLICY), now, POLICY) == Create(users(30))


def test_a_refusal_is_tried_again_less_and_less_often():
    refused = rules.wanting(SubscriptionStanding(), users(2), NOW)
    pauses, now = [], NOW
    for _ in range(9):
        refused = rules.refused(refused, PushFault.TAKEN, now, POLICY, chance=0.0)
        pauses.append(refused.not_before - now)
        now = refused.not_before
        assert next_step(refused, now, POLICY) == Create(users(2))
    assert pauses[:3] == [MINUTE, 2 * MINUTE, 4 * MINUTE]
    assert pauses[-1] == POLICY.retry_most
    assert refused.trouble is PushFault.TAKEN


def test_what_graph_asks_for_is_waited_and_success_forgets_the_past():
    slow = rules.refused(
        rules.wanting(SubscriptionStanding(), users(2), NOW),
        PushFault.UNREACHABLE,
        NOW,
        POLICY,
        chance=0.0,
        retry_after=5 * MINUTE,
    )
    assert next_step(slow, NOW + 4 * MINUTE, POLICY) == Wait(NOW + 5 * MINUTE)
    made = rules.created(slow, held(users(2), NOW + 5 * MINUTE), NOW + 5 * MINUTE, POLICY, 0.5)
    assert (made.failures, made.trouble) == (0, None)


def test_a_subscription_that_graph_takes_away_at_once_is_not_asked_for_again_and_again():
    lost = rules.gone(standing(), POLICY)
    assert next_step(lost, NOW + SECOND, POLICY) == Wait(NOW + POLICY.retry_least)


def test_one_of_an_earlier_owner_is_looked_after_within_a_minute():
    wanted = rules.wanting(SubscriptionStanding(), users(2), NOW)
    mine = rules.adopted(wanted, held(users(2), NOW - 10 * MINUTE), NOW, POLICY, 1.0)
    assert mine.covered == users(2)
    assert next_step(mine, NOW + MINUTE, POLICY) == Renew()


def test_silence_uncovers_everybody_at_once_and_the_next_one_must_prove_itself():
    quiet = rules.silent(standing(), NOW + 10 * MINUTE, POLICY)
    now = NOW + 10 * MINUTE
    assert quiet.covered == ()
    assert quiet.trouble is PushFault.SILENT
    assert next_step(quiet, now, POLICY) == Delete()
    anew = rules.created(rules.gone(quiet, POLICY), held(users(20), now), now, POLICY, 0.5)
    assert anew.covered == ()
    proven = rules.heard(anew)
    assert proven.covered == users(20)
    assert proven.trouble is None


def test_silence_makes_it_anew_at_most_every_ten_minutes():
    now = NOW + 10 * MINUTE
    quiet = rules.silent(standing(), now, POLICY)
    anew = rules.created(rules.gone(quiet, POLICY), held(users(20), now), now, POLICY, 0.5)
    soon = rules.silent(anew, now + 3 * MINUTE, POLICY)
    assert isinstance(next_step(soon, now + 3 * MINUTE, POLICY), Wait)
    assert soon.covered == ()
    later = rules.silent(soon, now + 10 * MINUTE, POLICY)
    assert next_step(later, now + 10 * MINUTE, POLICY) == Delete()


def test_what_is_heard_while_it_is_to_be_deleted_saves_it():
    quiet = rules.silent(standing(), NOW + 10 * MINUTE, POLICY)
    assert isinstance(next_step(rules.heard(quiet), NOW + 10 * MINUTE, POLICY), Wait)


events = st.lists(
    st.tuples(
        st.sampled_from(["want", "do", "do", "do", "fail", "gone", "silent", "heard", "reauthorise"]),
        st.integers(0, 40),
        st.floats(0, 1),
    ),
    max_size=60,
)


@given(events)
@settings(max_examples=2 * settings.default.max_examples)
def test_whatever_happens_it_is_never_held_past_its_end_nor_asked_for_while_one_is_held(steps):
    state, now = SubscriptionStanding(), NOW
    creations: list[datetime] = []
    for what, number, chance in steps:
        now += timedelta(seconds=30 * number)
        step = next_step(state, now, POLICY)
        assert not (isinstance(step, Wait) and step.until is not None and step.until <= now)
        if state.held is not None and state.held.expires <= now:
            assert step == Delete() or state.not_before > now
        if what == "want":
            state = rules.wanting(state, users(number), now)
        elif what == "fail":
            state = rules.refused(state, PushFault.UNREACHABLE, now, POLICY, chance=chance)
        elif what == "gone":
            state = rules.gone(state, POLICY)
        elif what == "silent":
            state = rules.silent(state, now, POLICY)
        elif what == "heard":
            state = rules.heard(state)
        elif what == "reauthorise":
            state = rules.reauthorise(state, now)
        elif isinstance(step, Create):
            assert state.held is None
            assert 0 < len(step.users) <= 40
            creations.append(now)
            state = rules.created(state, held(step.users, now), now, POLICY, chance)
        elif isinstance(step, Renew):
            state = rules.renewed(state, now + LIFE, now, POLICY, chance)
        elif isinstance(step, Delete):
            state = rules.gone(state, POLICY)
        assert set(state.covered) <= set(state.held.users if state.held else ())
        assert state.held is None or state.held.renew_at <= state.held.expires
    assert all(later - earlier >= POLICY.retry_least for earlier, later in itertools.pairwise(creations))


def test_a_standing_is_a_value():
    assert replace(standing(), failures=0) == standing()
