"""Change notifications under random schedules: the real rules of acceptance, order and plan, with a small model of all around them.

    graph ──(delayed, lost, repeated, reordered notifications)──► two workers ──► store
      └──────────────────────(polls that take time)──────────────────┘

A user's presence is one of two states, so that it comes back to what it was, and each change has a greater version. What
must hold, whatever happens:

- nobody's stored presence becomes an older one than suites were shown, or than a read has confirmed since;
- when all notifications have arrived, and none was lost, everybody's is Graph's, before the next poll;
- after one more poll it is in any case.

Numbers may be there or not, in polls and in notifications each for itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Final

from relay.core.presence import Observation, Source, UserId
from relay.core.reading.acceptance import Acceptance, Answer, Decision, Known, People
from relay.core.reading.handover import is_as_stored
from relay.core.reading.ordering import LAG_S, Newest, Order, Stamp, is_newer
from relay.core.reading.pages import PlannedRead, ReadPage
from relay.core.reading.planning import PollPlan
from tests.simulation.rules import Broken, play_all

STATES: Final = "AB"
INTERVAL: Final = 60.0
EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
NOBODY: Final = People({}, {})


@dataclass(frozen=True)
class PushRules:
    """Each is True where it holds."""

    numbers_compared: bool = True
    """A notification is accepted as it is only if its number is greater than the newest one seen."""
    unnumbered_only_mark: bool = True
    """A notification without a number only marks its user dirty."""
    unchanged_reads_count: bool = True
    """The newest number that was seen counts also when the read changed nothing."""
    read_first: bool = True
    """No notification of a user is accepted before this owner's first read."""
    unnumbered_read_forbids: bool = True
    """After a read without a number no notification is accepted until one with a number."""
    others_mark: bool = True
    """A notification that is not accepted marks its user dirty."""
    busy_marked_again: bool = True
    """Who is announced while being read is read once more afterwards."""
    lease_demanded: bool = True
    """A write demands the lease that it was begun under."""
    settled_handed_over: bool = True
    """An owner that ends in order hands nobody over who is being read, or is to be read at once."""
    seen_handed_over: bool = True
    """Of whom it has seen a newer number than the stored one, no notification is accepted before the next owner's first read."""
    ended_first: bool = True
    """It begins nothing after it has handed over."""
    inbox_resumed: bool = True
    """Notifications that came after that are taken in by the next owner."""
    handed_to_the_next: bool = True
    """What was handed over is the very next owner's, and nobody else's."""


@dataclass(frozen=True, slots=True)
class Said:
    """What Graph says of a user: the state, the version that it really is, and the number if it says one."""

    user: UserId
    version: int
    numbered: bool

    @property
    def state(self) -> str:
        return STATES[self.version % len(STATES)]

    @property
    def number(self) -> str:
        return f"A{self.version:010}" if self.numbered else ""

    @property
    def observation(self) -> Observation:
        return Observation(self.user, self.state, self.state, sequence_number=self.number)


@dataclass
class Stored:
    """The store's answers under its lease."""

    lease: tuple[int, int] = (0, 0)
    answers: dict[UserId, tuple[Said, Stamp]] = field(default_factory=dict)
    shown: dict[UserId, int] = field(default_factory=dict)

    def accept(
        self,
        lease: tuple[int, int],
        said: Said,
        order: Order,
        rules: PushRules,
        *,
        notified: bool,
        restarts: bool = False,
    ) -> bool:
        """What the script that accepts answers does; returns whether it was newer."""
        if lease != self.lease and rules.lease_demanded:
            return False
        stored = self.answers.get(said.user)
        if stored is not None:
            numbered = bool(stored[1].sequence_number and said.number)
            if notified and not numbered and rules.unnumbered_only_mark:
                return False
            if not (notified and not numbered) and not is_newer(
                stored[1], Stamp(order, said.number), restarts=restarts
            ):
                return False
            if (
                said.version < self.shown.get(said.user, 0)
                and said.state != STATES[self.shown.get(said.user, 0) % len(STATES)]
            ):
                raise Broken(f"{said.user} goes back from {self.shown[said.user]} to {said.version}")
        elif notified:
            return False
        kept = max(order, stored[1].order) if stored is not None else order
        self.answers[said.user] = (said, Stamp(kept, said.number))
        self.confirm(lease, said)
        return True

    def confirm(self, lease: tuple[int, int], said: Said) -> None:
        """The owner has seen that it is as it is stored."""
        if lease == self.lease:
            self.shown[said.user] = max(said.version, self.shown.get(said.user, 0))


