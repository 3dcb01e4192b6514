"""The rules of feeds: what is told of a colleague, under which name, as which bytes, and what is to be sent."""

from __future__ import annotations

import base64
import re
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.agent.core.values import RichState, RichStatement, ShownStatus, SourceName
from suite.agent.feeds.ami import (
    LONGEST_LINE,
    MOST_LINES,
    AmiReader,
    answer_to,
    device_variable,
    is_settable,
    presence_value,
    write_action,
)
from suite.agent.feeds.fed import fed_state
from suite.agent.feeds.names import FedNames, filled, leftovers
from suite.agent.feeds.states import DeviceState, PresenceState, device_state, presence_state
from suite.agent.feeds.wishes import Wishes
from suite.agent.settings.groups.sip_server import LampKinds
from suite.agent.sipserver.states import STATES
from suite.agent.users.reading import Colleague

LIT = {DeviceState.INUSE, DeviceState.BUSY}
KINDS: tuple[LampKinds, ...] = ("busy", "calls")


def said(**states: RichState) -> dict[SourceName, RichStatement]:
    return {SourceName[source]: RichStatement(state=state) for source, state in states.items()}


@pytest.mark.parametrize("winning", SourceName)
def test_what_a_sip_source_says_is_never_fed(winning: SourceName):
    both = said(TEAMS=RichState.AWAY, SIP=RichState.BUSY)
    assert fed_state(both, winning) is RichState.AWAY
    assert fed_state(said(SIP=RichState.BUSY), winning) is RichState.UNKNOWN


def test_the_winning_one_of_the_other_sources_is_fed():
    both = said(TEAMS=RichState.AWAY, LOCAL=RichState.BUSY)
    assert fed_state(both, SourceName.LOCAL) is RichState.BUSY
    assert fed_state(both, SourceName.TEAMS) is RichState.AWAY


@pytest.mark.parametrize(("state", "lamps"), list(product(RichState, KINDS)))
def test_a_lamp_is_lit_where_phones_at_our_own_server_see_one_lit(state: RichState, lamps: LampKinds):
    own = STATES.get(ShownStatus(state.value))
    is_lit = own is not None and own.lamp == "confirmed" and (lamps == "busy" or own.is_call)
    assert (device_state(state, lamps) in LIT) == is_lit


@pytest.mark.parametrize("state", RichState)
def test_nothing_is_told_as_ringing_and_the_unknown_is_not_told_as_free(state: RichState):
    assert device_state(state) in DeviceState
    assert "RING" not in device_state(state).value
    if state in (RichState.UNKNOWN, RichState.OFFLINE):
        assert device_state(state) is DeviceState.UNAVAILABLE
    assert presence_state(state).state in {"not_set", "unavailable", "available", "away", "xa", "dnd"}


# Names


def test_a_name_is_made_of_what_the_colleague_has():
    ada = Colleague(login="ada", upn="ada@x.org", extension="1001")
    assert filled("Custom:teams-{extension}", ada) == "Custom:teams-1001"
    assert filled("Custom:{login}-{upn}", ada) == "Custom:ada-ada@x.org"
    assert filled("Custom:teams-{extension}", Colleague(login="eve")) == ""


@given(st.text(max_size=20))
def test_whatever_a_login_is_a_name_ends_no_function_and_begins_no_line(login: str):
    names = FedNames(["Custom:{login}"], is_settable)
    names.set("key", Colleague(login=login, upn="x@y"))
    assert all(
        re.fullmatch(r"DEVICE_STATE\(Custom:[A-Za-z0-9_.@+*#-]{1,80}\)", device_variable(name)) for name in names["key"]
    )


def test_a_name_that_two_have_belongs_to_the_first_and_then_to_the_other():
    names = FedNames(["Custom:{extension}"], is_settable)
    ada, ben = Colleague(login="ada", extension="1"), Colleague(login="ben", extension="1")
    assert names.set("ada", ada) == []
    assert names.set("ben", ben) == []
    assert (names["ada"], names["ben"]) == (("Custom:1",), ())
    assert names.trouble.startswith("1 colleague is not fed")
    assert names.take_freed() == []
    assert names.set("ada", None) == ["Custom:1"]
    assert names.take_freed() == ["ben"]
    names.set("ben", ben)
    assert (names["ben"], names.trouble) == (("Custom:1",), "")


@pytest.mark.parametrize(
    ("template", "ours"),
    [
        ("Custom:teams-{extension}", ["Custom:teams-1001"]),
        ("Custom:teams-{login}", ["Custom:teams-1001", "Custom:teams-ada"]),
        ("Custom:{extension}", []),  # it could be anybody's
        ("Custom:{login}", []),
    ],
)
def test_only_what_a_template_alone_makes_is_taken_for_left_behind(template: str, ours: list[str]):
    assert (
        leftovers(template, ["Custom:teams-1001", "Custom:1001", "Custom:DND1001", "PJSIP/1001", "Custom:teams-ada"])
        == ours
    )


# Messages


def messages(*pieces: bytes) -> list[dict[str, str]]:
    reader = AmiReader()
    return [dict(message.fields) for piece in pieces for message in reader.feed(piece)]


RECORDED = (
    b"Response: Success\r\nActionID: 10\r\nEventList: start\r\nMessage: Device State Changes will follow\r\n\r\n"
    b"Event: DeviceStateChange\r\nActionID: 10\r\nDevice: Custom:teams-1001\r\nState: INUSE\r\n\r\n"
    b"Event: DeviceStateListComplete\r\nActionID: 10\r\nEventList: Complete\r\nListItems: 1\r\n\r\n"
)


