from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.presence import Availability as A  # noqa: N817 - the table reads better
from relay.core.presence import ConsoleStatus as C
from relay.core.showing.mapping import LOOKS, TABLE, Mapped, Row, RowKey, explain, map_presence, overrides, row_key

PROTO = Path(__file__).parents[2] / "protos/relay/api/presence/v1/presence.proto"

# Written down apart from the table on purpose, in the spellings that Microsoft published.
OLD_SPELLING = [
    ("Available", "Available", A.AVAILABLE, False, C.AVAILABLE),
    ("Available", "OutOfOffice", A.AVAILABLE, False, C.OUT_OF_OFFICE),
    ("Available", "AvailableInactive", A.AVAILABLE, True, C.AVAILABLE_IDLE),
    ("Available", "Inactive", A.AVAILABLE, True, C.AVAILABLE_IDLE),
    ("AvailableIdle", "Available", A.AVAILABLE, True, C.AVAILABLE_IDLE),
    ("AvailableIdle", "Inactive", A.AVAILABLE, True, C.AVAILABLE_IDLE),
    ("AvailableIdle", "OutOfOffice", A.AVAILABLE, True, C.OUT_OF_OFFICE),
    ("Away", "Away", A.AWAY, False, C.AWAY),
    ("Away", "BeRightBack", A.BE_RIGHT_BACK, False, C.BE_RIGHT_BACK),
    ("Away", "OutOfOffice", A.AWAY, False, C.OUT_OF_OFFICE),
    ("BeRightBack", "BeRightBack", A.BE_RIGHT_BACK, False, C.BE_RIGHT_BACK),
    ("Busy", "Busy", A.BUSY, False, C.BUSY),
    ("Busy", "InACall", A.BUSY, False, C.IN_A_CALL),
    ("Busy", "InAConferenceCall", A.BUSY, False, C.IN_A_CALL),
    ("Busy", "InAMeeting", A.BUSY, False, C.IN_A_MEETING),
    ("Busy", "Presenting", A.BUSY, False, C.PRESENTING),
    ("Busy", "Focusing", A.BUSY, False, C.FOCUSING),
    ("Busy", "OutOfOffice", A.BUSY, False, C.BUSY),
    ("Busy", "Inactive", A.BUSY, True, C.BUSY_IDLE),
    ("BusyIdle", "Busy", A.BUSY, True, C.BUSY_IDLE),
    ("BusyIdle", "InAMeeting", A.BUSY, True, C.BUSY_IDLE),
    ("DoNotDisturb", "DoNotDisturb", A.DO_NOT_DISTURB, False, C.DO_NOT_DISTURB),
    ("DoNotDisturb", "Presenting", A.DO_NOT_DISTURB, False, C.PRESENTING),
    ("DoNotDisturb", "Focusing", A.DO_NOT_DISTURB, False, C.FOCUSING),
    ("DoNotDisturb", "UrgentInterruptionsOnly", A.DO_NOT_DISTURB, False, C.FOCUSING),
    ("DoNotDisturb", "InACall", A.DO_NOT_DISTURB, False, C.DO_NOT_DISTURB),
    ("Offline", "Offline", A.OFFLINE, False, C.OFFLINE),
    ("Offline", "OffWork", A.OFFLINE, False, C.OFFLINE),
    ("Offline", "OutOfOffice", A.OFFLINE, False, C.OUT_OF_OFFICE),
    ("OutOfOffice", "OutOfOffice", A.AWAY, False, C.OUT_OF_OFFICE),
    ("PresenceUnknown", "PresenceUnknown", A.UNKNOWN, False, C.UNKNOWN),
]
NEW_SPELLING = [
    ("available", "available", A.AVAILABLE, False, C.AVAILABLE),
    ("available", "outOfOffice", A.AVAILABLE, False, C.OUT_OF_OFFICE),
    ("away", "away", A.AWAY, False, C.AWAY),
    ("beRightBack", "beRightBack", A.BE_RIGHT_BACK, False, C.BE_RIGHT_BACK),
    ("busy", "busy", A.BUSY, False, C.BUSY),
    ("doNotDisturb", "doNotDisturb", A.DO_NOT_DISTURB, False, C.DO_NOT_DISTURB),
    ("focusing", "doNotDisturb", A.DO_NOT_DISTURB, False, C.FOCUSING),
    ("inACall", "busy", A.BUSY, False, C.IN_A_CALL),
    ("inACall", "outOfOffice", A.BUSY, False, C.IN_A_CALL),
    ("inAMeeting", "busy", A.BUSY, False, C.IN_A_MEETING),
    ("offline", "offline", A.OFFLINE, False, C.OFFLINE),
    ("presenting", "doNotDisturb", A.DO_NOT_DISTURB, False, C.PRESENTING),
    ("presenceUnknown", "presenceUnknown", A.UNKNOWN, False, C.UNKNOWN),
]
# The third has the second's words with the first's letters.
THIRD_SPELLING = [(a[0].upper() + a[1:], b[0].upper() + b[1:], *rest) for a, b, *rest in NEW_SPELLING]
COMBINED = [
    ("Busy / InACall + OOF", "", A.BUSY, False, C.IN_A_CALL),
    ("Busy", "InACall + OOF", A.BUSY, False, C.IN_A_CALL),
    ("Busy/InACall + OOF", "Busy/InACall + OOF", A.BUSY, False, C.IN_A_CALL),
    ("Available + OOF", "", A.AVAILABLE, False, C.OUT_OF_OFFICE),
    ("available, outOfOffice", "available", A.AVAILABLE, False, C.OUT_OF_OFFICE),
    ("OutOfOffice", "Available", A.AVAILABLE, False, C.OUT_OF_OFFICE),
    ("Do Not Disturb", "Urgent interruptions only", A.DO_NOT_DISTURB, False, C.FOCUSING),
]
UNKNOWN = [
    ("Busy", "JugglingOranges", A.BUSY, False, C.BUSY),
    ("Available", "", A.AVAILABLE, False, C.AVAILABLE),
    ("", "InACall", A.BUSY, False, C.IN_A_CALL),
    ("Levitating", "DoNotDisturb", A.DO_NOT_DISTURB, False, C.DO_NOT_DISTURB),
    ("Levitating", "JugglingOranges", A.UNKNOWN, False, C.UNKNOWN),
    ("PresenceUnknown", "Available", A.UNKNOWN, False, C.UNKNOWN),
    ("", "", A.UNKNOWN, False, C.UNKNOWN),
    ("Offline" + "x" * 100_000, "/" * 100_000, A.UNKNOWN, False, C.UNKNOWN),
]
ALL = OLD_SPELLING + NEW_SPELLING + THIRD_SPELLING + COMBINED + UNKNOWN