@dataclass
class UnderWay:
    """A poll on its way: asked at one time, answered with what was so at another."""

    read: PlannedRead
    order: Order
    said: list[Said] | None = None


@dataclass
class Accepting:
    """A notification that is being accepted: the store is yet to answer."""

    said: Said
    order: Order
    answer: Answer


class Weakened(Acceptance):
    """The real rules, but for those that a test breaks."""

    __slots__ = ("rules",)

    def __init__(self, rules: PushRules) -> None:
        super().__init__()
        object.__setattr__(self, "rules", rules)

    def is_sure(self, held: Known, observation: Observation) -> bool:
        rules: PushRules = self.rules
        newest, number = held.newest, observation.sequence_number
        if not number and rules.unnumbered_only_mark:
            return False
        if rules.read_first and not newest.is_read:
            return False
        if not rules.numbers_compared or not number:
            return True
        if not rules.read_first:
            return number > newest.number
        return super().is_sure(held, observation)


@dataclass(frozen=True)
class Left:
    """What an owner that ended in order left behind."""

    fence: int
    pages: list[ReadPage]
    unseen: frozenset[UserId]


class Owner:
    """A worker that owns the partition, or believes to."""

    def __init__(self, number: int, world: World) -> None:
        self.number = number
        self.world = world
        self.lease = (0, 0)
        self.plan = PollPlan(2)
        self.policy = Weakened(world.rules)
        self.known: dict[UserId, Known] = {}
        self.reads: list[UnderWay] = []
        self.accepting: list[Accepting] = []
        self.orders = 0

    def leave(self) -> Left:
        """End in order."""
        rules, plan = self.world.rules, self.plan
        pages = plan.settled()
        if not rules.settled_handed_over:
            pages = [ReadPage(tuple(self.world.users), False, self.world.now, self.world.now + INTERVAL)]
        users = [user for page in pages for user in page.users]
        unseen = {user for user in users if not is_as_stored(self.known.get(user, Known()))}
        return Left(self.lease[1], pages, frozenset(unseen if rules.seen_handed_over else ()))

    def take_over(self, left: Left | None = None) -> None:
        """Load what is stored, and read everybody but those whom a former owner handed over."""
        world = self.world
        world.fence += 1
        self.lease = world.store.lease = (self.number, world.fence)
        self.plan = PollPlan(2)
        if left is not None and left.fence != world.fence - 1 and world.rules.handed_to_the_next:
            left = None
        resumed = set(world.store.answers) if left is not None else set()
        self.plan.resume(
            [page.without(set(page.users) - resumed) for page in left.pages] if left is not None else [], world.now
        )
        resumed = set(self.plan)
        self.plan.add(world.users, world.now, INTERVAL)
        self.plan.move([user for user in world.users if world.covered(user)], world.now, INTERVAL, covered=True)
        self.reads.clear()
        self.accepting.clear()
        self.orders = 0
        answers = world.store.answers
        self.known = {
            user: Known(self._answer(said), Newest(stamp.sequence_number)) for user, (said, stamp) in answers.items()
        }
        for user in resumed - (left.unseen if left is not None else set()):
            newest = self.known[user].newest
            self.known[user].newest = newest._replace(is_read=bool(newest.number))

    def take_over_in_order(self) -> None:
        """Take over from an owner that ends in order; notifications come meanwhile."""
        world = self.world
        former = world.owner
        if former is self:
            return
        for end in (former.ask, former.finish_read, former.finish_accepting):
            if world.draw.random() < 0.7:
                end()
        left = former.leave()
        # Reads that began before may still end, under the lease.
        steps = [former.ask, former.finish_read, former.finish_accepting]
        if not world.rules.ended_first:
            world.move_on()
            steps = [former.begin_read, *steps] * 3
        for step in steps:
            if world.draw.random() < 0.5:
                step()
        waiting = world.take_some_in_flight()
        if world.draw.random() < 0.3:  # another one comes first, and is killed
            other = Owner(3, world)
            other.take_over()
            for said in waiting:
                other.notified(said)
            waiting = []
            for step in (other.begin_read, other.ask, other.finish_read) * 2:
                step()
        self.take_over(left)
        for said in waiting if world.rules.inbox_resumed else ():
            self.notified(said)

    def _answer(self, said: Said) -> Answer:
        return self.policy.present(said.observation, None, NOBODY, Source.POLL, EPOCH)

    def begin_read(self) -> None:
        read = self.plan.next(self.world.now)
        if read is not None:
            self.reads.append(UnderWay(read, self._next_order()))

    def ask(self) -> None:
        """Graph answers a read that is under way with what is so now; the answer takes its time."""
        for under_way in self.reads:
            if under_way.said is None:
                under_way.said = [self.world.says(user) for user in under_way.read.users]
                return

    def finish_read(self) -> None:
        answered = [under_way for under_way in self.reads if under_way.said is not None]
        if not answered:
            return
        under_way = self.world.draw.choice(answered)
        self.reads.remove(under_way)
        for said in under_way.said or ():
            self._take_in_read(said, under_way.order)
        self.plan.done(under_way.read, self.world.now, INTERVAL)

    def _take_in_read(self, said: Said, order: Order) -> None:
        rules, user, store = self.world.rules, said.user, self.world.store
        before = self.known.get(user, Known()).newest
        decision = self.policy.judge_read(self.known, [said.observation], NOBODY, now=EPOCH, at=self.world.now)
        held = self.known.setdefault(user, Known())
        if user in decision.changed:
            held.newest = decision.seen[user]
            restarts = bool(said.number) and said.number < before.number
            if store.accept(self.lease, said, order, rules, notified=False, restarts=restarts):
                self._believe(said, decision.changed[user])
        elif user not in decision.doubted:
            store.confirm(self.lease, said)
            if rules.unchanged_reads_count:
                held.newest = decision.seen[user]
            else:
                held.newest = before.weigh(said.number, self.world.now)[1]
        else:
            held.newest = decision.seen[user]
        if not rules.unnumbered_read_forbids and user not in decision.doubted:
            held.newest = held.newest._replace(is_read=True)

    def _believe(self, said: Said, answer: Answer) -> None:
        held = self.known.setdefault(said.user, Known())
        held.answer, held.newest = answer, held.newest.taken(said.number, self.world.now)

    def notified(self, said: Said) -> None:
        """A notification arrives."""
        rules, user = self.world.rules, said.user
        if not self.plan.hold([user]):
            self._mark(user, rules.busy_marked_again)
            return
        decision = self.policy.judge_notifications(self.known, [said.observation], NOBODY, now=EPOCH, at=self.world.now)
        if user in decision.changed:
            self.accepting.append(Accepting(said, self._next_order(), decision.changed[user]))
            return
        self.plan.let_go([user])
        if user in decision.unsure:
            self._mark(user, rules.others_mark)
        self._note_seen(said, decision)

    def _note_seen(self, said: Said, decision: Decision) -> None:
        if said.user in decision.seen:
            self.world.store.confirm(self.lease, said)
            self.known[said.user].newest = decision.seen[said.user]

    def _mark(self, user: UserId, rule: bool) -> None:
        if rule:
            self.plan.mark_announced([user], self.world.now)

    def finish_accepting(self) -> None:
        """The store answers for one that is being accepted."""
        if not self.accepting:
            return
        rules, store = self.world.rules, self.world.store
        accepting = self.accepting.pop(0)
        said, user = accepting.said, accepting.said.user
        if store.accept(self.lease, said, accepting.order, rules, notified=True):
            self._believe(said, accepting.answer)
        else:
            self._mark(user, rules.others_mark)
        self.plan.let_go([user])

    def _next_order(self) -> Order:
        self.orders += 1
        return Order(self.lease[1], self.orders)


