"""What people do, and what others see of it. Time is stepped, so that nothing waits."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from emulator.clock import Clock
from emulator.day import Day
from emulator.demo import demo
from emulator.life import ACTIONS, Life
from emulator.switches import Switches
from emulator.world import Person, World


class Office:
    """The demo world with a clock that only moves when told to."""

    def __init__(self, **switches: object) -> None:
        self.world = demo()
        self.clock = Clock(speed=0)
        self.switches = Switches().changed(linger_s=(100, 200), idle_s=(300, 400), **switches)
        self.life = Life(self.world, self.clock, lambda: self.switches, random.Random(1))
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
    with pytest.raises(ValueError, match="no such action: fly; there are come, available"):
        office.life.act(office.ada, "fly")


def test_every_action_leaves_something_that_can_be_seen(office: Office) -> None:
    for action in ACTIONS:
        office.life.act(office.ada, action, text="x")
        assert office.ada.shown.availability


def test_the_same_seed_makes_the_same_day() -> None:
    def lived() -> list[tuple[str, str]]:
        office = Office()
        Day(office.clock, office.life, random.Random(7)).begin(office.world.people())
        seen = []
        for _ in range(200):
            office.clock.advance(300)
            seen += [tuple(person.shown) for person in office.world.people()]
        return seen

    first = lived()

    assert first == lived()
    assert {"Available", "Busy", "Away", "AvailableIdle", "Offline", "DoNotDisturb"} <= set(dict(first))


def test_whoever_no_longer_lives_the_day_is_left_alone() -> None:
    office = Office()
    day = Day(office.clock, office.life, random.Random(7))
    day.begin(office.world.people())
    office.ada.living = False
    office.life.act(office.ada, "dnd")

    office.clock.advance(100_000)

    assert office.seen() == "DoNotDisturb/DoNotDisturb"


def test_a_generated_world_has_its_size_and_is_the_same_again() -> None:
    world, again = World.generate(tenants=3, people=4, seed=5), World.generate(tenants=3, people=4, seed=5)

    sizes = Counter(person.tenant.domain for person in world.people())
    assert sizes == {"t0.example": 5, "t1.example": 5, "t2.example": 5}
    assert [_id(person) for person in world.people()] == [_id(person) for person in again.people()]


def _id(person: Person) -> tuple[str, str, str]:
    return person.oid, person.upn, person.display_name