@pytest.mark.parametrize(("availability", "activity", "state", "idle", "console_status"), ALL)
def test_published_values_map_as_published(availability, activity, state, idle, console_status):
    assert map_presence(availability, activity, None) == Mapped(state, idle, console_status)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.availability}-{row.activity}")
def test_every_row_is_reached(row: Row):
    assert map_presence(row.availability, row.activity) == Mapped(row.state, row.idle, row.console_status)
    assert map_presence(row.availability, row.activity, True) == Mapped(row.state, row.idle, row.when_out)


def test_every_row_of_the_table_has_an_expectation_of_its_own():
    expected = {(a.casefold(), b.casefold()) for a, b, *_ in ALL}
    missing = [row for row in TABLE if row.activity and (row.availability, row.activity) not in expected]
    assert not missing


def test_settings_say_out_of_office_where_the_activity_does_not():
    assert map_presence("Available", "Available", True).console_status is C.OUT_OF_OFFICE
    assert map_presence("Offline", "Offline", True) == Mapped(A.OFFLINE, False, C.OUT_OF_OFFICE)
    assert map_presence("Busy", "InACall", True).console_status is C.IN_A_CALL
    assert map_presence("Available", "Available", False).console_status is C.AVAILABLE


words = st.sampled_from(sorted({word for row in TABLE for word in (row.availability, row.activity)}))
texts = st.one_of(st.text(max_size=40), words)


@given(texts, texts, st.sampled_from([None, False, True]))
def test_letter_case_never_matters(availability, activity, out):
    expected = map_presence(availability.casefold(), activity.casefold(), out)
    assert map_presence(availability, activity, out) == expected
    # `upper` changes some letters for good ("ı" -> "I"), so it is compared with what it became.
    upper = (availability.upper(), activity.upper())
    assert map_presence(*upper, out) == map_presence(upper[0].casefold(), upper[1].casefold(), out)


@given(st.text(), st.text(), st.booleans())
def test_any_text_maps_to_something_that_a_console_can_draw(availability, activity, out):
    mapped = map_presence(availability, activity, out)
    assert mapped.console_status in LOOKS
    assert isinstance(mapped.availability, A)


