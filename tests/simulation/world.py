"""A small world, and what can happen in it: single moves, and some that do several things that seldom meet by chance."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Final, TypeVar

from relay.core.names import normalise
from relay.core.presence import Name, Resolution, Status, UserId
from tests.simulation.edges import Edge, Stream
from tests.simulation.rules import Rules
from tests.simulation.store import Store
from tests.simulation.suites import Suite
from tests.simulation.workers import Graph, Worker

USERS: Final = [UserId(f"{n:08d}-0000-4000-8000-000000000000") for n in range(4)]
SPELLINGS: Final = [f"User{n}@contoso.example" for n in range(5)]
T = TypeVar("T")

MOVES: Final[dict[str, tuple[Callable[[Stream], object], Callable[[Suite, Stream, int], object]]]] = {
    "change": (lambda stream: stream.requests, lambda _, stream, __: stream.carry_out_change()),
    "ask": (
        lambda stream: stream.asked is None and stream.watch.wants_lookup,
        lambda _, stream, limit: stream.ask_snapshot(limit),
    ),
    "run": (
        lambda stream: stream.asked is not None and stream.reply is None,
        lambda _, stream, __: stream.run_snapshot(),
    ),
    "apply": (lambda stream: stream.reply is not None, lambda _, stream, __: stream.apply_snapshot()),
    "send": (lambda stream: stream.watch.has_unsent, lambda _, stream, limit: stream.send(limit)),
    "receive": (lambda stream: stream.responses, lambda suite, _, __: suite.receive()),
}
"""What can happen between a suite and its edge: whether it is possible now, and doing it with a limit."""


def named(spelling: str) -> Name:
    name = normalise(spelling)
    assert name is not None
    return name


NAMES: Final = {spelling: named(spelling) for spelling in SPELLINGS}


class World:
    """Everything that one seed draws; the same seed and rules give the same."""

    def __init__(self, seed: int, rules: Rules) -> None:
        self.draw = draw = random.Random(seed)
        self.rules = rules
        self.users = USERS[: draw.choice([1, 2, 2, 3, 4])]
        self.spellings = SPELLINGS[: draw.choice([1, 2, 3, 3, 4, 5])]
        meanings: dict[Name, Resolution] = {NAMES[spelling]: draw.choice(self.users) for spelling in self.spellings}
        self.graph = Graph(dict.fromkeys(self.users, 1), meanings)
        self.store = Store()
        self.store.renew_epoch(0)
        numbers = count(1)
        self.workers = [Worker(n, self.graph, self.store, rules, lambda: next(numbers)) for n in range(2)]
        self.workers[0].take_over()
        if draw.random() < 0.7:
            self.store.data.directory.update(meanings)
        self.edges = [Edge(self.store, rules) for _ in range(draw.randint(1, 2))]
        self.limits = draw.choice([[1], [1, 2], [1, 2, 10], [10]])
        self.suites = [self._suite() for _ in range(draw.choice([1, 1, 2]))]

    # Graph and workers

    def rename(self) -> None:
        meaning: Resolution = self._any(self.users) if self.draw.random() < 0.9 else Status.NOT_FOUND
        self.graph.meanings[self._any(list(self.graph.meanings))] = meaning

    def rename_and_back(self) -> None:
        """A name comes to stand for another user and for the first again, and edges hear of it one by one."""
        name, before = self._any(list(self.graph.meanings.items()))
        suite = self._any(self.suites)
        self._some_of(0.5, partial(self._settle, suite))
        for meaning in (self._any(self.users), before):
            self._rename(name, meaning)
            self._some_of(0.7, self.publish, self._any(self.edges).read)
        self._some_of(0.5, partial(self._break_off, suite), lambda: self._stream(suite).look_up(10))

    def rename_for_a_while(self) -> None:
        """A user has no name for a while, and changes unseen; the stream breaks when it has told of the name's return."""
        suite = self._any(self.suites)
        self._settle(suite)
        named = [name for name, meaning in self.graph.meanings.items() if meaning == self.users[0]]
        for name in named:
            self._rename(name, self.users[-1])
        self.publish(self.users[:1])
        self._some_of(0.8, self._stream(suite).edge.catch_up)
        self._settle(suite)
        for name in named:
            self._rename(name, self.users[0])
        self._break_off(suite)

    def publish(self, changed: list[UserId] | None = None) -> None:
        """Presences change, and the owner reads them at once."""
        changed = self._change_some() if changed is None else self._change(changed)
        self._owner.finish_read()
        self._owner.begin_read(changed)
        self._owner.finish_read()

    def pause_owner(self) -> None:
        """The owner stops in the middle of a read; its lease expires, and the other takes over and reads on."""
        owner, other = self.draw.sample(self.workers, 2)
        owner.take_over()
        owner.finish_read()
        self._change_some()
        owner.begin_read(self.users)
        self.store.replicate()
        other.take_over()
        suite = self._any(self.suites)
        self._some_of(0.7, self.publish, partial(self._reconnect, suite), partial(self._settle, suite))
        self._some_of(0.4, self.bring_back_paused_owner)

    def bring_back_paused_owner(self) -> None:
        """A failover brings back the lease of a paused owner, which goes on with its read."""
        self.fail_over()
        self._some_of(0.5, self._owner.check_history)
        self._owner.finish_read()
        self._some_of(0.8, partial(self._settle, self._any(self.suites)))

    def fail_over(self) -> None:
        self.store.fail_over(ids_go_back=self._perhaps(0.5))

    def trim(self) -> None:
        """Usually all but the newest few entries go, so that also an edge that hardly lags meets the gap."""
        del self.store.data.changes[: -self._any([1, 1, 2, 3])]

    def publish_and_trim(self) -> None:
        """A burst, after which an edge that did not read meanwhile meets a gap."""
        for _ in range(2):
            self.publish()
        self.trim()
        self._some_of(0.5, self._any(self.edges).read)

    @property
    def _owner(self) -> Worker:
        return self.workers[0] if self.workers[0].owns else self.workers[1]

    def _some_users(self) -> list[UserId]:
        return self.draw.sample(self.users, min(len(self.users), self._any([1, 1, 2, 4])))

    def _change_some(self) -> list[UserId]:
        return self._change(self._some_users())

    def _change(self, users: list[UserId]) -> list[UserId]:
        for user in users:
            self.graph.versions[user] += 1
        return users

    def _read_some(self, worker: Worker) -> None:
        worker.begin_read(self._some_users())

    def _rename(self, name: Name, meaning: Resolution) -> None:
        self.graph.meanings[name] = meaning
        self._owner.resolve(name)

    def _resolve_some(self, worker: Worker) -> None:
        worker.resolve(self._any(list(self.graph.meanings)))

    def _forget_unwatched(self, worker: Worker) -> None:
        worker.forget({name for edge in self.edges for stream in edge.streams for name in stream.watch.names})

    # Suites and their streams

    def _suite(self) -> Suite:
        wanted = set(self.draw.sample(self.spellings, self.draw.randint(1, len(self.spellings))))
        return Suite(wanted, self.rules, streams_requests=self._perhaps(0.7))

    def _stream(self, suite: Suite) -> Stream:
        if suite.stream is not None and suite.stream.is_broken:
            suite.disconnect()
        suite.connect(self._any(self.edges))
        assert suite.stream is not None
        return suite.stream

    def _advance(self, suite: Suite, lazy: str | None) -> None:
        """One move of those that are possible between a suite and its edge; a lazy kind of them happens seldom."""
        stream = self._stream(suite)
        moves = [move for move, (possible, _) in MOVES.items() if possible(stream)]
        if not moves:
            stream.progress()
            return
        move = self._any(moves)
        if move != lazy or self._perhaps(0.15):
            MOVES[move][1](suite, stream, self._any(self.limits))

    def _settle(self, suite: Suite) -> None:
        """All that is under way to a suite arrives, if the store lets it; its hub may lag nevertheless."""
        stream = self._stream(suite)
        if self._perhaps(0.6):
            stream.edge.catch_up()
        for _ in range(3):
            if not self._move(suite, limit=10):
                return

    def _add(self, suite: Suite) -> None:
        suite.change({self._any(self.spellings)}, set(), self._any(self.edges))

    def _remove(self, suite: Suite) -> None:
        if suite.wanted:
            suite.change(set(), {self._any(sorted(suite.wanted))}, self._any(self.edges))

    def _reconnect(self, suite: Suite) -> None:
        suite.disconnect()
        suite.connect(self._any(self.edges))

    def _go_away(self, suite: Suite) -> None:
        """A suite is away while presences change, and edges hear of it or do not."""
        suite.disconnect()
        for _ in range(self.draw.randint(1, 2)):
            self.publish()
        self._some_of(0.5, self._any(self.edges).catch_up)
        self._stream(suite)

    def _meet_gap(self, suite: Suite) -> None:
        """An edge meets a gap, perhaps before all names of a suite that came back were looked up."""
        self._some_of(0.6, partial(self._go_away, suite))
        self._some_of(0.5, lambda: self._stream(suite).look_up(1))
        self.publish_and_trim()
        self._stream(suite).edge.read()
        self._some_of(0.5, partial(self._break_off, suite))

    def _return_and_break_off(self, suite: Suite) -> None:
        self._go_away(suite)
        self._break_off(suite)

    def _break_off(self, suite: Suite) -> None:
        """A stream breaks while it still has much to look up or to send."""
        stream = self._stream(suite)
        send = partial(stream.send, 1)
        look_up = partial(stream.look_up, self._any([1, 10]))
        self._some_of(0.75, self.publish, stream.edge.catch_up, look_up, send, stream.progress)
        while suite.receive():
            pass
        self._reconnect(suite)

    def storm(self) -> None:
        """All suites come back to one edge, and somebody changes while their snapshots are under way."""
        edge = self._any(self.edges)
        for suite in self.suites:
            suite.disconnect()
            suite.connect(edge)
        for suite in self.draw.choices(self.suites, k=4 * len(self.suites)):
            stream = self._stream(suite)
            move = next((move for move in ("ask", "run", "apply") if MOVES[move][0](stream)), None)
            if move is not None:
                MOVES[move][1](suite, stream, 10)
            self._some_of(0.2, self.publish, edge.read)

    def _waver(self, suite: Suite) -> None:
        """A name is subscribed, unsubscribed, subscribed while answers are on their way; then the stream may break."""
        name = self._any(self.spellings)
        self._some_of(0.5, partial(self._settle, suite))
        for _ in range(4 if name in suite.wanted else 3):  # it ends subscribed
            wanted = name in suite.wanted
            suite.change(set() if wanted else {name}, {name} if wanted else set(), self._any(self.edges))
            stream = self._stream(suite)
            asking = (partial(stream.look_up, 10), partial(stream.send, 10))
            leaving = (self.publish, stream.edge.catch_up, stream.progress)
            self._some_of(0.8, stream.carry_out_change, *(leaving if wanted else asking))
        while self._perhaps(0.9) and suite.receive():
            pass
        self._some_of(0.7, *[partial(self._reconnect, suite)] * 2)

    def _shorten_start(self, suite: Suite) -> None:
        """A name is unsubscribed while the start is still being looked up."""
        self._reconnect(suite)
        self._stream(suite).look_up(1)
        self._remove(suite)
        self._stream(suite).carry_out_change()

    def _lose_what_was_shown(self, suite: Suite) -> None:
        """A suite is shown what a failover then takes away; perhaps it comes back, or asks, before anybody noticed."""
        self.store.replicate()
        for _ in range(self.draw.randint(1, 4)):
            self.publish()
        self._reconnect(suite)
        self._settle(suite)
        self._some_of(0.3, self.publish, self._stream(suite).edge.read)
        self.fail_over()
        edge, reconnect = self._any(self.edges), partial(self._reconnect, suite)
        self._some_of(0.7, self._owner.check_history, edge.check_history)
        self._some_of(0.4, reconnect)
        self._some_of(0.6, partial(self._settle, suite), self.publish, self._any(self.edges).read)

    def _hear_late_of_loss(self, suite: Suite) -> None:
        """An edge has not noticed a new epoch yet when a suite comes to it, and goes again."""
        self.store.replicate()
        self.publish()
        for edge in self.edges:
            edge.catch_up()
        self.store.fail_over(ids_go_back=True)
        self._owner.check_history()
        settle, reconnect = partial(self._settle, suite), partial(self._reconnect, suite)
        self._some_of(0.8, reconnect, settle, self.publish, *[edge.check_history for edge in self.edges], reconnect)

    def _move(self, suite: Suite, limit: int) -> bool:
        """One round of everything between a suite and its edge; whether there is more to come."""
        stream = self._stream(suite)
        while stream.requests:
            stream.carry_out_change()
        stream.look_up(limit)
        stream.send(limit)
        stream.progress()
        while suite.receive():
            pass
        return stream.watch.wants_lookup or stream.watch.has_unsent or stream.asked is not None

    # Chance

    def _any(self, among: Sequence[T]) -> T:
        return among[int(self.draw.random() * len(among))]

    def _some_of(self, chance: float, *moves: Callable[[], object]) -> None:
        """Each of the moves with this chance, in their order."""
        for move in moves:
            if self._perhaps(chance):
                move()

    def _perhaps(self, chance: float) -> bool:
        return self.draw.random() < chance
