"""People who live a working day by themselves, over and over, from a seed.

Each person is always in one step of the table for a time drawn from its span, then takes a following step drawn by
weight. One entry in the clock's queue per person is all the state there is, so 100,000 people are cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from emulator.clock import Clock
    from emulator.life import Life
    from emulator.world import Person


class Step(NamedTuple):
    """How long an action lasts, in minutes of the world, and what may follow with what weight."""

    least: float
    most: float
    then: tuple[str, ...]
    weights: tuple[int, ...]


# Assumed: a lively office. Going home is short, so that a demonstration has no nights.
STEPS: Final = {
    "come": Step(5, 30, ("call", "meeting", "lock", "available"), (40, 30, 15, 15)),
    "available": Step(
        5, 40, ("call", "meeting", "lock", "focus", "present", "brb", "dnd", "switch_off"), (35, 18, 14, 7, 7, 7, 4, 8)
    ),
    "call": Step(1, 15, ("available", "meeting", "switch_off"), (84, 10, 6)),
    "meeting": Step(15, 60, ("available", "present", "call", "switch_off"), (62, 18, 10, 10)),
    "present": Step(5, 25, ("available", "meeting"), (60, 40)),
    "focus": Step(15, 60, ("available",), (1,)),
    "dnd": Step(10, 40, ("available",), (1,)),
    "brb": Step(3, 15, ("available",), (1,)),
    "lock": Step(5, 45, ("unlock", "switch_off"), (85, 15)),
    "unlock": Step(2, 20, ("call", "meeting", "available"), (50, 20, 30)),
    "switch_off": Step(20, 60, ("come",), (1,)),
}


class Day:
    """Drives people through `STEPS`."""

    def __init__(self, clock: Clock, life: Life, chance: random.Random) -> None:
        self._clock = clock
        self._life = life
        self._chance = chance

    def begin(self, people: Iterable[Person]) -> None:
        """Put everybody somewhere in the middle of their day, and let them go on from there until `living` is unset."""
        for person in people:
            if person.licensed and not person.living:
                person.living = True
                step = self._chance.choices(
                    ("available", "meeting", "call", "lock", "switch_off"), (45, 20, 10, 15, 10)
                )[0]
                self._life.act(person, "come")
                self._take(person, step, self._chance.random())

    def _take(self, person: Person, name: str, share: float = 1.0) -> None:
        """Take a step and plan the next; `share` shortens a step that is under way already."""
        device = "all" if name == "switch_off" else "desktop"
        self._life.act(person, name, device=device)
        step = STEPS[name]
        minutes = self._chance.uniform(step.least, step.most) * share
        self._clock.after(minutes * 60, lambda: self._next(person, step))

    def _next(self, person: Person, step: Step) -> None:
        if not person.living:
            return
        self._take(person, self._chance.choices(step.then, step.weights)[0])