@given(words.filter(bool), st.text(alphabet="QXZ", min_size=3))
def test_an_unknown_activity_falls_back_to_the_availability(availability, activity):
    assert map_presence(availability, activity) == map_presence(availability, "")


@given(st.text(alphabet="QXZ", min_size=3), st.text(alphabet="QXZ", min_size=3))
def test_what_nobody_knows_is_unknown_and_never_offline(availability, activity):
    assert map_presence(availability, activity) == Mapped(A.UNKNOWN, False, C.UNKNOWN)


def test_a_tenant_overrides_the_console_status_of_one_row_only():
    overrides = {row_key("AvailableIdle"): C.AVAILABLE}
    assert map_presence("AvailableIdle", "Available", None, overrides) == Mapped(A.AVAILABLE, True, C.AVAILABLE)
    assert map_presence("Available", "Inactive", None, overrides).console_status is C.AVAILABLE_IDLE
    assert map_presence("AvailableIdle", "Available", True, overrides).console_status is C.OUT_OF_OFFICE
    assert map_presence("AvailableIdle", "Available").console_status is C.AVAILABLE_IDLE


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("AvailableIdle", RowKey("availableidle", "", False)),
        ("Busy / InACall", RowKey("busy", "inacall", False)),
        ("away + OOF", RowKey("away", "", True)),
        ("Busy / InACall + OOF", RowKey("busy", "inacall", True)),
        ("OutOfOffice", RowKey("outofoffice", "", False)),
    ],
)
def test_rows_are_named_as_microsoft_names_them(text, key):
    assert row_key(text) == key


@pytest.mark.parametrize("text", ["", "Levitating", "Busy / OffWork", "Busy / InACall / InAMeeting", "+"])
def test_a_row_that_does_not_exist_cannot_be_overridden(text):
    with pytest.raises(ValueError, match="no row"):
        row_key(text)


def test_the_comments_of_the_protocol_state_icons_and_colours_of_the_table():
    comments = re.findall(
        r'// [^\n]*(?:\n  // [^\n]*)??Icon "([a-z-]+)", ([a-z ]+)\.\n  CONSOLE_STATUS_(\w+) = (\d+);', PROTO.read_text()
    )
    documented = {C(int(number)): (name, icon, colour) for icon, colour, name, number in comments}
    assert documented == {status: (status.name, look.icon, look.colour.value) for status, look in LOOKS.items()}
    assert set(LOOKS) == set(C)


def test_the_row_behind_a_presence_is_explained_with_its_override() -> None:
    own = overrides({"map:Busy / InACall": "DO_NOT_DISTURB", "map:nonsense": "AWAY", "map:Away": "nothing"})
    found = explain("Busy", "InACall", None, own)
    assert (found.name, found.override) == ("busy / inacall", C.DO_NOT_DISTURB)
    assert found.mapped.console_status is C.DO_NOT_DISTURB
    out = explain("Away", "Away", True, own)
    assert (out.name, out.override, out.mapped) == ("away + oof", None, map_presence("Away", "Away", True))


@pytest.mark.parametrize("row", TABLE)
def test_every_row_is_called_what_an_override_calls_it(row: Row) -> None:
    found = explain(row.availability, row.activity)
    assert row_key(found.name) == RowKey(found.row.availability, found.row.activity, False)


PUBLISHED = (
    (
        "Available AvailableIdle Away BeRightBack Busy BusyIdle DoNotDisturb Offline PresenceUnknown",
        "Available Away BeRightBack Busy DoNotDisturb InACall InAConferenceCall Inactive InAMeeting Offline OffWork OutOfOffice "
        "PresenceUnknown Presenting UrgentInterruptionsOnly",
    ),
    (
        "available away beRightBack busy doNotDisturb focusing inACall inAMeeting offline presenting presenceUnknown",
        "available away beRightBack busy doNotDisturb offline outOfOffice presenceUnknown",
    ),
)
"""What https://learn.microsoft.com/graph/api/resources/presence lists for each field, in both spellings."""


@pytest.mark.fault("F6")
@pytest.mark.parametrize("published", PUBLISHED)
def test_every_combination_of_published_values_is_a_known_state_unless_microsoft_does_not_know(published):
    availabilities, activities = (values.split() for values in published)
    unknown = {
        (availability, activity)
        for availability in availabilities
        for activity in activities
        if map_presence(availability, activity).availability is A.UNKNOWN
    }
    assert unknown == {(a, b) for a in availabilities for b in activities if a.casefold() == "presenceunknown"}