class World:
    """Graph, its notifications, the store and two workers."""

    def __init__(self, seed: int, rules: PushRules, *, in_order: bool = False) -> None:
        """Begin; `in_order`: owners also end in order, and hand over."""
        self.draw = random.Random(seed)
        self._in_order = in_order
        self.rules = rules
        self.now = 0.0
        self.fence = 0
        self.users = [UserId(f"u{n}") for n in range(self.draw.randint(1, 3))]
        self.versions = dict.fromkeys(self.users, 0)
        self.changed = dict.fromkeys(self.users, 0.0)
        self.in_flight: list[Said] = []
        self.store = Stored()
        self.owners = [Owner(1, self), Owner(2, self)]
        self._poll_numbers = self.draw.choice([1.0, 1.0, 0.6, 0.0])
        self._push_numbers = self.draw.choice([1.0, 1.0, 0.6, 0.0])
        self._loss = self.draw.choice([0.0, 0.3])
        self._lag = self.draw.choice([0.0, 0.0, 0.4])
        self._covered = self.draw.random() < 0.7
        self.owners[0].take_over()

    def covered(self, user: UserId) -> bool:
        """Whether polls of this user are seldom; it decides nothing but how long things take."""
        return self._covered and user != "u0"

    def says(self, user: UserId) -> Said:
        """What Graph answers a poll: numbered answers may come from a server that lags.

        Not across a take-over, because a new owner has nothing but the stored number to tell, and believes its first read.
        """
        numbered = self.draw.random() < self._poll_numbers
        may_lag = self._poll_numbers == 1.0 and self._push_numbers == 1.0 and self.now - self.changed[user] < LAG_S
        lag = 1 if may_lag and self.draw.random() < self._lag else 0
        return Said(user, max(0, self.versions[user] - lag), numbered)

    def change(self) -> None:
        """Somebody's presence changes, perhaps at once again; Graph announces it, or does not."""
        user = self.draw.choice(self.users)
        for _ in range(self.draw.choice([1, 1, 2])):
            self.versions[user] += 1
            self.changed[user] = self.now
            if self.draw.random() >= self._loss:
                said = Said(user, self.versions[user], self.draw.random() < self._push_numbers)
                self.in_flight += [said] * self.draw.choice([1, 1, 2])

    def deliver(self) -> None:
        """A notification arrives at a worker: any of those under way, some after hours, some twice."""
        if self.in_flight:
            said = self.in_flight[int(self.draw.random() ** self.draw.choice([1, 2]) * len(self.in_flight))]
            if self.draw.random() < 0.8:
                self.in_flight.remove(said)
            self.owner.notified(said)

    def take_some_in_flight(self) -> list[Said]:
        """Some of the notifications arrive while nobody takes them in."""
        taken = [said for said in self.in_flight if self.draw.random() < 0.4]
        for said in taken:
            self.in_flight.remove(said)
        return taken

    def move_on(self) -> None:
        """Somebody changes there and back."""
        self.change()
        self.change()

    @property
    def owner(self) -> Owner:
        """Whoever has the lease."""
        return next(owner for owner in self.owners if owner.lease == self.store.lease)

    def run(self, steps: int) -> None:
        """A few rounds, each of which comes to rest and is judged."""
        moves: list[tuple[float, Callable[[], Any]]] = [(2.0, self.change), (3.0, self.deliver)]
        for owner in self.owners:
            moves += [
                (2.0, owner.begin_read),
                (2.0, owner.ask),
                (2.0, owner.finish_read),
                (1.5, owner.finish_accepting),
                (0.0 if self._lag else self.draw.choice([0.0, 0.2, 0.6]), owner.take_over),
            ]
            moves += [(1.0, owner.take_over_in_order)] if self._in_order and not self._lag else []
        moves.append((1.0, self._pass_time))
        moves.append((self.draw.choice([0.0, 0.5, 1.0]), self._there_and_back))
        weights, doings = zip(*moves, strict=True)
        for _ in range(3):
            for doing in self.draw.choices(doings, weights, k=steps // 3):
                doing()
            self.come_to_rest()

    def _pass_time(self) -> None:
        self.now += self.draw.choice([0.1, 1.0, INTERVAL])

    def _there_and_back(self) -> None:
        """A, B, A: read or announced at once but for B, which is announced when all is over, to this owner or the next."""
        user = self.draw.choice(self.users)
        if self.versions[user] % 2:
            return
        self._settle(user)
        self.versions[user] += 1
        self.changed[user] = self.now
        between = Said(user, self.versions[user], self.draw.random() < self._push_numbers)
        first = self.owner
        if paused := self.draw.random() < 0.3:
            first.notified(between)
        self.versions[user] += 1
        if self.draw.random() < 0.5 and not self._lag:
            self.draw.choice(self.owners).take_over()
        for step in (self.owner.begin_read, self.owner.ask, self.owner.finish_read) * 2:
            if self.draw.random() < 0.8:
                step()
        if self._in_order and not self._lag and not paused:
            self.draw.choice(self.owners).take_over_in_order()
        self.owner.notified(Said(user, self.versions[user], between.numbered))
        if paused:
            first.finish_accepting()
        else:
            self.owner.notified(between)

    def _settle(self, user: UserId) -> None:
        self.owner.plan.mark_dirty([user])
        for _ in range(4):
            for step in (self.owner.begin_read, self.owner.ask, self.owner.finish_read, self.owner.finish_accepting):
                step()

    def come_to_rest(self) -> None:
        """What is under way arrives; then every notification was delivered, and what they marked is read."""
        lag, self._lag = self._lag, 0.0
        for said in self.in_flight:
            self.owner.notified(said)
        self.in_flight.clear()
        self._finish_all()
        if not self._loss and not lag:
            self._check("after all was announced")
        self.now += 2 * INTERVAL
        self._finish_all()
        self._check("after the next poll")
        self._lag = lag

    def _check(self, when: str) -> None:
        for user, version in self.versions.items():
            shown = self.store.answers.get(user)
            if shown is None or shown[0].state != STATES[version % len(STATES)]:
                raise Broken(f"{user} shows {shown and shown[0]} {when}, and Graph says {version}")

    def _finish_all(self) -> None:
        owner = self.owner
        for _ in range(60):
            while owner.accepting:
                owner.finish_accepting()
            owner.begin_read()
            owner.ask()
            if not owner.reads and owner.plan.wait(self.now) > 0:
                return
            owner.finish_read()
        raise Broken("never at rest")


def run_push(seeds: Iterable[int], rules: PushRules = PushRules(), steps: int = 45, *, in_order: bool = False) -> int:
    """Run a schedule for each seed; see `World` and `play_all`."""
    return play_all(seeds, lambda seed: World(seed, rules, in_order=in_order).run(steps))


OF_HANDOVERS: Final = ("settled_handed_over", "seen_handed_over", "ended_first", "inbox_resumed", "handed_to_the_next")
"""Rules that matter where owners end in order."""
WEAKENED: Final = {rule.name: replace(PushRules(), **{rule.name: False}) for rule in fields(PushRules)}
