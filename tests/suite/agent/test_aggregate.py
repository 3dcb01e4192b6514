"""The rules of aggregation, for every combination of what sources say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.agent.core.aggregate import DO_NOT_DISTURB_STATES, NO_SOURCE, aggregate
from suite.agent.core.table import shown_table, winner_table
from suite.agent.core.values import (
    PhoneSource,
    RichState,
    RichStatement,
    Rule,
    ShownStatus,
    SourceName,
    TelephonyState,
    TelephonyStatement,
)
from suite.values import ConsoleStatus

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEAMS, SIP, LOCAL = SourceName.TEAMS, SourceName.SIP, SourceName.LOCAL

times = st.integers(-3600, 3600).map(lambda seconds: NOW + timedelta(seconds=seconds))
knowing = st.builds(
    RichStatement,
    state=st.sampled_from([state for state in RichState if state is not RichState.UNKNOWN]),
    since=st.none() | times,
    is_uncertain=st.booleans(),
)
unknowing = st.builds(RichStatement, reason=st.sampled_from(["", "stale", "not_found"]))
riches = st.dictionaries(st.sampled_from(SourceName), knowing | unknowing)
phones = st.dictionaries(
    st.sampled_from(PhoneSource),
    st.builds(TelephonyStatement, state=st.sampled_from(TelephonyState), since=times, is_uncertain=st.booleans()),
)
winners = st.sampled_from(SourceName)

few = settings(max_examples=60)


@few
@given(riches, phones, winners)
def test_unknown_is_shown_with_its_reason_exactly_when_no_source_knows(rich, phone, winning):
    found = aggregate(rich, phone, winning)
    is_known = any(one.is_known for one in rich.values()) or any(
        one.state is not TelephonyState.UNKNOWN for one in phone.values()
    )
    assert (found.status is not ShownStatus.UNKNOWN) == is_known
    assert bool(found.reason) == (not is_known)
    if not is_known:
        reasons = {one.reason for one in rich.values() if one.reason}
        assert found.reason in (reasons or {NO_SOURCE})
        if winning in rich and rich[winning].reason:
            assert found.reason == rich[winning].reason


@few
@given(riches, phones, winners)
def test_the_winning_technology_counts_when_it_knows_and_otherwise_one_that_does(rich, phone, winning):
    found = aggregate(rich, phone, winning)
    knows = {source for source, one in rich.items() if one.is_known}
    if winning in knows:
        assert found.rich_source is winning
    elif knows:
        assert found.rich_source in knows
    else:
        assert (found.rich_source, found.rich) == (None, RichState.UNKNOWN)
    if found.rich_source is not None:
        assert found.rich is rich[found.rich_source].state


@few
@given(riches, phones, winners)
def test_nothing_depends_on_the_order_in_which_sources_spoke(rich, phone, winning):
    backwards = dict(reversed(rich.items())), dict(reversed(phone.items()))
    assert aggregate(rich, phone, winning) == aggregate(*backwards, winning)


@few
@given(riches, phones, winners)
def test_a_state_is_shown_only_if_somebody_said_it_and_with_the_time_of_who_said_it(rich, phone, winning):
    found = aggregate(rich, phone, winning)
    if found.rule in (Rule.RICH, Rule.RICH_DO_NOT_DISTURB):
        said = rich[found.rich_source]
        assert (found.status.value, found.since, found.is_uncertain) == (
            said.state.value, said.since, said.is_uncertain,
        )  # fmt: skip
    elif found.rule is not Rule.NOTHING_KNOWN:
        told = TelephonyStatement(state=found.telephony, since=found.since, is_uncertain=found.is_uncertain)
        assert told in phone.values()


@few
@given(riches, winners, st.sampled_from([TelephonyState.RINGING, TelephonyState.BUSY]), times)
def test_a_phone_in_use_is_covered_by_do_not_disturb_only_whatever_is_older_or_newer(rich, winning, state, since):
    found = aggregate(rich, {PhoneSource.SIP: TelephonyStatement(state=state, since=since)}, winning)
    assert found.telephony is state
    if found.rich in DO_NOT_DISTURB_STATES:
        assert found.rule is Rule.RICH_DO_NOT_DISTURB
    else:
        assert (
            found.status
            is {
                TelephonyState.RINGING: ShownStatus.PHONE_RINGING,
                TelephonyState.BUSY: ShownStatus.ON_THE_PHONE,
            }[state]
        )


@pytest.mark.parametrize(
    ("rich", "phone", "shown"),
    [
        ("available", "do_not_disturb", "do_not_disturb"),
        ("do_not_disturb", "forwarded_to_voicemail", "do_not_disturb"),
        ("presenting", "busy", "presenting"),
        ("focusing", "do_not_disturb", "focusing"),
        ("available", "forwarded_to_voicemail", "forwarded_to_voicemail"),
        ("busy", "forwarded_to_number", "forwarded_to_number"),
        ("unknown", "forwarded_to_number", "forwarded_to_number"),
        ("available", "ringing", "phone_ringing"),
        ("away", "busy", "on_the_phone"),
        ("in_a_meeting", "idle", "in_a_meeting"),
        ("offline", "idle", "offline"),
        ("unknown", "idle", "phone_free"),
        ("available", "unknown", "available"),
        ("unknown", "unknown", "unknown"),
    ],
)
def test_do_not_disturb_is_over_forwarded_over_a_phone_in_use_over_rich_presence(rich: str, phone: str, shown: str):
    stated = {TEAMS: RichStatement(state=RichState(rich))}
    found = aggregate(stated, {PhoneSource.LOCAL: TelephonyStatement(state=TelephonyState(phone))}, TEAMS)
    assert found.status.value == shown


@pytest.mark.parametrize(
    ("local", "sip", "counts"),
    [
        ("forwarded_to_voicemail", "busy", "forwarded_to_voicemail"),
        ("idle", "busy", "idle"),
        ("unknown", "busy", "busy"),
        (None, "ringing", "ringing"),
        ("busy", None, "busy"),
    ],
)
def test_what_programs_tell_of_a_phone_is_over_what_was_read_by_sip(local: str | None, sip: str | None, counts: str):
    told = {PhoneSource.LOCAL: local, PhoneSource.SIP: sip}
    phone = {source: TelephonyStatement(state=TelephonyState(state)) for source, state in told.items() if state}
    assert aggregate({}, phone, TEAMS).telephony.value == counts


def test_rich_states_are_the_console_statuses_of_the_protocol():
    assert {state.value for state in RichState} == {status.label for status in ConsoleStatus}
    assert {state.value for state in RichState} <= {status.value for status in ShownStatus}


def test_the_tables_have_every_combination():
    assert shown_table().count("\n") == 2 + len(RichState)
    assert "| **away** | `away` | `away` | `phone_ringing` | `on_the_phone` | `do_not_disturb` |" in shown_table()
    assert winner_table().count("\n") == 2 + 2 ** len(SourceName)
    assert (
        "| sources that know the colleague | MSTeams wins | SipSimple wins | SfB wins | Local wins |\n"
        in winner_table()
    )
    assert "| MSTeams, SipSimple | MSTeams | SipSimple | MSTeams | MSTeams |\n" in winner_table()
    assert "| SfB, Local | SfB | SfB | SfB | Local |\n" in winner_table()
    assert "| none | none | none | none | none |\n" in winner_table()
