"""What edges watch, under random schedules: the real `WantedNames` and `Readings`, with hints that are lost and sets that are read late.

    edges ──► sets ──────(read whole, in some time)──────► WantedNames
         └──► inbox of hints, in order, some of them lost ──►

What must hold once all hints have arrived and all sets that were asked for are read: each edge watches what its set says.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from relay.core.presence import Name
from relay.core.watching.readings import HeldHints, InterestChange, Readings
from relay.core.watching.wanted import WantedNames
from tests.simulation.rules import Broken

EDGES: Final = ("e1", "e2")
NAMES: Final = [Name(f"u{n}@x.example") for n in range(3)]


class BesideEachOther(Readings):
    """Two readings of one edge may be under way together, and the later one takes over what is kept for the earlier."""

    def begin(self, edge: str) -> bool:
        self._under_way[edge] = HeldHints()
        return True

    def end(self, edge: str) -> HeldHints:
        return self._under_way.pop(edge, HeldHints())


class NotAskedAgain(Readings):
    """Who asks for a set that is being read is content with that reading."""

    def begin(self, edge: str) -> bool:
        if edge in self._under_way:
            return False
        return super().begin(edge)


class HintsNotKept(Readings):
    """What a hint says while the set is being read is taken in at once."""

    def hold(self, edge: str, change: InterestChange) -> bool:
        return False


class HintsForgotten(Readings):
    """What a hint says while the set is being read is taken to be in it."""

    def end(self, edge: str) -> HeldHints:
        return HeldHints(again=super().end(edge).again)


@dataclass(eq=False)
class Task:
    """A reading of some edges' sets, one after the other."""

    edges: deque[str]
    edge: str | None = None
    found: set[Name] | None = None


class World:
    """The edges' sets, the inbox, and the owner of the tenant."""

    def __init__(self, seed: int, readings: type[Readings]) -> None:
        self.draw = random.Random(seed)
        self.sets: dict[str, set[Name]] = {edge: set() for edge in EDGES}
        self.inbox: deque[tuple[str, InterestChange | None]] = deque()
        self.is_gap = False
        self.wanted = WantedNames(10.0, most=100)
        self.readings = readings()
        self.tasks: list[Task] = []

    def change(self) -> None:
        """An edge changes what it watches; large changes are only hinted at."""
        edge, name = self.draw.choice(EDGES), self.draw.choice(NAMES)
        names = self.sets[edge]
        change = InterestChange((), (name,)) if name in names else InterestChange((name,), ())
        names.symmetric_difference_update((name,))
        self.inbox.append((edge, change if self.draw.random() < 0.7 else None))

    def lose_hint(self) -> None:
        if self.inbox:
            self.inbox.popleft()
            self.is_gap = True

    def deliver(self) -> None:
        if self.is_gap:
            self.is_gap = False
            self._read(*EDGES)
        if self.inbox:
            edge, change = self.inbox.popleft()
            if change is None:
                self._read(edge)
            elif not self.readings.hold(edge, change):
                self._take_in(edge, change)

    def _read(self, *edges: str) -> None:
        self.tasks.append(Task(deque(self.draw.sample(edges, len(edges)))))

    def step(self) -> None:
        """One of the readings goes on: it begins with the next edge, has its set, or takes it in."""
        if not self.tasks:
            return
        task = self.draw.choice(self.tasks)
        if task.edge is None:
            if not task.edges:
                self.tasks.remove(task)
            elif self.readings.begin(edge := task.edges.popleft()):
                task.edge = edge
        elif task.found is None:
            task.found = set(self.sets[task.edge])
        else:
            self.wanted.replace(task.edge, task.found, 0.0)
            held = self.readings.end(task.edge)
            for change in held.changes:
                self._take_in(task.edge, change)
            if held.again:
                self._read(task.edge)
            task.edge = task.found = None

    def _take_in(self, edge: str, change: InterestChange) -> None:
        self.wanted.add(edge, change.added)
        self.wanted.remove(edge, change.removed, 0.0)

    def run(self, steps: int) -> None:
        moves: list[tuple[float, Callable[[], object]]] = [
            (1.0, self.change),
            (self.draw.choice((0.0, 0.2)), self.lose_hint),
            (self.draw.choice((0.5, 1.0, 2.0)), self.deliver),
            (self.draw.choice((0.5, 1.0, 3.0)), self.step),
        ]
        weights, doings = zip(*moves, strict=True)
        for doing in self.draw.choices(doings, weights, k=steps):
            doing()
        while self.inbox or self.is_gap:
            self.deliver()
        for _ in range(1000):
            if not self.tasks:
                break
            self.step()
        else:
            raise Broken("never at rest")
        for edge, names in self.sets.items():
            if self.wanted.names_of(edge) != names:
                raise Broken(f"Answered: {edge} watches {names}, and the owner believes {self.wanted.names_of(edge)}")


def play_interest(seed: int, readings: type[Readings] = Readings, steps: int = 40) -> None:
    """Play the schedule of one seed.

    Raises:
        Broken: a guarantee does not hold.
    """
    World(seed, readings).run(steps)


WEAKENED: Final = {rule.__name__: rule for rule in (BesideEachOther, NotAskedAgain, HintsNotKept, HintsForgotten)}
