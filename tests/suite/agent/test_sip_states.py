"""The states that phones are told, as pure rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.agent.core.aggregate import aggregate
from suite.agent.core.values import (
    Aggregation,
    PhoneSource,
    RichState,
    RichStatement,
    ShownStatus,
    SourceName,
    TelephonyState,
    TelephonyStatement,
)
from suite.agent.settings.groups.sip_server import LANGUAGES, LampKinds
from suite.agent.sipserver.documents import DocumentOptions, document_of
from suite.agent.sipserver.states import STATES, phone_state
from suite.agent.sipserver.table import phones_table
from suite.agent.sipserver.words import word_of
from suite.sip.dialoginfo import read_dialog_info
from suite.sip.pidf import read_pidf

ENTITY = "sip:1001@pbx.example"
FORWARDED = {ShownStatus.FORWARDED_TO_NUMBER, ShownStatus.FORWARDED_TO_VOICEMAIL}


def shown(rich: RichState, phone: TelephonyState) -> Aggregation:
    said = {SourceName.TEAMS: RichStatement(state=rich)}
    return aggregate(said, {PhoneSource.LOCAL: TelephonyStatement(state=phone)}, SourceName.TEAMS)


@pytest.mark.parametrize(
    ("status", "is_open", "rpid", "lamp", "calls_only"),
    [
        ("available", True, "", "terminated", "terminated"),
        ("available_idle", True, "idle", "terminated", "terminated"),
        ("busy", True, "busy", "confirmed", "terminated"),
        ("busy_idle", True, "busy idle", "confirmed", "terminated"),
        ("in_a_call", True, "on-the-phone", "confirmed", "confirmed"),
        ("in_a_meeting", True, "busy meeting", "confirmed", "terminated"),
        ("do_not_disturb", True, "busy", "confirmed", "terminated"),
        ("presenting", True, "busy", "confirmed", "terminated"),
        ("focusing", True, "busy", "confirmed", "terminated"),
        ("away", True, "away", "terminated", "terminated"),
        ("be_right_back", True, "away", "terminated", "terminated"),
        ("out_of_office", True, "away", "terminated", "terminated"),
        ("offline", False, "", "terminated", "terminated"),
        ("phone_free", True, "", "terminated", "terminated"),
        ("phone_ringing", True, "busy", "early", "early"),
        ("on_the_phone", True, "on-the-phone", "confirmed", "confirmed"),
    ],
)
def test_the_table(status: str, is_open: bool, rpid: str, lamp: str, calls_only: str):
    told = phone_state(Aggregation(status=ShownStatus(status)), "busy")
    only = phone_state(Aggregation(status=ShownStatus(status)), "calls")
    assert told is not None
    assert only is not None
    assert told.is_open is is_open
    assert " ".join([*sorted(told.activities), *(["idle"] if told.is_idle else [])]) == rpid
    assert (told.lamp, only.lamp) == (lamp, calls_only)


def test_every_state_is_in_the_table_but_unknown_and_a_forwarded_phone():
    assert set(ShownStatus) - STATES.keys() == {ShownStatus.UNKNOWN, *FORWARDED}
    assert phones_table().count("\n") == 2 + len(ShownStatus)
    assert "| `busy_idle` | `open` | `<rpid:busy/>` `<rpid:user-input>idle</rpid:user-input>` |" in phones_table()


@given(st.sampled_from(RichState), st.sampled_from(TelephonyState), st.sampled_from(["busy", "calls"]))
def test_a_lamp_blinks_if_and_only_if_the_phone_rings(rich: RichState, phone: TelephonyState, lamps: LampKinds):
    told = phone_state(shown(rich, phone), lamps)
    is_early = told is not None and told.lamp == "early"
    assert is_early == (shown(rich, phone).status is ShownStatus.PHONE_RINGING)
    if is_early:
        assert phone is TelephonyState.RINGING


@given(st.sampled_from(RichState), st.sampled_from(TelephonyState), st.sampled_from(LANGUAGES), st.text(max_size=300))
def test_every_document_is_read_back_as_it_was_meant(rich: RichState, phone: TelephonyState, language: str, note: str):
    now = shown(rich, phone)
    told = phone_state(now, "busy")
    options = DocumentOptions(lamps="busy", language=language)
    presence = document_of("presence", ENTITY, now, note, options, version=0, was_told=False)
    dialog = document_of("dialog", ENTITY, now, note, options, version=7, was_told=True)
    assert (presence is None) == (told is None)
    assert dialog is not None
    assert read_dialog_info(dialog).version == 7
    if told is not None and presence is not None:
        read = read_pidf(presence)
        assert (read.is_open, read.activities, read.is_idle) == (told.is_open, told.activities, told.is_idle)
        assert read.notes[0].startswith(word_of(now.status, language))
        assert [each.state for each in read_dialog_info(dialog).dialogs] == [told.lamp]


@pytest.mark.parametrize("rich", list(RichState))
@pytest.mark.parametrize("phone", [TelephonyState.FORWARDED_TO_NUMBER, TelephonyState.FORWARDED_TO_VOICEMAIL])
def test_a_forwarded_phone_is_told_by_rich_presence_and_a_note(rich: RichState, phone: TelephonyState):
    told, bare = phone_state(shown(rich, phone), "busy"), phone_state(shown(rich, TelephonyState.UNKNOWN), "busy")
    assert told is not None
    if rich in (RichState.DO_NOT_DISTURB, RichState.PRESENTING, RichState.FOCUSING):
        assert told == bare
    else:
        assert told.word.value == phone.value
        assert bare is None or (told.activities, told.lamp, told.is_open) == (bare.activities, bare.lamp, bare.is_open)


def test_phones_find_busy_as_text():
    """Baresip looks for `<rpid:busy/>`, without a blank."""
    now = shown(RichState.IN_A_MEETING, TelephonyState.UNKNOWN)
    document = document_of("presence", ENTITY, now, "", DocumentOptions(), version=0, was_told=False)
    assert document is not None
    assert b"<rpid:activities><rpid:busy/><rpid:meeting/></rpid:activities>" in document


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_has_a_word_in_every_language(language: str):
    assert all(word_of(status, language) for status in ShownStatus)
    assert word_of(ShownStatus.BUSY, language, is_uncertain=True).endswith(")")
