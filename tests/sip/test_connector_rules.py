"""The rules of the connector: documents and answers -> states, pauses, servers, trust."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.agent.core.values import RichState, TelephonyState
from suite.agent.settings.groups.sip_simple import SipSimpleSettings
from suite.agent.sources.doubt import UNCERTAIN_AFTER_S, Doubt
from suite.agent.sources.sip.mapping import phone_of, phone_with, rich_of
from suite.agent.sources.sip.resources import ResourceId, SipResource, made, wanted
from suite.agent.sources.sip.servers import ServerChoice
from suite.agent.sources.sip.states import (
    LONGEST_PAUSE_S,
    REFUSED_PAUSE_S,
    again_s,
    is_of_the_connection,
    reason_of,
    verdict_of,
)
from suite.agent.sources.sip.trust import ServerTrust
from suite.agent.sources.source import Connector
from suite.agent.users.reading import Colleague
from suite.names import key_of
from suite.sip.dialoginfo import PhoneDialog
from suite.sip.errors import SipDenied, SipError, SipRefusal, SipTimeout, SipUnreachable
from suite.sip.pidf import PidfDocument, read_pidf
from suite.sip.subscriptions import SubscriptionEnd

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
few = settings(max_examples=100)


# Presence documents


@pytest.mark.parametrize(
    ("is_open", "activities", "is_idle", "rich", "phone"),
    [
        (True, "", False, "available", "idle"),
        (True, "", True, "available_idle", "idle"),
        (False, "", False, "offline", "unknown"),
        (None, "", False, "unknown", "unknown"),
        (True, "busy", False, "busy", "idle"),
        (True, "busy", True, "busy_idle", "idle"),
        (True, "on-the-phone", False, "in_a_call", "busy"),
        (True, "on-the-phone busy", False, "in_a_call", "busy"),
        (True, "on-the-phone away", True, "in_a_call", "busy"),
        (True, "meeting", False, "in_a_meeting", "idle"),
        (True, "meeting busy", False, "in_a_meeting", "idle"),
        (True, "presentation", False, "presenting", "idle"),
        (True, "dnd busy", False, "do_not_disturb", "idle"),
        (True, "away", False, "away", "idle"),
        (True, "away", True, "away", "idle"),
        (True, "meal", False, "away", "idle"),
        (True, "vacation away", False, "out_of_office", "idle"),
        (True, "unknown", False, "available", "idle"),
        (True, "a-word-of-nobody", False, "available", "idle"),
        (False, "away", False, "offline", "unknown"),
        (False, "busy", False, "busy", "unknown"),
        (False, "vacation", False, "out_of_office", "unknown"),
        (None, "busy", False, "busy", "unknown"),
    ],
)
def test_a_presence_document_is_rich_presence_and_the_phone(
    is_open: bool | None, activities: str, is_idle: bool, rich: str, phone: str
):
    document = PidfDocument(is_open=is_open, activities=frozenset(activities.split()), is_idle=is_idle)
    assert (rich_of(document), phone_of(document)) == (RichState(rich), TelephonyState(phone))


@pytest.mark.parametrize(
    ("note", "basic", "activity", "phone"),
    [
        ("Ready", "open", "", "idle"),
        ("On the phone", "open", "<ep:activities><ep:on-the-phone /></ep:activities>", "busy"),
        ("On the phone", "open", "<ep:activities><ep:busy/></ep:activities>", "busy"),
        ("Ringing", "open", "<ep:activities><ep:on-the-phone /></ep:activities>", "ringing"),
        ("Ringing", "open", "<ep:activities><ep:busy/></ep:activities>", "ringing"),
        ("Ringing", "open", "", "ringing"),
        ("On hold", "closed", "<ep:activities><ep:busy/></ep:activities>", "busy"),
        ("Unavailable", "closed", "<ep:activities><ep:away/></ep:activities>", "unknown"),
    ],
)
def test_asterisks_presence_documents_tell_the_phone(note: str, basic: str, activity: str, phone: str):
    body = f"""<?xml version="1.0"?><presence entity="sip:1000@pbx.example" xmlns="urn:ietf:params:xml:ns:pidf"
        xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:ep="urn:ietf:params:xml:ns:pidf:rpid"><note>{note}</note>
        <tuple id="1000"><status><basic>{basic}</basic></status><contact priority="1">sip:1000@pbx.example</contact></tuple>
        <dm:person>{activity}</dm:person></presence>"""
    assert phone_of(read_pidf(body.encode())) is TelephonyState(phone)


# Dialogs


@pytest.mark.parametrize(
    ("dialogs", "phone"),
    [
        ("", "idle"),
        ("terminated/recipient", "idle"),
        ("early/recipient", "ringing"),
        ("early/", "ringing"),
        ("proceeding/recipient", "ringing"),
        ("early/initiator", "busy"),
        ("trying/initiator", "busy"),
        ("trying/", "busy"),
        ("confirmed/recipient", "busy"),
        ("confirmed/ early/recipient", "busy"),
        ("early/recipient early/initiator", "busy"),
        ("terminated/ early/recipient", "ringing"),
    ],
)
def test_a_phone_is_as_its_dialogs_are(dialogs: str, phone: str):
    parts = [each.split("/") for each in dialogs.split()]
    found = [PhoneDialog(id=str(n), state=state, direction=way) for n, (state, way) in enumerate(parts)]
    assert phone_with(found) is TelephonyState(phone)


# The state of a user


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (SubscriptionEnd(reason="refused", status=403), "access_denied"),
        (SubscriptionEnd(reason="denied", status=407), "access_denied"),
        (SubscriptionEnd(reason="denied", status=401), "access_denied"),
        (SubscriptionEnd(reason="rejected"), "access_denied"),
        (SubscriptionEnd(reason="refused", status=404), "not_found"),
        (SubscriptionEnd(reason="refused", status=604), "not_found"),
        (SubscriptionEnd(reason="noresource"), "not_found"),
        (SubscriptionEnd(reason="refused", status=500), "error"),
        (SubscriptionEnd(reason="refused", status=503), "error"),
        (SubscriptionEnd(reason="refused", status=408), "error"),
        (SubscriptionEnd(reason="refused", status=489), "error"),
        (SubscriptionEnd(reason="refused", status=302), "error"),
        (SubscriptionEnd(reason="no_answer"), "error"),
        (SubscriptionEnd(reason="silent"), "error"),
        (SubscriptionEnd(reason="unreachable"), ""),
        *((SubscriptionEnd(reason=word), "") for word in ("deactivated", "timeout", "gone", "expired", "probation")),
    ],
)
def test_the_state_of_a_user_follows_from_the_end_of_the_subscription(end: SubscriptionEnd, reason: str):
    assert reason_of(end) == reason


ends = st.builds(
    SubscriptionEnd,
    reason=st.sampled_from(
        ["refused", "denied", "rejected", "gone", "timeout", "silent", "no_answer", "unreachable", "word"]
    ),
    status=st.none() | st.integers(300, 699),
    retry_after_s=st.none() | st.floats(0, 2.0**31),
)


@few
@given(ends, st.integers(0, 100), st.floats(0, 1))
def test_every_user_is_asked_again_after_a_bounded_pause_that_is_not_short_for_long(
    end: SubscriptionEnd, failures: int, draw: float
):
    pause = again_s(end, failures, draw)
    assert 0 <= pause <= REFUSED_PAUSE_S * 1.25
    if end.retry_after_s is not None and end.reason not in ("denied", "rejected"):
        assert pause >= min(end.retry_after_s, REFUSED_PAUSE_S)
    if failures >= 8:
        assert pause >= LONGEST_PAUSE_S / 2


def test_many_that_ended_at_once_are_spread():
    end = SubscriptionEnd(reason="refused", status=503, retry_after_s=30.0)
    assert is_of_the_connection(end)
    assert len({again_s(end, 0, draw / 10) for draw in range(10)}) == 10


# The state of the connection


@pytest.mark.parametrize(
    ("error", "has_password", "is_known", "state", "is_usable", "needs_a_person"),
    [
        (None, True, False, "up_and_running", True, False),
        (SipRefusal(404, "Not Found"), True, False, "credentials_not_found", True, False),
        (SipRefusal(604, "Nowhere"), True, False, "credentials_not_found", True, False),
        (SipRefusal(404, "Not Found"), True, True, "up_and_running", True, False),
        (SipRefusal(403, "Forbidden"), True, False, "forbidden", False, True),
        (SipDenied(407, "Denied"), True, False, "forbidden", False, True),
        (SipDenied(401, "Denied"), True, True, "forbidden", False, True),
        (SipDenied(401, "Denied"), False, False, "credentials_not_found", False, True),
        (SipUnreachable("Refused."), True, False, "connection_error", False, False),
        (SipTimeout("No answer."), True, False, "connection_error", False, False),
        (SipRefusal(503, "Unavailable"), True, False, "connection_error", False, False),
        (SipRefusal(500, "Error"), True, False, "connection_error", False, False),
        (SipRefusal(489, "Bad Event"), True, False, "connection_error", False, False),
        (SipRefusal(302, "Moved"), True, False, "connection_error", False, False),
    ],
)
def test_the_state_of_the_connection_follows_from_the_self_check(
    error: SipError | None, has_password: bool, is_known: bool, state: str, is_usable: bool, needs_a_person: bool
):
    found = verdict_of(error, "sip:suite@pbx.example", has_password=has_password, is_known=is_known)
    assert (found.state.state, found.is_usable) == (Connector(state), is_usable)
    assert found.needs_a_person == needs_a_person
    assert bool(found.state.detail) == (state != "up_and_running")


# Servers


def test_the_preferred_server_is_used_again_when_it_has_answered_twice():
    choice = ServerChoice(count=3, look_every_s=60)
    assert choice.candidates(0) == [0, 1, 2]
    choice.fails(0)
    assert choice.answers(1, 0)
    assert choice.candidates(30) == [1, 0, 2]
    assert choice.candidates(60) == [0, 1, 2]
    assert not choice.answers(0, 60)
    assert choice.answers(1, 60)
    assert choice.candidates(90) == [1, 0, 2]
    assert choice.candidates(121) == [0, 1, 2]
    assert choice.answers(0, 121)
    assert choice.candidates(122) == [0, 1, 2]


def test_a_server_that_comes_and_goes_is_not_used_again_and_one_that_refuses_is_left_alone():
    choice = ServerChoice(count=2, look_every_s=60)
    choice.fails(0, not_before=600)
    assert choice.answers(1, 0)
    assert choice.candidates(100) == [1]
    for now in (600, 661, 722):
        assert choice.candidates(now) == [0, 1]
        assert choice.answers(0, now) is False
        choice.fails(0)
    assert choice.current == 1


@few
@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=30))
def test_there_is_always_a_server_to_look_at_and_the_one_that_is_used_is_among_them(
    count: int, answers: list[tuple[int, bool]]
):
    choice, now = ServerChoice(count=count, look_every_s=60), 0.0
    for number, does in answers:
        now += 31
        candidates = choice.candidates(now)
        assert sorted(candidates) == list(range(count))
        if number < count:
            choice.answers(number, now) if does else choice.fails(number)


# Trust


def resource(**changes: object) -> SipResource:
    found = made(ResourceId("sip:ada@pbx.example", "presence"), "sip:ada@pbx.example", SipSimpleSettings())
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def test_what_was_said_is_certain_then_uncertain_then_unknown_while_there_is_no_server():
    trust = ServerTrust(0.0, 120.0)
    trust.found()
    assert trust.doubt(resource(), 10.0) == (Doubt.CERTAIN, "")
    trust.lost(100.0)
    broken = resource(unconfirmed_since=100.0)
    assert trust.doubt(broken, 100.0 + UNCERTAIN_AFTER_S - 1) == (Doubt.CERTAIN, "")
    assert trust.doubt(broken, 100.0 + UNCERTAIN_AFTER_S) == (Doubt.UNCERTAIN, "")
    assert trust.doubt(broken, 219.9) == (Doubt.UNCERTAIN, "")
    assert trust.doubt(broken, 220.0) == (Doubt.UNKNOWN, "connection_error")
    trust.found()
    assert trust.doubt(broken, 500.0) == (Doubt.UNCERTAIN, "")  # it waits for its turn
    broken.failing_since = 500.0
    assert trust.doubt(broken, 620.0) == (Doubt.UNKNOWN, "error")
    trust.lost(700.0, "forbidden")
    assert trust.doubt(resource(), 700.0) == (Doubt.UNKNOWN, "forbidden")


# Resources


def test_whom_to_ask_for_follows_from_the_settings():
    colleagues = [
        (key_of("ada"), Colleague(login="ada", sip_uri="ada@PBX.example", extension="1001")),
        (key_of("eva"), Colleague(login="eva", sip_uri="ada@pbx.example", extension="*7#")),
        (key_of("ben"), Colleague(login="ben")),
    ]
    by_uri = wanted(colleagues, SipSimpleSettings(domain="pbx.example"))
    assert [(each.uri, each.event) for each in by_uri] == [("sip:ada@pbx.example", "presence")]
    assert [keys for _, keys in by_uri.values()] == [{"ada", "eva"}]
    both = wanted(colleagues, SipSimpleSettings(domain="pbx.example", phone_event="dialog"))
    assert sorted(each.event for each in both) == ["dialog", "presence"]
    by_extension = wanted(colleagues, SipSimpleSettings(domain="pbx.example", is_by_uri=False, phone_event="dialog"))
    assert {uri for uri, _ in by_extension.values()} == {"sip:1001@pbx.example", "sip:*7%23@pbx.example"}


def pidf(text: str) -> bytes:
    return f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:a@b">{text}</presence>'.encode()


@few
@given(st.lists(st.sampled_from(["", "open", "closed", "broken", "dialog"]), max_size=8))
def test_what_is_shown_is_what_the_last_notification_said_with_the_time_of_the_change(told: list[str]):
    found = resource()
    times = [NOW.replace(minute=minute) for minute in range(len(told))]
    for word, now in zip(told, times, strict=True):
        basic = pidf(f'<tuple id="t"><status><basic>{word}</basic></status></tuple>') if word else b""
        kind = "application/dialog-info+xml" if word == "dialog" else "application/pidf+xml"
        assert found.apply(kind, b"<presence" if word == "broken" else basic, now)
    rich, phone = found.statements((Doubt.CERTAIN, ""))
    last = told[-1] if told else None
    reasons = {None: "requesting", "": "presence_unknown", "broken": "error", "dialog": "error"}
    assert rich is not None
    if last in reasons:
        assert (rich.reason, phone) == (reasons[last], None)
    else:
        since = len(told) - 1
        while since and told[since - 1] == last:
            since -= 1
        assert (rich.state.value, rich.since) == ("available" if last == "open" else "offline", times[since])
