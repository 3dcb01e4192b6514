"""What people do, and what others see of it. Time is stepped, so that nothing waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from emulator.clock import Clock
from emulator.demo import demo
from emulator.generate import generate_world
from emulator.life import ACTIONS, Life
from emulator.sessions import seen
from emulator.switches import Switches
from emulator.world import Person


class Office:
    """The demo world with a clock that only moves when told to."""

    def __init__(self, **switches: object) -> None:
        self.world = demo()
        self.clock = Clock(speed=0)
        self.switches = Switches().changed(linger_s=(100, 200), idle_s=(300, 400), **switches)
        self.life = Life(self.world, self.clock, lambda: self.switches, 1)
        self.ada = self.world.person("ada@contoso.example")
        self.life.act(self.ada, "come")

    def seen(self) -> str:
        return "/".join(self.ada.shown)

    def all_off(self) -> None:
        self.life.act(self.ada, "switch_off", device="all")


@pytest.fixture
def office() -> Iterator[Office]:
    return Office()


@pytest.mark.parametrize(
    ("actions", "seen"),
    [
        (["come"], "Available/Available"),
        (["call"], "Busy/InACall"),
        (["meeting"], "Busy/InAMeeting"),
        (["present"], "DoNotDisturb/Presenting"),
        (["focus"], "DoNotDisturb/Focusing"),
        (["dnd"], "DoNotDisturb/DoNotDisturb"),
        (["brb"], "BeRightBack/BeRightBack"),
        (["busy"], "Busy/Busy"),
        (["appear_offline"], "Offline/OffWork"),
        (["out_of_office"], "Available/OutOfOffice"),
        (["out_of_office", "call"], "Busy/InACall"),
        (["out_of_office", "in_office"], "Available/Available"),
        (["lock"], "Away/Away"),
        (["lock", "unlock"], "Available/Available"),
        (["call", "lock"], "Busy/InACall"),
        (["call", "lock", "hang_up"], "Away/Away"),
        (["meeting", "lock"], "Away/Away"),
        (["dnd", "lock"], "DoNotDisturb/DoNotDisturb"),
        (["dnd", "available"], "Available/Available"),
        (["call", "hang_up"], "Available/Available"),
    ],
)
def test_actions_are_seen_as_microsofts_state_table_says(office: Office, actions: list[str], seen: str) -> None:
    for action in actions:
        office.life.act(office.ada, action)

    assert office.seen() == seen


@pytest.mark.parametrize(
    ("last", "steps"),
    [
        ("available", ["Available/Available", "AvailableIdle/Inactive", "Offline/Offline"]),
        ("call", ["Busy/InACall", "BusyIdle/Busy", "Offline/Offline"]),
        ("lock", ["Away/Away", "Offline/Offline", "Offline/Offline"]),
        ("dnd", ["DoNotDisturb/DoNotDisturb", "Offline/Offline", "Offline/Offline"]),
    ],
)
def test_after_switching_off_the_last_state_lingers_then_idles_then_is_offline(
    office: Office, last: str, steps: list[str]
) -> None:
    office.life.act(office.ada, last)
    office.all_off()
    seen = []

    for seconds in (99, 102, 600):
        office.clock.advance(seconds)
        seen.append(office.seen())

    assert seen == steps


def test_idling_takes_its_time(office: Office) -> None:
    office.all_off()
    office.clock.advance(201)

    office.clock.advance(98)
    before = office.seen()
    office.clock.advance(302)

    assert (before, office.seen()) == ("AvailableIdle/Inactive", "Offline/Offline")


def test_who_comes_back_while_fading_is_there_at_once_and_stays(office: Office) -> None:
    office.all_off()
    office.clock.advance(201)
    office.life.act(office.ada, "come")

    office.clock.advance(10_000)

    assert office.seen() == "Available/Available"


def test_with_a_mobile_on_nothing_fades_and_locking_the_desktop_is_not_seen(office: Office) -> None:
    office.life.act(office.ada, "come", device="mobile")
    office.life.act(office.ada, "lock")
    locked = office.seen()
    office.life.act(office.ada, "switch_off", device="desktop")

    office.clock.advance(10_000)

    assert (locked, office.seen()) == ("Available/Available", "Available/Available")


def test_what_nobody_can_do_is_refused(office: Office) -> None:
    with pytest.raises(ValueError, match="there is no action fly; there are come, available"):
        office.life.act(office.ada, "fly")


def test_every_action_leaves_something_that_can_be_seen(office: Office) -> None:
    for action in ACTIONS:
        office.life.act(office.ada, action, text="Away" if action == "app_session" else "x")
        assert office.ada.shown.availability


@pytest.mark.parametrize(
    ("actions", "seen"),
    [
        ([("come", "mobile"), ("lock", "")], "Available/Available"),  # Available > Away
        ([("come", "mobile"), ("meeting", ""), ("lock", "")], "Busy/InAMeeting"),  # Busy > Away
        ([("app_session", "InACall")], "Busy/InACall"),  # Busy > Available
        ([("app_session", "Presenting"), ("call", "")], "DoNotDisturb/Presenting"),  # DoNotDisturb > Busy
        ([("app_session", "Away")], "Available/Available"),  # Available > Away
        ([("app_session", "Presenting"), ("brb", "")], "BeRightBack/BeRightBack"),  # chosen > all sessions
        ([("focus", ""), ("away", "")], "Away/Away"),
    ],
)
def test_sessions_are_put_together_as_documented(office: Office, actions: list[tuple[str, str]], seen: str) -> None:
    for action, what in actions:
        office.life.act(office.ada, action, device="mobile" if what == "mobile" else "desktop", text=what)

    assert office.seen() == seen


def test_an_applications_session_fades_in_the_two_documented_stages_and_expires(office: Office) -> None:
    office.all_off()
    office.clock.advance(10_000)
    office.life.act(office.ada, "app_session", for_s=3600)
    seen = [office.seen()]

    for seconds in (299, 2, 299, 3000):
        office.clock.advance(seconds)
        seen.append(office.seen())

    assert seen == [
        "Available/Available", "Available/Available", "Available/AvailableInactive", "Away/Away", "Offline/Offline"
    ]  # fmt: skip


def test_whoever_leaves_the_desktop_alone_is_away_after_a_while_and_back_at_a_touch(office: Office) -> None:
    office.life.act(office.ada, "idle")
    office.clock.advance(299)
    before = office.seen()
    office.clock.advance(2)
    away = office.seen()

    office.life.act(office.ada, "available")

    assert (before, away, office.seen()) == ("Available/Available", "Away/Away", "Available/Available")


@pytest.mark.parametrize(("action", "days"), [("busy", 1), ("dnd", 1), ("brb", 7), ("appear_offline", 7)])
def test_what_was_chosen_expires_as_documented(office: Office, action: str, days: int) -> None:
    office.life.act(office.ada, action)
    office.clock.advance(days * 86_400 - 1)
    before = office.ada.preferred

    office.clock.advance(2)

    assert (before, office.seen()) == (action, "Available/Available")


def test_what_was_chosen_is_not_seen_without_a_device(office: Office) -> None:
    office.life.act(office.ada, "dnd")
    office.all_off()

    office.clock.advance(1000)

    assert (office.ada.preferred, office.seen()) == ("dnd", "Offline/Offline")
    assert "/".join(seen(office.ada)) == "Offline/Offline"


def test_a_status_message_goes_when_it_expires(office: Office) -> None:
    office.life.act(office.ada, "status_message", text="at the dentist's", for_s=60)
    said, number = office.ada.status_message, office.ada.sequence

    office.clock.advance(61)

    assert (said, office.ada.status_message) == ("at the dentist's", "")
    assert office.ada.sequence > number


def test_an_out_of_office_event_ends_by_itself_and_an_automatic_reply_goes_before_it(office: Office) -> None:
    office.life.act(office.ada, "out_of_office_event", for_s=3600)
    during = office.seen()
    office.clock.advance(3601)
    after = office.seen()
    office.life.act(office.ada, "out_of_office_event", for_s=3600)
    office.life.act(office.ada, "out_of_office", text="I am on leave.")
    office.clock.advance(3601)

    assert (during, after) == ("Available/OutOfOffice", "Available/Available")
    assert (office.seen(), office.ada.out_of_office_message) == ("Available/OutOfOffice", "I am on leave.")


def test_only_what_can_end_by_itself_takes_a_time(office: Office) -> None:
    with pytest.raises(ValueError, match="call does not end automatically"):
        office.life.act(office.ada, "call", for_s=5)


def test_how_long_it_lingers_and_idles_differs_each_time_and_is_the_same_again() -> None:
    def offline_after(others: bool) -> list[float]:
        office, found = Office(), []
        for _ in range(4):
            office.life.act(office.ada, "come")
            office.all_off()
            if others:
                office.life.act(office.world.person("ben@contoso.example"), "switch_off", device="all")
            began = office.clock.now()
            while office.seen() != "Offline/Offline":
                office.clock.advance(1)
            found.append(office.clock.now() - began)
        return found

    alone = offline_after(others=False)

    assert alone == offline_after(others=True)
    assert len(set(alone)) == 4
    assert all(400 <= seconds <= 602 for seconds in alone)


def test_a_generated_world_has_its_size_and_is_the_same_again() -> None:
    world, again = generate_world(tenants=3, people=4, seed=5), generate_world(tenants=3, people=4, seed=5)

    sizes = Counter(person.tenant.domain for person in world.people())
    assert sizes == {"t0.example": 5, "t1.example": 5, "t2.example": 5}
    assert [_id(person) for person in world.people()] == [_id(person) for person in again.people()]


def _id(person: Person) -> tuple[str, str, str]:
    return person.oid, person.upn, person.display_name
