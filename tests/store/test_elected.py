"""The votes of sentinels and of nodes of a cluster: the newest configuration is in force, and who slept is outvoted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.store.server.election import SentinelAnswer, elect
from relay.store.server.slots import SLOTS, SlotRange, agreed, owners_of, parse_slots

A, B = SentinelAnswer("a", 1, 1), SentinelAnswer("b", 1, 2)
ANSWERS = st.lists(st.builds(SentinelAnswer, st.sampled_from("abc"), st.just(1), st.integers(0, 3)), max_size=5)

WHOLE = (SlotRange(0, SLOTS - 1, ("a", 1)),)
HALVES = (SlotRange(0, 8191, ("a", 1)), SlotRange(8192, SLOTS - 1, ("b", 1)))


def test_the_newest_configuration_is_in_force_though_most_have_not_heard_of_it() -> None:
    assert elect([A, A, B], 3, A) == B


def test_of_equally_new_ones_most_sentinels_decide() -> None:
    stray = replace(A, host="elsewhere")
    assert elect([stray, A, A], 3) == A


def test_a_sentinel_that_slept_brings_no_former_primary_back() -> None:
    assert elect([A], 3, B) is None


def test_sentinels_that_were_set_up_anew_are_followed_when_they_are_the_most() -> None:
    anew = replace(A, epoch=0)
    assert elect([anew, anew], 3, B) == anew


@given(ANSWERS, st.one_of(st.none(), st.sampled_from([A, B])))
def test_what_is_elected_was_said_and_nobody_said_anything_newer(answers, believed) -> None:
    found = elect(answers, 5, believed)
    if found is not None:
        assert found in answers
        assert found.epoch == max(answer.epoch for answer in answers)
    assert elect(answers[::-1], 5, believed) == found


def test_nodes_that_agree_are_believed_as_they_are() -> None:
    assert agreed([HALVES, HALVES]) is HALVES
    assert agreed([]) == ()


def test_a_node_that_slept_is_outvoted_slot_by_slot() -> None:
    assert agreed([WHOLE, HALVES, HALVES], WHOLE) == HALVES


def test_of_two_that_differ_what_was_believed_stays() -> None:
    assert agreed([WHOLE, HALVES], HALVES) == HALVES
    assert agreed([HALVES, WHOLE], WHOLE) == WHOLE


@given(st.lists(st.sampled_from([WHOLE, HALVES, HALVES[:1], ()]), max_size=3), st.sampled_from([WHOLE, HALVES, ()]))
def test_no_slot_has_an_owner_whom_no_node_named(views, before) -> None:
    found = owners_of(agreed(views, before))
    for slot in (0, 8191, 8192, SLOTS - 1):
        assert found[slot] in {owners_of(view)[slot] for view in views} | ({None} if not views else set())


def test_an_answer_to_cluster_slots_is_read() -> None:
    reply = [
        [8192, 16383, [b"b", 2, b"id", []], [b"c", 3, b"id", []]],
        [0, 10, [b"", 1, b"id"]],
        [11, 8191, [b"?", 1, b"id"]],
    ]
    assert parse_slots(reply, ("asked", 9)) == (
        SlotRange(0, 10, ("asked", 1)),
        SlotRange(11, 8191, None),
        SlotRange(8192, 16383, ("b", 2)),
    )


@pytest.mark.parametrize(
    "reply", [None, 7, [[1]], [[0, 99999, [b"a", 1]]], [[5, 1, [b"a", 1]]], [[0, 1, [b"\xff", 1]]], [[0, 1, b"x"]]]
)
def test_any_other_answer_is_refused(reply: object) -> None:
    with pytest.raises(ValueError, match=r"answer to CLUSTER SLOTS|that no cluster has"):
        parse_slots(reply, ("asked", 9))
