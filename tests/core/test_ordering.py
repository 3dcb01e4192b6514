from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.ordering import Newest, Order, Stamp, differs, is_newer
from relay.core.presence import Availability, ConsoleStatus, OutOfOffice, Presence, Source, UserId
from tests.core.presences import PRESENCE

orders = st.builds(Order, st.integers(0, 5), st.integers(0, 50))
numbers = st.one_of(st.just(""), st.from_regex(r"A[0-9]{10}", fullmatch=True))
stamps = st.builds(Stamp, orders, numbers)


def test_a_greater_sequence_number_wins_over_a_later_poll():
    assert is_newer(Stamp(Order(1, 9), "A0000000001"), Stamp(Order(1, 3), "A0000000002"))
    assert not is_newer(Stamp(Order(1, 3), "A0000000002"), Stamp(Order(1, 9), "A0000000001"))


def test_an_equal_sequence_number_is_the_same_presence_again():
    assert not is_newer(Stamp(Order(1, 3), "A0000000002"), Stamp(Order(1, 4), "A0000000002"))


@pytest.mark.parametrize(("stored", "new"), [("", "A1"), ("A1", ""), ("", "")])
def test_without_both_numbers_the_later_poll_wins(stored, new):
    assert is_newer(Stamp(Order(1, 3), stored), Stamp(Order(1, 4), new))
    assert not is_newer(Stamp(Order(1, 4), stored), Stamp(Order(1, 4), new))
    assert not is_newer(Stamp(Order(1, 4), stored), Stamp(Order(1, 3), new))


def test_a_new_owner_counts_its_polls_from_the_start_and_still_wins():
    assert is_newer(Stamp(Order(7, 1_000_000)), Stamp(Order(8, 0)))


@given(stamps, stamps)
def test_of_two_observations_at_most_one_is_newer(one, other):
    assert not (is_newer(one, other) and is_newer(other, one))


@given(stamps)
def test_nothing_is_newer_than_itself(stamp):
    assert not is_newer(stamp, stamp)


@given(st.permutations([Stamp(Order(1, n), f"A{n:010}") for n in range(6)]))
def test_in_whatever_order_numbered_observations_arrive_the_newest_stays(arriving):
    stored = arriving[0]
    for stamp in arriving[1:]:
        stored = stamp if is_newer(stored, stamp) else stored
    assert stored.sequence_number == "A0000000005"


def test_a_notification_is_believed_only_when_it_is_newer_than_all_that_was_seen():
    newest = Newest()
    newest.read("A0000000002")
    assert newest.lets_through("A0000000003")
    assert not newest.lets_through("A0000000002")
    assert not newest.lets_through("A0000000001")
    assert not newest.lets_through("")


def test_a_notification_is_not_believed_before_this_owner_has_read_its_user():
    assert not Newest("A0000000002").lets_through("A0000000003")


def test_a_notification_of_the_known_version_says_nothing():
    newest = Newest()
    newest.read("A0000000002")
    assert newest.has("A0000000002")
    assert not newest.has("A0000000001")
    assert not newest.has("A0000000003")
    assert not newest.has("")


def test_nothing_is_known_before_this_owner_has_read_its_user():
    assert not Newest("A0000000002").has("A0000000002")


def test_a_notification_is_not_believed_after_a_read_without_a_number():
    newest = Newest()
    newest.read("A0000000002")
    newest.read("")
    assert not newest.lets_through("A0000000003")
    newest.read("A0000000001")  # of a server that lags
    assert not newest.lets_through("A0000000002")


CHANGED = {
    "user_id": UserId("11111111-0000-4000-8000-000000000002"),
    "upn": "Ada.Lovelace@contoso.example",
    "availability": Availability.BUSY,
    "raw_availability": "available",
    "raw_activity": "InACall",
    "idle": True,
    "idle_time": PRESENCE.observe_time,
    "console_status": ConsoleStatus.BUSY,
    "status_message": "back at ten",
    "out_of_office": OutOfOffice(active=True, message="back on Monday"),
}
IGNORED = {
    "observe_time": PRESENCE.observe_time + timedelta(seconds=5),
    "source": Source.NOTIFICATION,
    "sequence_number": "A0000000009",
}


def test_each_field_of_a_presence_is_told_or_ignored_on_purpose():
    assert {field.name for field in dataclasses.fields(Presence)} == CHANGED.keys() | IGNORED.keys()


@pytest.mark.parametrize("field", sorted(CHANGED))
def test_a_difference_that_suites_must_be_told(field):
    assert differs(PRESENCE, replace(PRESENCE, **{field: CHANGED[field]}))


@pytest.mark.parametrize("field", sorted(IGNORED))
def test_a_difference_that_is_none(field):
    assert not differs(PRESENCE, replace(PRESENCE, **{field: IGNORED[field]}))
