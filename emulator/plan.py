"""The plan of one person's day, made from a seed: a calendar, and activities between its entries.

A day is planned in slots of five minutes. Calendar entries take their slots first: meetings that recur every
day or week for the same people, then single ones, lunch, focus time. Calls, breaks and moods take the remaining slots.
All of this is assumed (a lively office), because no figures about offices are published.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from emulator.chance import Chance

SLOT_S: Final = 300
HOUR: Final = 12
"""Slots of an hour."""


class Step(NamedTuple):
    """One step of a plan: an action of `life` with its arguments."""

    action: str
    device: str = "desktop"
    text: str = ""
    for_s: float | None = None


# A plan contains indexes into this table, so that 100,000 people's days fit in 20 MB.
STEPS: Final = (
    Step("available"), Step("come"), Step("switch_off"), Step("switch_off", "all"), Step("come", "mobile"),
    Step("switch_off", "mobile"), Step("call"), Step("conference"), Step("meeting"), Step("present"), Step("focus"), Step("dnd"),
    Step("urgent_only"), Step("brb"), Step("busy"), Step("away"), Step("appear_offline"), Step("lock"), Step("unlock"),
    Step("idle"), Step("out_of_office", text="I am on leave. My colleagues will help you."), Step("out_of_office_event"),
    Step("in_office"), Step("status_message", text="At the customer's until this afternoon", for_s=4 * 3600.0),
    Step("status_message", text="Please write, I cannot talk", for_s=2 * 3600.0),
    Step("status_message", text="Working from home today", for_s=8 * 3600.0),
)  # fmt: skip
_CODE: Final = {(step.action, step.device): code for code, step in reversed(list(enumerate(STEPS)))}
_NOTES: Final = tuple(code for code, step in enumerate(STEPS) if step.action == "status_message")
CODES: Final = 64
"""Greater than every index of a step."""

Plan = array
"""Second of the day * 64 + index of the step, in the order of the day."""


def steps(plan: Plan[int]) -> list[tuple[int, Step]]:
    """Return a plan's steps, each with its second of the day."""
    return [(entry // CODES, STEPS[entry % CODES]) for entry in plan]


def step_of(entry: int) -> tuple[int, Step]:
    """Return the second of the day and the step of one entry of a plan."""
    return entry // CODES, STEPS[entry % CODES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """The habits of one person, the same on all days.

    `devices`: desktop, mobile, both or none. `arrives` and `leaves` are slots of the day. `team` are the colleagues who
    share meetings.
    """

    devices: str
    arrives: int
    leaves: int
    team: int

    @staticmethod
    def of(seed: int, oid: str, colleagues: int) -> Habits:
        """Return the habits of a person in a tenant with `colleagues` people."""
        chance = Chance(seed, oid)
        devices = chance.one_of(_DEVICES)
        arrives = chance.between(90, 110)
        return Habits(
            devices=devices, arrives=arrives, leaves=arrives + chance.between(98, 106),
            team=chance.between(1, max(1, colleagues // 8)),
        )  # fmt: skip


_DEVICES: Final = ("desktop",) * 24 + ("both",) * 21 + ("mobile",) * 4 + ("none",)


def make(seed: int, tenant_id: str, oid: str, day: int, colleagues: int, *, evenings: bool = True) -> Plan[int]:
    """Return the plan of one person's day. Day 0 is a Monday; without evenings nothing happens after work."""
    habits = Habits.of(seed, oid, colleagues)
    diary = _Diary(Chance(seed, oid, day), evenings=evenings)
    if habits.devices == "none":
        return diary.plan()
    if Chance(seed, oid, "leave", day // 7).happens(0.04):
        diary.on_leave()
    elif day % 7 >= 5:
        diary.weekend()
    elif habits.devices == "mobile":
        diary.on_the_road(habits)
    else:
        diary.at_work(habits, _series(seed, tenant_id, habits.team, day))
    return diary.plan()


VISITS: Final = ("available", "call")
"""The actions of people who only visit. An available person fades to AvailableIdle, a calling person to BusyIdle."""
VISIT_EVERY_S: Final = 1_500
"""Longer than a visit, the lingering and the idle state together (`Switches.linger_s`, `Switches.idle_s`)."""
_VISIT_S: Final = 180


@lru_cache(maxsize=len(VISITS))
def visits(doing: str) -> Plan[int]:
    """Return the plan of a person who shows an idle state in every 25 minutes of each day, for demonstrations.

    Args:
        doing: one of VISITS.
    """
    entries = array("I")
    for comes in range(8 * 3600, 18 * 3600 + 900, VISIT_EVERY_S):
        entries.append(comes * CODES + _CODE["come", "desktop"])
        entries.append((comes + 10) * CODES + _CODE[doing, "desktop"])
        entries.append((comes + _VISIT_S) * CODES + _CODE["switch_off", "all"])
    return entries


@lru_cache(maxsize=20_000)  # each person of a team requests the team's
def _series(seed: int, tenant_id: str, team: int, day: int) -> list[tuple[int, int, bool]]:
    """Return the recurring meetings: first slot, number of slots, and whether a member of the team presents."""
    ours = Chance(seed, tenant_id, team)
    daily, weekly, weekday = ours.between(112, 122), ours.between(13 * HOUR, 15 * HOUR), ours.between(0, 4)
    everybody = Chance(seed, tenant_id).between(0, 4)
    meetings = [(daily, 3, False)]
    if day % 7 == weekday:
        meetings.append((weekly, HOUR, True))
    if day % 7 == everybody:
        meetings.append((11 * HOUR, 6, False))
    return meetings


class _Diary:
    """A day that is being planned. `_free` has a bit for each free slot."""

    def __init__(self, chance: Chance, *, evenings: bool) -> None:
        self._chance = chance
        self._evenings = evenings
        self._free = 0
        self._entries: list[int] = []

    def plan(self) -> Plan[int]:
        return array("I", sorted(self._entries))

    def on_leave(self) -> None:
        """Plan an automatic reply all day; some people look in, and are shown as available, out of office."""
        self._add(8 * HOUR, "out_of_office")
        if self._chance.happens(0.5):
            self._look_in(self._chance.between(9 * HOUR, 16 * HOUR))
        self._add(23 * HOUR if self._evenings else 18 * HOUR, "in_office")

    def weekend(self) -> None:
        """Plan a day of the weekend, on which few people look in."""
        if self._chance.happens(0.1):
            self._look_in(self._chance.between(9 * HOUR, 19 * HOUR))

    def on_the_road(self, habits: Habits) -> None:
        """Plan a day with occasional use of the mobile."""
        for slot in range(habits.arrives, habits.leaves - HOUR, 18):
            begins = slot + self._chance.between(0, 9)
            self._add(begins, "come", "mobile")
            if self._chance.happens(0.4):
                self._add(begins + 1, self._chance.one_of(("call", "call", "conference")), latest_s=240)
            self._add(begins + self._chance.between(3, 7), "switch_off", "all")

    def at_work(self, habits: Habits, series: list[tuple[int, int, bool]]) -> None:
        """Plan a day in the office or at the desk at home."""
        chance = self._chance
        arrives, leaves = habits.arrives + chance.between(-3, 3), habits.leaves + chance.between(-4, 8)
        self._free = (1 << leaves) - (1 << arrives + 1)
        self._add(arrives, "come")
        for slot, slots, presented in series:
            self._meet(slot, slots, presents=presented and chance.happens(0.25))
        for _ in range(chance.between(0, 3)):
            self._meet(
                chance.between(9, 16) * HOUR + chance.one_of((0, 6)),
                chance.one_of((6, 12)),
                presents=chance.happens(0.15),
            )
        self._lunch()
        self._now_and_then()
        for _ in range(chance.between(2, 7)):
            self._try(chance.one_of(("call", "call", "call", "call", "call", "conference")), chance.between(1, 3))
        for action, most in (("lock", 3), ("idle", 2), ("brb", 1)):
            for _ in range(chance.between(0, most)):
                self._try(action, chance.between(2, 4))
        self._go_home(leaves, habits)

    def _lunch(self) -> None:
        begins, slots = self._chance.between(140, 156), self._chance.between(6, 12)
        away = self._chance.one_of(("lock", "lock", "lock", "lock", "brb", "idle", "switch_off"))
        self._put(begins, slots, away, "come" if away == "switch_off" else "available")

    def _now_and_then(self) -> None:
        """Plan events that do not happen every day."""
        chance = self._chance
        for probability, action, least, most in _NOW_AND_THEN:
            if chance.happens(probability):
                self._try(action, chance.between(least, most))
        if chance.happens(0.06):
            self._try("switch_off", chance.between(3, 8), then="come")
        if chance.happens(0.05):
            begins, slots = chance.between(108, 170), chance.between(12, 30)
            self._add(begins, "out_of_office_event")
            self._add(begins + slots, "in_office")
        if chance.happens(0.1):
            self._entries.append((chance.between(108, 150) * SLOT_S) * CODES + chance.one_of(_NOTES))

    def _go_home(self, leaves: int, habits: Habits) -> None:
        if self._chance.happens(0.12):  # off in the middle of a call
            self._add(leaves - 1, "call")
        self._add(leaves, "switch_off", "all")
        if habits.devices == "both" and self._evenings and self._chance.happens(0.35):
            self._look_in(self._chance.between(19 * HOUR, 22 * HOUR))

    def _look_in(self, slot: int) -> None:
        self._add(slot, "come", "mobile", latest_s=0)
        self._add(slot + self._chance.between(1, 6), "switch_off", "all")

    def _meet(self, slot: int, slots: int, *, presents: bool) -> None:
        """Plan a meeting, which the person joins up to two minutes late."""
        if self._take(slot, slots):
            self._add(slot, "meeting", latest_s=120)
            if presents:
                self._add(slot + 1, "present")
                self._add(slot + slots - 1, "meeting")
            self._add(slot + slots, "available", latest_s=180)

    def _try(self, action: str, slots: int, then: str = "available") -> None:
        """Plan an action at a random time, if that is free."""
        self._put(self._chance.between(102, 206), slots, action, then)

    def _put(self, slot: int, slots: int, action: str, then: str) -> None:
        if self._take(slot, slots):
            self._add(slot, action)
            self._add(slot + slots, then, latest_s=0)

    def _take(self, slot: int, slots: int) -> bool:
        """Take slots and the one after, in which the action ends; return False if one is taken."""
        wanted = ((1 << slots + 1) - 1) << slot
        if self._free & wanted != wanted:
            return False
        self._free &= ~wanted
        return True

    def _add(self, slot: int, action: str, device: str = "desktop", *, latest_s: int = 280) -> None:
        second = slot * SLOT_S + (self._chance.between(0, latest_s) if latest_s else 0)
        self._entries.append(second * CODES + _CODE[action, device])


_NOW_AND_THEN: Final = (
    (0.35, "focus", 9, 24), (0.12, "dnd", 4, 12), (0.12, "busy", 4, 12), (0.03, "urgent_only", 6, 12), (0.04, "away", 3, 9),
    (0.04, "appear_offline", 6, 15),
)  # fmt: skip
"""(probability, action, minimum slots, maximum slots)"""
