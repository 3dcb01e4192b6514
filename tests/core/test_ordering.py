from __future__ import annotations

import dataclasses
import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.presence import Availability, ConsoleStatus, DirectoryNames, OutOfOffice, Presence, Source, UserId
from relay.core.reading.ordering import LAG_S, Age, Newest, Order, Stamp, differs, is_newer
from tests.core.presences import PRESENCE

orders = st.builds(Order, st.integers(0, 5), st.integers(0, 50))
numbers = st.one_of(st.just(""), st.from_regex(r"A[0-9]{10}", fullmatch=True))
stamps = st.builds(Stamp, orders, numbers)


def test_a_greater_sequence_number_wins_over_a_later_poll():
    assert is_newer(Stamp(Order(1, 9), "A0000000001"), Stamp(Order(1, 3), "A0000000002"))
    assert not is_newer(Stamp(Order(1, 3), "A0000000002"), Stamp(Order(1, 9), "A0000000001"))


@pytest.mark.fault("B9")
def test_of_equal_sequence_numbers_the_later_poll_wins():
    assert is_newer(Stamp(Order(1, 3), "A0000000002"), Stamp(Order(1, 4), "A0000000002"))
    assert not is_newer(Stamp(Order(1, 4), "A0000000002"), Stamp(Order(1, 3), "A0000000002"))


@pytest.mark.fault("B8")
def test_where_numbers_begin_again_the_later_poll_wins():
    stored = Stamp(Order(1, 3), "A9999999999")
    assert not is_newer(stored, Stamp(Order(1, 4), "A0000000001"))
    assert is_newer(stored, Stamp(Order(1, 4), "A0000000001"), restarts=True)
    assert not is_newer(stored, Stamp(Order(1, 2), "A0000000001"), restarts=True)


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


class Reads:
    """The newest number of one user whose reads are all accepted where they are not older."""

    def __init__(self, number: str = "") -> None:
        self.newest = Newest(number)

    def read(self, number: str, now: float = 0.0) -> Age:
        age, weighed = self.newest.weigh(number, now)
        self.newest = weighed if age is Age.OLDER else weighed.taken(number, now)
        return age


def test_a_notification_is_believed_only_when_it_is_newer_than_all_that_was_seen():
    user = Reads()
    user.read("A0000000002")
    assert user.newest.lets_through("A0000000003")
    assert not user.newest.lets_through("A0000000002")
    assert not user.newest.lets_through("A0000000001")
    assert not user.newest.lets_through("")


def test_a_notification_is_not_believed_before_this_owner_has_read_its_user():
    assert not Newest("A0000000002").lets_through("A0000000003")


def test_a_notification_of_the_known_version_says_nothing():
    user = Reads()
    user.read("A0000000002")
    assert user.newest.has("A0000000002")
    assert not user.newest.has("A0000000001")
    assert not user.newest.has("A0000000003")
    assert not user.newest.has("")


def test_nothing_is_known_before_this_owner_has_read_its_user():
    assert not Newest("A0000000002").has("A0000000002")


def test_a_notification_is_not_believed_after_a_read_without_a_number():
    user = Reads()
    user.read("A0000000002")
    user.read("")
    assert not user.newest.lets_through("A0000000003")
    user.read("A0000000001")  # of a server that lags
    assert not user.newest.lets_through("A0000000002")


def test_what_a_lagging_server_says_is_not_believed():
    user = Reads()
    assert user.read("A0000000002", 0.0) is Age.NEWER
    assert [user.read("A0000000001", now) for now in (1.0, 2.0, 3.0, 9.0)] == [Age.OLDER] * 4
    assert user.read("A0000000002", 9.5) is Age.SAME
    assert [user.read("A0000000001", now) for now in (9.9, 15.0, 19.0)] == [Age.OLDER] * 3


@pytest.mark.fault("B8")
@pytest.mark.parametrize("number", ["A0000000001", "A10000000000"])
def test_several_reads_in_a_row_or_one_after_minutes_replace_a_greater_number(number: str):
    polled = Reads()
    polled.read("A9999999999", 0.0)
    assert [polled.read(number, now) for now in (5.0, 10.0, 15.0)] == [Age.OLDER, Age.OLDER, Age.RESTARTED]
    assert polled.newest.lets_through(number + "0")
    covered = Reads()
    covered.read("A9999999999", 0.0)
    assert [covered.read(number, now) for now in (60.0, 120.0)] == [Age.OLDER, Age.RESTARTED]
    of_an_earlier_owner = Reads("A9999999999")
    assert [of_an_earlier_owner.read(number, now) for now in (5.0, 10.0, 15.0)] == [
        Age.OLDER,
        Age.OLDER,
        Age.RESTARTED,
    ]


@pytest.mark.fault("B8", "B9")
@given(st.lists(st.tuples(st.floats(0, 200), numbers), max_size=20), numbers, st.floats(1, 60))
def test_whatever_was_before_what_reads_go_on_to_say_is_believed_in_the_end(before, number, interval):
    user, now = Reads(), 0.0
    for pause, other in before:
        now += pause
        user.read(other, now)
    ages = []
    for _ in range(3 + math.ceil(LAG_S / interval)):
        now += interval
        ages.append(user.read(number, now))
    assert ages[-1] is not Age.OLDER
    assert not number or user.newest.number == number


@given(st.lists(st.tuples(st.floats(0, 4), st.integers(0, 3)), max_size=40))
def test_while_servers_lag_no_older_version_is_believed(reads):
    """A version each 30 s; what a server says was the newest one less than the lag ago."""
    user, now, best = Reads(), 0.0, ""
    for pause, behind in reads:
        now += pause
        version = int(max(0.0, now - min(behind * 3.0, LAG_S - 0.1)) // 30)
        number = f"A{version:010}"
        if user.read(number, now) is not Age.OLDER:
            assert number >= best
            best = number


CHANGED = {
    "user_id": UserId("11111111-0000-4000-8000-000000000002"),
    "upn": "Ada.Lovelace@contoso.example",
    "called": DirectoryNames("Ada Adler"),
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
