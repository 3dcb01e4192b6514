"""How fresh suites are told that presence is, under random schedules: the real `PollPlan`, with owners that die and edges that come.

    graph ──(answers, or does not)──► owner ──contact──► store ──► edges ──► suites

What must hold at any time: who is told that all is well is shown nothing that Graph has not confirmed for longer than edges wait, and
as long again as an owner lets contact be old. (Users of whom the owner says that they are stale are not shown as they were.)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Final

from relay.core.presence import UserId
from relay.core.reading.pages import PlannedRead, ReadPage
from relay.core.reading.planning import PollPlan
from tests.simulation.rules import Broken

INTERVAL_S: Final = 5.0
STALE_S: Final = 3 * INTERVAL_S + 2.0
OLDEST_S: Final = 2 * STALE_S
BEAT_S: Final = INTERVAL_S
USERS: Final = [UserId(f"u{n}") for n in range(5)]


@dataclass(frozen=True)
class ContactRules:
    """Each is True where it holds."""

    taken_over_as_old: bool = True
    """What an owner takes over is as old as the contact that the earlier one left."""
    all_of_it_confirmed: bool = True
    """It is that old until Graph has confirmed all of it, and not the first part."""
    answered_only: bool = True
    """Nothing is confirmed before Graph answers: not by a page all of whose users are being read ahead of it."""
    handed_over_as_old: bool = True
    """Pages that are handed over are as old as they were."""
    joined_with_contact: bool = True
    """An edge to which the first suite of a tenant comes counts from the contact that is stored, and not from then."""


@dataclass(eq=False)
class Edge:
    """An edge with suites of the tenant: the contact that it knows, and when that moved last."""

    contact: float
    moved_at: float
    is_told_stale: bool = False

    def heard(self, contact: float, now: float, *, is_stale: bool) -> None:
        self.is_told_stale = is_stale
        if contact != self.contact:
            self.contact, self.moved_at = contact, now

    def is_well(self, now: float) -> bool:
        return not self.is_told_stale and now - self.moved_at <= STALE_S


@dataclass(eq=False)
class Owner:
    """A worker that has the tenant."""

    plan: PollPlan
    reads: list[PlannedRead] = field(default_factory=list)


class World:
    """Graph, at most one owner, the store and the edges."""

    def __init__(self, seed: int, rules: ContactRules) -> None:
        self.draw = random.Random(seed)
        self.rules = rules
        self.now = 1000.0
        self.contact = 0.0
        self.confirmed: dict[UserId, float] = {}  # stored presence, and when Graph confirmed it
        self.answers = True
        self.owner: Owner | None = None
        self.edges: list[Edge] = []
        self.take_over()

    def take_over(self, handed_over: Sequence[ReadPage] = ()) -> None:
        plan = PollPlan(2, self.draw.random())
        rules = self.rules
        plan.resume([page for page in handed_over if self.confirmed.keys() >= set(page.users)], self.now)
        resumed = set(plan)
        plan.add(USERS, self.now, INTERVAL_S)
        if rules.taken_over_as_old:
            users = self.confirmed if rules.all_of_it_confirmed else list(self.confirmed)[:1]
            plan.inherit(set(users) - resumed, self.contact)
        elif self.confirmed:
            plan.inherit(self.confirmed, self.now)
        self.owner = Owner(plan)

    def hand_over(self) -> None:
        """The owner stops in order, and the next one goes on at once or after a while."""
        if self.owner is None:
            return
        pages = self.owner.plan.settled()
        self.crash()
        for _ in range(self.draw.choice([0, 0, 5])):
            self.now += self.draw.choice([1.0, BEAT_S])
            self.check()
        if not self.rules.handed_over_as_old:
            pages = [replace(page, confirmed=self.now) for page in pages]
        self.take_over(pages)

    def crash(self) -> None:
        self.owner = None

    def begin_read(self) -> None:
        owner = self.owner
        if owner is None or (read := owner.plan.next(self.now)) is None:
            return
        if read.users:
            owner.reads.append(read)
        elif self.rules.answered_only:
            owner.plan.put_off(read, self.now, INTERVAL_S)
        else:
            assert read.page is not None
            owner.plan.done(replace(read, users=tuple(read.page.users)), self.now, INTERVAL_S)

    def finish_read(self) -> None:
        owner = self.owner
        if owner is None or not owner.reads or not self.answers:
            return
        read = owner.reads.pop(self.draw.randrange(len(owner.reads)))
        self.confirmed.update(dict.fromkeys(read.users, self.now))
        owner.plan.done(read, self.now, INTERVAL_S)

    def say(self) -> None:
        """The owner says what it does each beat, and of whom nothing was confirmed for too long."""
        if self.owner is None:
            return
        plan = self.owner.plan
        for page in plan.overdue(self.now, 3 * INTERVAL_S):
            for user in page.users:
                self.confirmed.pop(user, None)
        if (oldest := plan.oldest_confirmation) is not None:
            self.contact = oldest
        inherited_at = plan.inherited_at
        is_stale = inherited_at is not None and self.now - inherited_at > STALE_S
        for edge in self.edges:
            edge.heard(self.contact, self.now, is_stale=is_stale)

    def come(self) -> None:
        """The first suite of the tenant comes to an edge."""
        if self.contact:
            joined = self.contact if self.rules.joined_with_contact else self.now
            self.edges.append(Edge(self.contact, joined))

    def go(self) -> None:
        self.edges = self.edges[1:]

    def pass_time(self) -> None:
        for _ in range(self.draw.choice([1, 1, 4])):
            self.now += self.draw.choice([0.1, 1.0, BEAT_S])
            self.say()
            self.check()

    def graph_goes_or_comes(self) -> None:
        self.answers = not self.answers

    def check(self) -> None:
        if not self.confirmed or not any(edge.is_well(self.now) for edge in self.edges):
            return
        age_s = self.now - min(self.confirmed.values())
        if age_s > OLDEST_S:
            raise Broken(f"Never silently stale: presence {age_s:.0f} s old is called fresh")

    def run(self, steps: int) -> None:
        moves: list[tuple[float, Callable[[], object]]] = [
            (4.0, self.begin_read),
            (4.0, self.finish_read),
            (2.0, self.pass_time),
            (self.draw.choice((0.1, 0.3)), self.graph_goes_or_comes),
            (self.draw.choice((0.1, 0.3)), self.crash),
            (self.draw.choice((0.1, 0.5)), self.take_over),
            (self.draw.choice((0.0, 0.5)), self.hand_over),
            (0.3, self.come),
            (0.1, self.go),
        ]
        weights, doings = zip(*moves, strict=True)
        for doing in self.draw.choices(doings, weights, k=steps):
            doing()


def play_contact(seed: int, rules: ContactRules = ContactRules(), steps: int = 80) -> None:
    """Play the schedule of one seed.

    Raises:
        Broken: a guarantee does not hold.
    """
    World(seed, rules).run(steps)


WEAKENED: Final = {rule.name: replace(ContactRules(), **{rule.name: False}) for rule in fields(ContactRules)}
