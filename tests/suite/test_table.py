"""The table: what is shown of a user, and what when there is not enough room or certainty."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from suite import events as ev
from suite.held import Answer, Resolution
from suite.icons import ICONS, REASONS
from suite.table import Connection, render
from suite.values import Availability, ConsoleStatus, Outcome, Presence, Source, Status

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def presence(status: ConsoleStatus = ConsoleStatus.BUSY, **fields) -> Presence:
    usual = {
        "upn": "Ada@contoso.com", "availability": Availability.BUSY, "raw_availability": "Busy", "raw_activity": "InACall",
        "idle": False, "idle_time": None, "console_status": status, "status_message": None, "out_of_office": None,
        "out_of_office_message": "", "observe_time": NOW, "source": Source.POLL, "sequence_number": "",
    }  # fmt: skip
    return Presence(**(usual | fields))


def drawn(held, connection, *, width=160, height=40, encoding="utf-8") -> str:
    class Screen(Console):
        @property
        def encoding(self):
            return encoding

    console = Screen(width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(render(list(held), lambda name: held[name], connection, console, NOW))
    return capture.get()


def well() -> Connection:
    connection = Connection("relay:443")
    connection.note(ev.Connected(Outcome.RESUMED))
    connection.note(ev.TenantStatus(Status.NONE, NOW - timedelta(seconds=3), timedelta(seconds=5)))
    return connection


ADA = {"ada@x.org": (Resolution("A", None), Answer(presence(), None))}


def test_a_user_is_shown_with_everything_when_there_is_room():
    screen = drawn(ADA, well())
    for words in ("relay:443", "connected (resumed)", "organisation: readable", "confirmed 3 s ago, read every 5 s"):
        assert words in screen
    for words in ("ada@x.org", "Ada@contoso.com", "● busy", "Busy/InACall", "poll"):
        assert words in screen
    assert "?" not in screen


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (ev.Disconnected("Nothing listens at relay:443.", timedelta(seconds=4)), "Nothing listens at relay:443. (again in 4 s)"),
        (ev.TenantStatus(Status.SOURCE_UNREACHABLE, None, None), "Microsoft cannot be reached"),
        (ev.TenantStatus(Status.STALE, None, None), "not confirmed for a while"),
    ],
)  # fmt: skip
def test_what_may_be_wrong_is_shown_as_uncertain_with_the_cause(event, words):
    connection = well()
    connection.note(event)
    screen = drawn(ADA, connection)
    assert words in screen
    assert "● busy?" in screen


def test_every_status_and_reason_can_be_shown():
    assert set(ICONS) == set(ConsoleStatus)
    assert set(REASONS) == set(Status)
    held = {f"{s.label}@x.org": (Resolution(None, s), None) for s in Status if s is not Status.NONE}
    screen = drawn(held, well())
    assert screen.count("○ unknown") == len(held)
    assert "an admin must renew it" in drawn(
        {"a@x.org": (Resolution("A", None), Answer(None, Status.CONSENT_REQUIRED))}, well()
    )


def test_users_beyond_the_screen_are_counted():
    held = {f"u{n}@x.org": (Resolution(None, Status.PENDING), None) for n in range(5000)}
    screen = drawn(held, well(), width=80, height=24)
    assert len(screen.splitlines()) <= 24
    assert "… and 4983 more" in screen
    assert max(map(len, screen.splitlines())) <= 80


def test_a_terminal_without_unicode_gets_letters():
    assert "* busy" in drawn(ADA, well(), encoding="ascii")


def test_what_could_steer_the_terminal_is_defused():
    held = {"a\x1b]0;x\x07@x.org": (Resolution("A", None), Answer(presence(raw_activity="\x1b[31m"), None))}
    screen = drawn(held, well())
    assert "\x1b]0" not in screen
    assert "\x07" not in screen


def test_freshness_never_goes_back_and_never_is_in_the_future():
    connection = well()
    connection.note(ev.Progress(NOW - timedelta(minutes=5), None))
    connection.note(ev.Changed("A", ("a",), presence(observe_time=NOW + timedelta(seconds=9)), None))
    assert "confirmed 0 s ago, read every 5 s" in drawn(ADA, connection)
