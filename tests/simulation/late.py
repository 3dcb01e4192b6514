"""One owner's writes under random schedules: replies in another order, and requests that are carried out late.

    reads, statuses ──► writes under way ──(any order)──► store
                              │  ▲                           ▲
                              │  └──────── replies ──────────┤
                              └─► given up ──(much later)────┘

A user's presence is one of two states, so that it comes back to what it was and a read finds nothing to write. What must hold once
all has come to rest, and everybody was read: what is stored of each watched user is what Graph says, and nothing of the others.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Final

from tests.simulation.rules import Broken

STALE: Final = "stale"
USERS: Final = range(3)


@dataclass(frozen=True)
class LateRules:
    """Each is True where it holds."""

    revisions_compared: bool = True
    """Of two writes the one that was carried out last is believed, whichever reply comes first."""
    fenced: bool = True
    """After a write was given up the lease is taken anew before anything is read."""
    read_after_giving_up: bool = True
    """After a write was given up what is stored is believed."""
    read_alone: bool = True
    """All answers are read while no write is under way."""
    deleted_alone: bool = True
    """Answers are deleted while no write is under way."""
    forgotten_not_believed: bool = True
    """A reply about who was forgotten since, or whose answer was lost with the history, changes no belief."""
    leftovers_deleted: bool = True
    """After a write was given up, what is stored of users whom nobody watches is deleted."""


@dataclass(eq=False, slots=True)
class Known:
    """What is believed to be stored of one user; another one if the user was forgotten meanwhile."""

    answer: str | None = None
    revision: int = 0


@dataclass(eq=False, slots=True)
class Write:
    """Answers to be stored, or (None) to be deleted."""

    lease: int
    epoch: int
    order: int
    answers: dict[int, str | None]
    known: dict[int, Known] = field(default_factory=dict)
    is_read: bool = False
    reply: dict[int, int] | None = None  # user -> revision
    is_refused: bool = False


class World:
    """Graph, the store, the owner, and what is under way between them."""

    def __init__(self, seed: int, rules: LateRules) -> None:
        self.draw = random.Random(seed)
        self.rules = rules
        self.graph = dict.fromkeys(USERS, "A")
        self.lease = self.epoch = self.revision = self.orders = 0
        self.stored: dict[int, tuple[int, int, str]] = {}  # user -> (revision, order, answer)
        self.watched = set(USERS)
        self.known: dict[int, Known] = {}
        self.mine = self.lease
        self.reading: set[int] = set()
        self.under_way: list[Write] = []
        self.given_up: list[Write] = []
        self.is_doubted = False
        self.loaded: dict[int, tuple[int, int, str]] | None = None

    # The store

    def carry_out(self, write: Write) -> None:
        write.reply = {}
        write.is_refused = write.lease != self.lease or (
            write.epoch != self.epoch and None not in write.answers.values()
        )
        for user, answer in write.answers.items() if not write.is_refused else ():
            if answer is None:
                self.stored.pop(user, None)
            elif user not in self.stored or write.order > self.stored[user][1]:
                self.revision += 1
                self.stored[user] = (self.revision, write.order, answer)
                write.reply[user] = self.revision

    # The owner

    def read(self) -> None:
        """Graph answers for some users; what differs from what is believed is to be stored."""
        if self.is_doubted or (self.loaded is not None and self.rules.read_alone):
            return
        users = [user for user in self.watched - self.reading if self.draw.random() < 0.6]
        order = self._next_order()
        changed = {user: self.graph[user] for user in users if self._believed(user) != self.graph[user]}
        if changed:
            self._send(order, dict(changed), is_read=True)

    def tell(self) -> None:
        """Beside the reads: somebody's presence has not been confirmed for too long."""
        users = [user for user in self.watched if self._believed(user) not in (None, STALE)]
        if users and not self.is_doubted:
            self._send(self._next_order(), {self.draw.choice(users): STALE})

    def forget(self) -> None:
        """Nobody watches somebody any more."""
        if not self.watched or self.is_doubted or (self.under_way and self.rules.deleted_alone):
            return
        user = self.draw.choice(sorted(self.watched))
        self.watched.discard(user)
        self.known.pop(user, None)
        self._send(self._next_order(), {user: None})
        if self.rules.deleted_alone:  # nothing else begins before it is done, or given up
            self._finish(self.under_way[-1])

    def come_back(self) -> None:
        self.watched.update(user for user in USERS if self.draw.random() < 0.5)

    def reply(self) -> None:
        """A reply arrives: any of those under way."""
        there = [write for write in self.under_way if write.reply is not None]
        if there:
            self._take_in(self.draw.choice(there))

    def give_up(self, write: Write | None = None) -> None:
        """No reply came in time; the request may still lie in a socket, or have been carried out."""
        if write is None and self.under_way:
            write = self.draw.choice(self.under_way)
        if write is None:
            return
        self._end(write)
        if write.reply is None:
            self.given_up.append(write)
        self.is_doubted = True

    def recover(self) -> None:
        """Fence, and begin to read what is stored; `end_load` believes it."""
        if not self.is_doubted or self.loaded is not None:
            return
        if self.rules.fenced:
            self.mine = self.lease = self.lease + 1
        if self.under_way and self.rules.read_alone:
            return
        self.loaded = dict(self.stored)
        if self.rules.read_alone:
            self.end_load()
        else:
            self.is_doubted = False

    def end_load(self) -> None:
        if self.loaded is None:
            return
        if self.rules.read_after_giving_up:
            for known in self.known.values():
                known.answer, known.revision = None, 0
            for user, (revision, _, answer) in self.loaded.items():
                known = self.known.setdefault(user, Known())
                known.answer, known.revision = answer, revision
        self.loaded, self.is_doubted = None, False
        if self.rules.leftovers_deleted:
            self._delete(dict.fromkeys(self.stored.keys() - self.watched))

    def lose_history(self) -> None:
        """A failover: another epoch, without any answers."""
        self.epoch += 1
        self.stored.clear()
        self.loaded = None if self.rules.read_alone else self.loaded
        self.known = {}

    def _believed(self, user: int) -> str | None:
        known = self.known.get(user)
        return known.answer if known is not None else None

    def _next_order(self) -> int:
        self.orders += 1
        return self.orders

    def _send(self, order: int, answers: dict[int, str | None], *, is_read: bool = False) -> None:
        known = {user: self.known.setdefault(user, Known()) for user, answer in answers.items() if answer is not None}
        self.under_way.append(Write(self.mine, self.epoch, order, answers, known, is_read))
        if is_read:
            self.reading.update(answers)

    def _delete(self, users: dict[int, str | None]) -> None:
        if users:
            for user in users:
                self.known.pop(user, None)
            self.carry_out(Write(self.mine, self.epoch, 0, users))

    def _take_in(self, write: Write) -> None:
        self._end(write)
        if write.is_refused:
            self.is_doubted = True
        for user, revision in (write.reply or {}).items():
            known = self.known.get(user)
            if known is not write.known[user] and self.rules.forgotten_not_believed:
                continue
            known = self.known.setdefault(user, Known())
            if revision > known.revision or not self.rules.revisions_compared:
                known.answer, known.revision = write.answers[user], revision

    def _end(self, write: Write) -> None:
        self.under_way.remove(write)
        if write.is_read:
            self.reading.difference_update(write.answers)

    def _finish(self, write: Write) -> None:
        if self.draw.random() < 0.2:
            self.give_up(write)
        else:
            self.carry_out(write)
            self._take_in(write)

    # The schedule

    def run(self, steps: int) -> None:
        """A few rounds, each of which comes to rest and is judged."""
        often, seldom = (1.0, 2.0, 4.0), (0.0, 0.0, 0.5, 1.0)
        moves: list[tuple[float, Callable[[], object]]] = [
            (self.draw.choice(often), self._change),
            (self.draw.choice(often), self.read),
            (self.draw.choice(often), self._carry_out_any),
            (self.draw.choice(often), self.reply),
            (self.draw.choice((0.5, 1.0, 2.0)), self.tell),
            (self.draw.choice(seldom), self.give_up),
            (2.0, self.recover),
            (1.0, self.end_load),
            (self.draw.choice(seldom), self._carry_out_given_up),
            (self.draw.choice(seldom), self.forget),
            (0.5, self.come_back),
            (self.draw.choice((0.0, 0.0, 0.5)), self.lose_history),
        ]
        weights, doings = zip(*moves, strict=True)
        for _ in range(3):
            for doing in self.draw.choices(doings, weights, k=steps // 3):
                doing()
            self.come_to_rest()

    def _change(self) -> None:
        user = self.draw.choice(USERS)
        self.graph[user] = "B" if self.graph[user] == "A" else "A"

    def _carry_out_any(self) -> None:
        """The store comes to one of the requests, in no order."""
        waiting = [write for write in self.under_way if write.reply is None]
        if waiting:
            self.carry_out(self.draw.choice(waiting))

    def _carry_out_given_up(self) -> None:
        if self.given_up:
            self.carry_out(self.given_up.pop(self.draw.randrange(len(self.given_up))))

    def come_to_rest(self) -> None:
        """Nothing is given up any more; everybody is read, and what was given up is carried out at last."""
        for _ in range(4):
            self._settle()
            self.read_all()
        while self.given_up:
            self._carry_out_given_up()
        self.read_all()
        self._settle()
        self.check()

    def _settle(self) -> None:
        for _ in range(20):
            while self.under_way:
                self._carry_out_any()
                self.reply()
            self.recover()
            self.end_load()
            if not self.is_doubted and not self.under_way:
                return
        raise Broken("never at rest")

    def read_all(self) -> None:
        for _ in range(3):
            self.read()
            self._settle()
        changed = {user: self.graph[user] for user in self.watched if self._believed(user) != self.graph[user]}
        if changed:
            self._send(self._next_order(), dict(changed), is_read=True)
            self._settle()

    def check(self) -> None:
        for user in USERS:
            stored = self.stored.get(user)
            answer = stored[2] if stored is not None else None
            if user in self.watched and answer != self.graph[user]:
                raise Broken(f"Convergent: {user} is {answer}, Graph says {self.graph[user]}, and nothing is written")
            if user not in self.watched and answer is not None:
                raise Broken(f"Ordered: {user} would be shown {answer}, however old it is, to whoever comes next")


def play_late(seed: int, rules: LateRules = LateRules(), steps: int = 45) -> None:
    """Play the schedule of one seed.

    Raises:
        Broken: a guarantee does not hold.
    """
    World(seed, rules).run(steps)


WEAKENED: Final = {rule.name: replace(LateRules(), **{rule.name: False}) for rule in fields(LateRules)}
