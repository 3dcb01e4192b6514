"""Drives people through their days.

A person's state is one entry in the clock's queue and a plan of some 30 numbers, so that 100,000 people are
cheap. Each person's day depends only on the seed, the person and the date.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from emulator import plan
from emulator.chance import Chance
from emulator.sessions import there
from emulator.world import OFFLINE

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterable

    from emulator.clock import Clock
    from emulator.life import Life
    from emulator.world import Person

DAY_S: Final = 86_400
MONDAY: Final = datetime(2026, 3, 2, tzinfo=UTC)
"""The first Monday of the world's calendar: day 0 of every plan."""
BEGINS_S: Final = DAY_S + 9.5 * 3600
"""The world begins on a Tuesday at half past nine, UTC."""

OFFICE_FROM_S: Final = 8 * 3600
OFFICE_S: Final = 36_900
"""Without nights a day lasts from eight in the morning until a quarter past six, and the next one follows at once. Steps
planned before eight happen at eight, steps planned later soon."""

GONE_S: Final = 1800
"""People who switched off this long before the world began are offline when it begins."""


class Nights:
    """A realistic calendar: nights, weekends, and a time zone for each person."""

    evenings = True

    def local(self, person: Person, moment_s: float) -> tuple[int, float]:
        """Return a person's day and the second of that day, at a moment of the world."""
        day, second = divmod(BEGINS_S + moment_s + person.zone_s, DAY_S)
        return int(day), second

    def moment(self, person: Person, day: int, second: float) -> float:
        """Return the moment of the world for a second of a person's day."""
        return day * DAY_S + second - BEGINS_S - person.zone_s

    def wakes(self, chance: Chance) -> float:
        """Return the second of the day at which the day is planned: a random time at night, so that not all are planned at once."""
        return chance.share() * 5 * 3600

    def date(self, moment_s: float) -> datetime:
        """Return the date and time, in UTC."""
        return MONDAY + timedelta(seconds=BEGINS_S + moment_s)


class NoNights(Nights):
    """A calendar for demonstrations, in which office hours follow each other.

    Each person's office hours begin at a different time, so that there is always activity. Meetings of a team do not coincide.
    """

    evenings = False

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def local(self, person: Person, moment_s: float) -> tuple[int, float]:
        """Do as `Nights` does, for office hours that follow each other."""
        number, second = divmod(moment_s + self._ahead(person), OFFICE_S)
        week, weekday = divmod(int(number), 5)
        return week * 7 + weekday, OFFICE_FROM_S + second

    def moment(self, person: Person, day: int, second: float) -> float:
        """Do as `Nights` does, for office hours that follow each other."""
        week, weekday = divmod(day, 7)
        return (week * 5 + min(weekday, 5)) * OFFICE_S + second - OFFICE_FROM_S - self._ahead(person)

    def wakes(self, chance: Chance) -> float:
        """Do as `Nights` does, for office hours that follow each other."""
        return OFFICE_FROM_S + chance.share()

    def date(self, moment_s: float) -> datetime:
        """Return the date and time for people without an offset."""
        number, second = divmod(moment_s, OFFICE_S)
        week, weekday = divmod(int(number), 5)
        return MONDAY + timedelta(days=week * 7 + weekday, seconds=OFFICE_FROM_S + second)

    def _ahead(self, person: Person) -> float:
        return Chance(self._seed, person.oid, "ahead").share() * OFFICE_S


class Day:
    """Drives people through their plans."""

    def __init__(self, clock: Clock, life: Life, seed: int, *, nights: bool = False) -> None:
        self._clock = clock
        self._life = life
        self._seed = seed
        self._calendar = Nights() if nights else NoNights(seed)

    def date(self) -> datetime:
        """The world's date and time, in UTC."""
        return self._calendar.date(self._clock.now())

    def begin(self, people: Iterable[Person]) -> None:
        """Put all people into the current state of their plan, and let them continue it until `living` is unset."""
        for person in people:
            if person.licensed and not person.living:
                person.living = True
                self._step_in(person)

    def plan(self, person: Person, day: int) -> array[int]:
        """Return the plan of a person's day; day 0 is a Monday."""
        if person.visits:
            return plan.visits(person.visits)
        tenant = person.tenant
        return plan.make(
            self._seed, tenant.tenant_id, person.oid, day, len(tenant.people), evenings=self._calendar.evenings
        )

    def today(self, person: Person) -> tuple[int, array[int]]:
        """Return a person's current day and its plan."""
        day, _ = self._calendar.local(person, self._clock.now())
        return day, self.plan(person, day)

    def _step_in(self, person: Person) -> None:
        """Join the current day at the current time."""
        day, now = self._calendar.local(person, self._clock.now())
        entries = self.plan(person, day)
        done = bisect_right(entries, int(now + 1) * plan.CODES - 1)
        person.desktop, person.mobile, person.doing, person.preferred = "", False, "", ""
        self._life.show(person, OFFLINE)
        for step in _in_force(entries[:done]):
            self._life.act(person, step.action, device=step.device, text=step.text, for_s=step.for_s)
        if done and not there(person) and now - plan.step_of(entries[done - 1])[0] > GONE_S:
            self._life.show(person, OFFLINE)
        self._await(person, day, entries, done)

    def _await(self, person: Person, day: int, entries: array[int], index: int) -> None:
        """Schedule the next step, or at the day's end the next day."""
        if index < len(entries):
            second, _ = plan.step_of(entries[index])
            when, call = self._calendar.moment(person, day, second), lambda: self._take(person, day, entries, index)
        else:
            wakes = self._calendar.wakes(Chance(self._seed, person.oid, "wakes", day + 1))
            when, call = self._calendar.moment(person, day + 1, wakes), lambda: self._wake(person)
        self._plan_next(person, when, call)

    def _plan_next(self, person: Person, when: float, call: Callable[[], None]) -> None:
        if person.next_step is not None:
            person.next_step.cancel()
        person.next_step = self._clock.at(when, call)

    def _take(self, person: Person, day: int, entries: array[int], index: int) -> None:
        person.next_step = None
        if not person.living:
            return
        _, step = plan.step_of(entries[index])
        self._life.act(person, step.action, device=step.device, text=step.text, for_s=step.for_s)
        self._await(person, day, entries, index + 1)

    def _wake(self, person: Person) -> None:
        """Begin the next day of the calendar."""
        person.next_step = None
        if person.living:
            day, _ = self._calendar.local(person, self._clock.now())
            self._await(person, day, self.plan(person, day), 0)


def _in_force(entries: Iterable[int]) -> list[plan.Step]:
    """Return the past steps that still matter: those since the state last restarted, and additions to the state."""
    steps: list[plan.Step] = []
    for entry in entries:
        _, step = plan.step_of(entry)
        if step.action in _ANEW:
            steps = [each for each in steps if each.action in _BESIDE]
        steps.append(step)
    return steps


_ANEW: Final = {"come", "available"}
_BESIDE: Final = {"out_of_office", "out_of_office_event", "in_office", "status_message"}
