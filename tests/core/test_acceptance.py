"""Observations that change an answer: newer, believed, known or unsure; and that deciding changes nothing."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.presence import DirectoryNames, Observation, OutOfOffice, Presence, Source, Status, UserId
from relay.core.reading.acceptance import Acceptance, Disclosure, Known, People, disclosure_of, moved
from relay.core.reading.ordering import LAG_S, NOTHING_SEEN, Newest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADA, BEN = UserId("aaaaaaaa-0000-4000-8000-000000000001"), UserId("bbbbbbbb-0000-4000-8000-000000000002")
NOBODY = People({}, {})
RULES = Acceptance()

numbers = st.one_of(st.just(""), st.integers(0, 5).map(lambda n: f"A{n}"))
newests = st.builds(Newest, numbers, st.booleans(), st.one_of(st.none(), st.floats(0, 100)), st.integers(0, 4))
states = st.sampled_from(["Available", "Busy", "Away"])
observations = st.builds(
    lambda user, state, number: Observation(user, state, state, sequence_number=number),
    st.sampled_from([ADA, BEN]),
    states,
    numbers,
)


def said(state: str = "Available", number: str = "", user: UserId = ADA, out: OutOfOffice | None = None) -> Observation:
    return Observation(user, state, state, sequence_number=number, out_of_office=out)


def presence(state: str = "Available", number: str = "", user: UserId = ADA) -> Presence:
    return RULES.present(said(state, number, user), None, NOBODY, Source.POLL, NOW)


def held(state: str = "Available", number: str = "A2", *, is_read: bool = True) -> Known:
    return Known(presence(state, number), Newest(number, is_read, 0.0))


answers = st.one_of(st.none(), st.sampled_from([Status.STALE, Status.PENDING]), states.map(presence))
knowns = st.dictionaries(st.sampled_from([ADA, BEN]), st.builds(Known, answers, newests))


def read(known: dict[UserId, Known], *observed: Observation, at: float = 1.0):
    return RULES.judge_read(known, observed, NOBODY, now=NOW, at=at)


def notified(known: dict[UserId, Known], *observed: Observation, rules: Acceptance = RULES):
    return rules.judge_notifications(known, observed, NOBODY, now=NOW, at=1.0)


# Reads


def test_the_first_read_of_a_user_is_a_change():
    decision = read({}, said("Busy", "A1"))
    assert isinstance(answer := decision.changed[ADA], Presence)
    assert answer.raw_availability == "Busy"
    assert answer.source is Source.POLL


def test_a_read_that_says_the_same_is_only_remembered():
    decision = read({ADA: held(number="A2")}, said(number="A3"))
    assert decision.changed == {}
    assert decision.seen[ADA].number == "A3"


def test_a_read_of_a_user_who_has_a_status_is_a_change_though_graph_says_the_same():
    known = {ADA: Known(Status.STALE, Newest("A2", is_read=True, seen=0.0))}
    assert ADA in read(known, said(number="A2")).changed


def test_an_older_read_is_doubted_and_counted():
    known = {ADA: held("Busy", "A2")}
    decision = read(known, said("Available", "A1"))
    assert (decision.changed, decision.doubted) == ({}, [ADA])
    assert (decision.seen[ADA].number, decision.seen[ADA].older) == ("A2", 1)


@pytest.mark.fault("B8")
def test_older_reads_are_believed_once_no_server_can_lag_any_more_even_when_they_say_the_same():
    known = {ADA: held("Busy", "A2")}
    for at in (1.0, 2.0):
        known[ADA].newest = read(known, said("Busy", "A1"), at=at).seen[ADA]
    decision = read(known, said("Busy", "A1"), at=LAG_S + 1)
    assert ADA in decision.changed, "else the stored number keeps the next change out"


def test_a_read_because_of_a_notification_says_so():
    decision = RULES.judge_read({}, [said()], NOBODY, now=NOW, at=1.0, announced={ADA})
    assert isinstance(answer := decision.changed[ADA], Presence)
    assert answer.source is Source.NOTIFICATION


def test_a_canonical_name_that_is_known_now_is_a_change():
    people = People({ADA: "ada@contoso.example"}, {})
    decision = RULES.judge_read({ADA: held()}, [said(number="A2")], people, now=NOW, at=1.0)
    assert isinstance(answer := decision.changed[ADA], Presence)
    assert answer.upn == "ada@contoso.example"


# Notifications


@pytest.mark.parametrize("state", ["Available", "Busy"])
def test_a_notification_of_the_known_version_says_nothing(state: str):
    decision = notified({ADA: held(number="A2")}, said(state, "A2"))
    assert (decision.changed, decision.unsure, decision.seen) == ({}, [], {})


def test_a_newer_notification_is_accepted_as_it_is():
    decision = notified({ADA: held("Available", "A2")}, said("Busy", "A3"))
    assert isinstance(answer := decision.changed[ADA], Presence)
    assert (answer.raw_availability, answer.source) == ("Busy", Source.NOTIFICATION)
    assert decision.unsure == []


def test_a_newer_notification_of_the_same_state_is_only_remembered():
    decision = notified({ADA: held("Busy", "A2")}, said("Busy", "A3"))
    assert decision.changed == {}
    assert decision.seen[ADA].number == "A3"


@pytest.mark.parametrize(
    ("known", "number"),
    [
        ({}, "A3"),
        ({ADA: held("Busy", "A2", is_read=False)}, "A3"),
        ({ADA: held("Busy", "A2")}, "A1"),
        ({ADA: held("Busy", "A2")}, ""),
        ({ADA: Known(Status.STALE, Newest("A2", is_read=True, seen=0.0))}, "A3"),
    ],
    ids=["unknown user", "not read by this owner", "older", "without a number", "after a status"],
)
def test_any_other_notification_has_its_user_read(known: dict[UserId, Known], number: str):
    decision = notified(known, said("Available", number))
    assert (decision.changed, decision.unsure) == ({}, [ADA])


def test_of_several_notifications_of_one_user_the_newest_counts():
    decision = notified({ADA: held("Available", "A2")}, said("Busy", "A4"), said("Away", "A3"))
    assert isinstance(answer := decision.changed[ADA], Presence)
    assert answer.raw_availability == "Busy"


@pytest.mark.parametrize(("out", "is_sure"), [(None, False), (OutOfOffice(active=False, message=""), True)])
def test_a_notification_without_texts_is_not_sure_where_the_tenant_discloses_them(
    out: OutOfOffice | None, is_sure: bool
):
    rules = Acceptance(Disclosure(out_of_office=True))
    decision = notified({ADA: held("Available", "A2")}, said("Busy", "A3", out=out), rules=rules)
    assert (ADA in decision.changed) is is_sure
    assert (ADA in decision.unsure) is not is_sure


# Disclosure


def test_only_what_the_tenant_turned_on_is_disclosed():
    observation = Observation(
        ADA, "Busy", "Busy", status_message="at lunch", out_of_office=OutOfOffice(active=True, message="back soon")
    )
    people = People({}, {ADA: DirectoryNames("Ada Adler")})
    closed = Acceptance().present(observation, None, people, Source.POLL, NOW)
    assert (closed.status_message, closed.out_of_office, closed.called) == (None, None, DirectoryNames())
    everything = disclosure_of({"pass_status_message": "on", "pass_out_of_office": "on", "pass_names": "on"})
    opened = Acceptance(everything).present(observation, None, people, Source.POLL, NOW)
    assert (opened.status_message, opened.called) == ("at lunch", DirectoryNames("Ada Adler"))
    assert opened.out_of_office is not None


# Properties


@given(knowns, st.lists(observations, max_size=6))
def test_deciding_changes_nothing_and_decides_the_same_again(known, observed):
    before = copy.deepcopy(known)
    one_each = list({one.user_id: one for one in observed}.values())
    assert read(known, *one_each) == read(known, *one_each)
    assert notified(known, *observed) == notified(known, *observed)
    assert known == before


@given(knowns, st.lists(observations, max_size=6))
def test_every_observation_of_a_read_is_changed_seen_or_doubted(known, observed):
    one_each = {one.user_id: one for one in observed}
    decision = read(known, *one_each.values())
    assert decision.seen.keys() == one_each.keys()
    assert not decision.changed.keys() & set(decision.doubted)
    for user in decision.changed.keys() | set(decision.doubted):
        assert user in one_each
    for user in decision.doubted:
        assert one_each[user].sequence_number < known[user].newest.number


@given(knowns, st.lists(observations, max_size=6))
def test_an_accepted_notification_is_newer_than_all_that_was_seen_of_a_read_user(known, observed):
    decision = notified(known, *observed)
    assert not (decision.changed.keys() & set(decision.unsure))
    for user, answer in decision.changed.items():
        assert known[user].newest.is_read
        assert isinstance(answer, Presence)
        assert answer.sequence_number > known[user].newest.number
        assert isinstance(known[user].answer, Presence)


@given(knowns, st.lists(observations, max_size=6))
def test_every_notification_is_accepted_or_read_or_known(known, observed):
    decision = notified(known, *observed)
    settled = decision.changed.keys() | set(decision.unsure) | decision.seen.keys()
    for one in observed:
        assert one.user_id in settled or known[one.user_id].newest.has(one.sequence_number)


@given(knowns, observations)
def test_what_was_accepted_once_is_no_change_the_second_time(known, observed):
    user = observed.user_id
    decision = read(known, observed)
    if user in decision.changed:
        newest = decision.seen[user].taken(observed.sequence_number, 1.0)
        again = read({user: Known(decision.changed[user], newest)}, observed)
        assert again.changed == {}
        assert again.doubted == []


@given(knowns, st.lists(observations, max_size=6))
def test_only_users_with_another_state_than_before_have_moved(known, observed):
    decision = read(known, *{one.user_id: one for one in observed}.values())
    for user in moved(known, decision.changed):
        before, after = known[user].answer, decision.changed[user]
        assert isinstance(before, Presence)
        assert isinstance(after, Presence)
        assert before.raw_availability != after.raw_availability


def test_nothing_seen_lets_no_notification_through():
    assert not NOTHING_SEEN.lets_through("A9")