@given(st.lists(st.integers(0, len(RECORDED)), max_size=12))
def test_messages_are_the_same_however_they_arrive(cuts: list[int]):
    places = [0, *sorted(cuts), len(RECORDED)]
    found = messages(*(RECORDED[a:b] for a, b in pairwise(places)))
    assert found == messages(RECORDED)
    assert [each.get("device") for each in found] == [None, "Custom:teams-1001", None]


def test_a_line_of_two_megabytes_is_left_out_and_not_held():
    reader = AmiReader()
    reader.feed(b"Response: Success\r\nNoise: ")
    for _ in range(32):
        assert reader.feed(b"x" * 65536) == []
        assert len(reader._line) <= LONGEST_LINE
    [message] = reader.feed(b"\r\nActionID: 7\r\n\r\n")
    assert dict(message.fields) == {"response": "Success", "actionid": "7"}


def test_a_message_of_endless_lines_is_cut():
    [found] = messages(b"".join(b"N%d: x\r\n" % each for each in range(3 * MOST_LINES)) + b"\r\n")
    assert len(found) == MOST_LINES


@given(st.binary(max_size=300))
def test_whatever_comes_is_read_without_error(noise: bytes):
    assert messages(noise, b"\r\n\r\nResponse: Success\r\nActionID: 1\r\n\r\n")[-1]["actionid"] == "1"


@given(st.text(max_size=40))
def test_no_value_begins_another_line(value: str):
    try:
        written = write_action("Setvar", "1", {"Value": value})
    except ValueError:
        assert not value.isprintable()
    else:
        assert written.count(b"\r\n") == 4
        assert b"\n" not in written.replace(b"\r\n", b"")


def test_the_secret_is_proven_as_asterisk_checks_it():
    assert answer_to("155865346", "ami-secret-of-the-test") == "5a82762623487af5a31ef4e99167c5b5"  # recorded


@given(st.text(max_size=20), st.text(max_size=60))
def test_texts_with_commas_or_strange_letters_arrive_whole(subtype: str, message: str):
    value = presence_value(PresenceState("dnd", subtype, message))
    state, *texts = value.split(",")
    if texts and texts[-1] == "e" and len(texts) == 3:
        texts = [base64.b64decode(text).decode() for text in texts[:2]]
    assert state == "dnd"
    assert [*texts, "", ""][:2] == [subtype, message]
    assert write_action("Setvar", "1", {"Value": value})


def test_only_names_that_end_no_function_can_be_set():
    assert is_settable("Custom:teams-1001")
    assert not any(is_settable(f"Custom:a{sign}b") for sign in ",)(&$ \r\n\"';")


# Wishes


def test_only_the_newest_value_is_sent_and_only_when_it_is_another():
    wishes = Wishes()
    for value in ("INUSE", "BUSY", "NOT_INUSE"):
        wishes.want("a", value)
    assert wishes.take() == ("a", "NOT_INUSE")
    wishes.want("a", "BUSY")
    assert wishes.take() is None  # one of a name at a time
    wishes.done("a")
    assert wishes.take() == ("a", "BUSY")
    wishes.done("a")
    wishes.want("a", "INUSE")
    wishes.want("a", "BUSY")
    assert wishes.is_settled


def test_who_leaves_gets_a_last_value_and_is_forgotten():
    wishes = Wishes()
    wishes.want("a", "INUSE")
    wishes.take()
    wishes.done("a")
    wishes.leave("a", "UNKNOWN")
    assert wishes.take() == ("a", "UNKNOWN")
    wishes.done("a")
    assert len(wishes) == 0
    wishes.lost()
    assert wishes.take() is None


class FarEnd:
    """A far end that is told by wishes, and loses what it has now and then."""

    def __init__(self) -> None:
        self.wishes = Wishes()
        self.has: dict[str, str] = {}
        self.under_way: list[tuple[str, str]] = []


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("want"), st.sampled_from("abc"), st.sampled_from("123")),
            st.tuples(st.just("leave"), st.sampled_from("abc"), st.just("0")),
            st.tuples(st.sampled_from(["take", "done", "refuse", "retry", "lost"]), st.just(""), st.just("")),
        ),
        max_size=60,
    )
)
def test_whatever_happens_the_far_end_gets_what_is_wanted(steps: list[tuple[str, str, str]]):
    far, wanted = FarEnd(), dict[str, str]()
    ever = set[str]()
    for step, name, value in steps:
        match step:
            case "want":
                wanted[name] = value
                ever.add(name)
                far.wishes.want(name, value)
            case "leave":
                wanted.pop(name, None)
                far.wishes.leave(name, value)
            case "take":
                if (taken := far.wishes.take()) is not None:
                    far.under_way.append(taken)
            case "done" if far.under_way:
                taken_name, taken_value = far.under_way.pop(0)
                far.has[taken_name] = taken_value
                far.wishes.done(taken_name)
            case "refuse" if far.under_way:
                far.wishes.refuse(far.under_way.pop(0)[0])
            case "retry":
                far.wishes.retry()
            case "lost":
                far.under_way.clear()
                far.wishes.lost()
        assert far.wishes.due <= len(ever)
    for name, value in far.under_way:
        far.has[name] = value
        far.wishes.done(name)
    far.wishes.retry()
    while (taken := far.wishes.take()) is not None:
        far.has[taken[0]] = taken[1]
        far.wishes.done(taken[0])
    assert {name: value for name, value in far.has.items() if value != "0"} == wanted
    assert far.wishes.is_settled
    assert len(far.wishes) == len(wanted)
