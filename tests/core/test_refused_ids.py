from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.presence import UserId
from relay.core.reading.refused_ids import RefusedUsers

A, B, C = UserId("a"), UserId("b"), UserId("c")
INTERVAL = 5.0


@pytest.mark.fault("B5")
def test_only_the_second_refusal_in_a_row_is_sure():
    refusals = RefusedUsers()
    assert refusals.refuse([A], 0.0, INTERVAL) == set()
    assert refusals.due(5.0, INTERVAL) == [A]
    assert refusals.refuse([A], 5.0, INTERVAL) == {A}
    assert refusals.due(10.0, INTERVAL) == [A]
    refusals.answered([A])
    assert refusals.refuse([A], 15.0, INTERVAL) == set()


def test_who_is_refused_is_tried_one_after_the_other_and_not_before_an_interval():
    refusals = RefusedUsers()
    refusals.refuse([A, B, C], 0.0, INTERVAL)
    assert refusals.due(4.9, INTERVAL) == []
    assert [refusals.due(now, INTERVAL) for now in (5.0, 6.0, 7.0, 8.0)] == [[A], [B], [C], []]


@pytest.mark.fault("B7")
def test_once_one_is_answered_all_are_tried():
    refusals = RefusedUsers()
    refusals.refuse([A, B, C], 0.0, INTERVAL)
    assert refusals.due(5.0, INTERVAL) == [A]
    refusals.answered([A])
    assert refusals.due(6.0, INTERVAL) == [B, C]
    assert not list(refusals)


@given(st.lists(st.tuples(st.sampled_from("rafd"), st.sampled_from([A, B, C])), max_size=60))
def test_nobody_is_left_out_for_longer_than_all_tries_take(steps):
    refusals, now, waiting_since = RefusedUsers(), 0.0, {}
    for what, user in steps:
        now += 1.0
        if what == "r" and user not in refusals:
            refusals.refuse([user], now, INTERVAL)
            waiting_since[user] = now
        elif what == "a" and user not in refusals:
            refusals.answered([user])
        elif what == "f":
            refusals.forget([user])
        for tried in refusals.due(now, INTERVAL):
            assert tried not in refusals
            waiting_since.pop(tried)
        waiting_since = {user: since for user, since in waiting_since.items() if user in refusals}
        assert set(refusals) == set(waiting_since)
        assert all(now - since <= INTERVAL + 3 for since in waiting_since.values())
