"""The days that people live: the same for a seed, whatever else happens, with everything in them that Teams can show."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import plan
from emulator.clock import Clock
from emulator.day import Day
from emulator.generate import generate_world
from emulator.life import Life
from emulator.sessions import DOING, PREFERRED
from emulator.switches import Switches
from emulator.world import Person

HOUR_S = 3600.0


class Town:
    """One generated tenant whose people live their days; time moves when told to. It begins on a Tuesday, 9:30 UTC."""

    def __init__(self, seed: int = 7, *, people: int = 200, nights: bool = True) -> None:
        self.world = generate_world(tenants=1, people=people, seed=3)
        self.clock = Clock(speed=0)
        self.life = Life(self.world, self.clock, Switches, seed)
        self.day = Day(self.clock, self.life, seed, nights=nights)
        self.people = list(self.world.people())
        for person in self.people:
            person.zone_s = 0
        self.day.begin(self.people)

    def seen(self) -> list[str]:
        return ["/".join(person.shown) for person in self.people]

    def until(self, day: int, hour: float) -> None:
        """Go on until a day and hour of the calendar; day 0 is the Monday before the world began."""
        self.clock.advance(day * 86_400 + hour * HOUR_S - 86_400 - 9.5 * HOUR_S - self.clock.now())


@settings(max_examples=12)
@given(seed=st.integers(0, 10_000), steps=st.lists(st.floats(1, 20_000), min_size=2, max_size=8), nights=st.booleans())
def test_the_same_seed_makes_the_same_day_however_time_is_stepped(seed: int, steps: list[float], nights: bool) -> None:
    one, other = Town(seed, people=12, nights=nights), Town(seed, people=12, nights=nights)

    for step in steps:
        one.clock.advance(step)
    other.clock.advance(sum(steps))

    assert one.seen() == other.seen()
    assert [person.desktop for person in one.people] == [person.desktop for person in other.people]


def test_another_seed_makes_another_day() -> None:
    one, other = Town(1), Town(2)
    one.clock.advance(HOUR_S)
    other.clock.advance(HOUR_S)

    assert one.seen() != other.seen()


def test_in_a_tenant_of_two_hundred_everything_that_teams_can_show_is_seen_within_three_days() -> None:
    town = Town()
    seen: Counter[str] = Counter()
    for _ in range(3 * 24 * 12):
        town.clock.advance(300)
        seen.update(set(town.seen()))

    states = {"/".join(shown) for shown in (*DOING.values(), *PREFERRED.values())}
    others = {
        "Available/Available",
        "Available/OutOfOffice",
        "AvailableIdle/Inactive",
        "BusyIdle/Busy",
        "Offline/Offline",
    }
    assert states | others <= set(seen)


def test_over_a_week_each_person_with_a_desktop_shows_many_states() -> None:
    town = Town()
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for _ in range(5 * 24 * 6):
        town.clock.advance(600)
        for person in town.people:
            seen[person.oid].add(person.shown.availability)

    habits = [plan.Habits.of(7, person.oid, len(town.people)) for person in town.people]
    worked = [
        len(seen[p.oid]) for p, habit in zip(town.people, habits, strict=True) if habit.devices in {"desktop", "both"}
    ]
    assert sorted(worked)[len(worked) // 2] >= 5
    assert {habit.devices for habit in habits} == {"desktop", "both", "mobile", "none"}


def test_nights_are_quiet_and_at_weekends_few_look_in() -> None:
    town = Town()
    town.until(2, 3)  # Wednesday at three in the morning
    night = Counter(town.seen())
    town.until(5, 12)  # Saturday noon
    weekend = Counter(town.seen())
    town.until(7, 11)  # Monday before noon
    monday = Counter(town.seen())

    assert night == {"Offline/Offline": len(town.people)}
    assert weekend["Offline/Offline"] > 0.9 * len(town.people)
    assert monday["Offline/Offline"] < 0.3 * len(town.people)


def test_whoever_is_further_east_comes_earlier() -> None:
    town = Town()
    for person in town.people[::2]:
        person.zone_s = 9 * 3600
    town.until(3, 0)  # Wednesday midnight in UTC is nine in the morning there

    town.until(3, 2)

    east, here = (sum(person.shown.availability != "Offline" for person in town.people[n::2]) for n in (0, 1))
    assert east > 60
    assert here == 0


def test_generated_tenants_are_spread_over_time_zones_and_most_of_their_people_share_one() -> None:
    world = generate_world(tenants=30, people=20, seed=3)
    zones = [Counter(person.zone_s for person in tenant.people.values()) for tenant in world.tenants.values()]

    assert len({zone.most_common(1)[0][0] for zone in zones}) > 5
    assert all(zone.most_common(1)[0][1] >= 14 for zone in zones)


def test_meetings_come_again_every_day_for_the_whole_team() -> None:
    town = Town()
    teams: defaultdict[int, list[Person]] = defaultdict(list)
    for person in town.people:
        habits = plan.Habits.of(7, person.oid, len(town.people))
        if habits.devices in {"desktop", "both"}:
            teams[habits.team].append(person)
    team = max(teams.values(), key=len)

    def meets(person: Person, day: int) -> set[int]:
        return {second // 300 for second, step in plan.steps(town.day.plan(person, day)) if step.action == "meeting"}

    shared = list(meets(team[0], 1) & meets(team[0], 2) & meets(team[0], 3))
    assert shared
    assert sum(shared[0] in meets(person, 1) for person in team) > 0.7 * len(team)


def test_what_one_is_told_to_do_changes_nobody_elses_day() -> None:
    town, told = Town(), Town()
    ada = told.people[5]
    ada.living = False
    told.life.act(ada, "dnd")

    for each in (town, told):
        each.clock.advance(30 * HOUR_S)

    assert ada.preferred == ""  # chosen for a day
    assert [*town.seen()[:5], *town.seen()[6:]] == [*told.seen()[:5], *told.seen()[6:]]


def test_whoever_lives_again_is_where_the_plan_has_them() -> None:
    town, told = Town(), Town()
    town.clock.advance(4.5 * HOUR_S)  # Tuesday at two
    told.clock.advance(4.5 * HOUR_S)
    for person in told.people:
        person.living = False
        told.life.act(person, "appear_offline")
    told.day.begin(told.people)

    def state(each: Town) -> list[tuple[object, ...]]:
        return [(person.desktop, person.mobile, person.doing, person.preferred) for person in each.people]

    assert state(told) == state(town)


def test_no_plan_runs_twice() -> None:
    town, told = Town(), Town()
    for _ in range(3):
        told.people[5].living = False
        told.day.begin([told.people[5]])
    before = town.life.changes, told.life.changes

    for each in (town, told):
        each.clock.advance(30 * HOUR_S)

    assert town.life.changes - before[0] == told.life.changes - before[1]


def test_whoever_no_longer_lives_the_day_is_left_alone() -> None:
    town = Town()
    ada = town.people[5]
    ada.living = False
    town.life.act(ada, "dnd")

    town.clock.advance(23 * HOUR_S)

    assert "/".join(ada.shown) == "DoNotDisturb/DoNotDisturb"


def test_two_people_of_the_demonstration_show_both_idle_states_in_every_twenty_five_minutes() -> None:
    town = Town(people=1, nights=False)
    people = {name: Person(town.people[0].tenant, name, name, name, visits=name) for name in plan.VISITS}
    town.day.begin(people.values())
    shown: defaultdict[str, list[str]] = defaultdict(list)
    town.life.on_shown = lambda person, _before: shown[person.visits].append(person.shown.availability)
    for _ in range(8):
        for states in shown.values():
            states.clear()
        town.clock.advance(plan.VISIT_EVERY_S)
        assert {"Available", "AvailableIdle", "Offline"} <= set(shown["available"])
        assert {"Busy", "BusyIdle", "Offline"} <= set(shown["call"])


def test_without_nights_somebody_is_always_there() -> None:
    town = Town(nights=False)
    for _ in range(80):
        town.clock.advance(HOUR_S / 2)
        there = sum(person.shown.availability != "Offline" for person in town.people)
        assert there > 0.5 * len(town.people)


def test_a_plan_is_in_order_and_ends_what_it_begins() -> None:
    for number in range(200):
        steps = plan.steps(plan.make(1, "tenant", f"person {number}", number % 7, 100))
        seconds = [second for second, _ in steps]
        assert seconds == sorted(seconds)
        assert not seconds or seconds[-1] < 86_400
        last = [step.action for _, step in steps if step.action in {"come", "switch_off"}]
        assert last[-1:] in ([], ["switch_off"])
