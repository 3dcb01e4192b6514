"""What the audit log may say, and its files."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from relay.core.audit import events as audit
from relay.core.audit.events import MAX_TEXT_CHARS, MAX_USERS, Actor, Entry, EventKind, Recorded
from relay.core.audit.export import CSV_HEADER, csv_head, csv_line, json_line

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA = Actor.account("ada@contoso.com", "aaaaaaaa-0000-4000-8000-000000000001")


def recorded(entry: Entry) -> Recorded:
    return Recorded("d1-0", NOW, entry)


def cells(entry: Entry) -> dict[str, str]:
    [head, line] = csv.reader(io.StringIO(csv_head() + csv_line(recorded(entry))))
    return dict(zip(head, line, strict=True))


def test_values_of_settings_are_shown_only_where_they_are_nobodys_secret():
    before = {"status_message": "off", "contact_email": "ada@contoso.com", "same": "1"}
    after = {"status_message": "on", "contact_email": "eve@contoso.com", "same": "1"}
    entry = audit.settings_changed(ADA, before, after, shown={"status_message"})
    assert entry is not None
    assert entry.details == {"status_message": "off -> on", "contact_email": "changed"}


def test_settings_that_stay_as_they_are_are_no_deed():
    assert audit.settings_changed(ADA, {"a": "1"}, {"a": "1"}) is None


def test_whatever_is_in_an_entry_is_bounded_and_one_line():
    entry = audit.key_revoked(Actor.suite("k\n1", "x" * 5000), "k1", "two\nlines\x1b[31m" + "y" * 5000)
    assert len(entry.subject) == len(entry.by.name) == MAX_TEXT_CHARS
    assert entry.subject.startswith("two lines [31m")
    assert entry.by.id == "k 1"
    assert len(audit.watched(ADA, [f"user{n}" for n in range(5000)], NOW, NOW).users) == MAX_USERS


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", " =", "\r=", "＝", "|", "%"])
def test_no_cell_of_the_csv_form_can_become_a_formula(start):
    entry = Entry(
        kind=EventKind.KEY_MADE,
        by=Actor(audit.ActorKind.ACCOUNT, f"{start}1", f"{start}2"),
        subject=f'{start}cmd|"/c calc"!A1',
        details={f"{start}name": f"{start}value"},
        users=(f"{start}user",),
    )
    for cell in cells(entry).values():
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝", "|", "%"))
        assert not cell.startswith(("\t", "\r"))


def test_both_forms_say_the_same():
    entry = audit.watched(Actor.suite("k1", 'the "desk", 2nd floor'), ["b@x.com", "a@x.com"], NOW, NOW)
    said = json.loads(json_line(recorded(entry)))
    assert said == {
        "id": "d1-0",
        "time": "2026-03-01T12:00:00+00:00",
        "what": "watched",
        "who": {"kind": "suite", "name": 'the "desk", 2nd floor', "id": "k1"},
        "users": ["a@x.com", "b@x.com"],
        "since": "2026-03-01T12:00:00+00:00",
        "until": "2026-03-01T12:00:00+00:00",
    }
    shown = cells(entry)
    assert tuple(shown) == CSV_HEADER
    assert (shown["who"], shown["users"]) == ('the "desk", 2nd floor', "a@x.com b@x.com")
