"""Edges: a hub that reads `changes` and may lag, and the streams of the suites that are connected to it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from relay.core.presence import Name
from relay.core.watching.values import AnswersEntry, NamesSnapshot, Position, Take
from relay.core.watching.watch import Watch
from tests.simulation.rules import Rules
from tests.simulation.store import Store


@dataclass
class Hold:
    """The entries that a hub reads while a snapshot is under way. By their contents two may be equal, and are not the same."""

    missed: list[AnswersEntry[int]] = field(default_factory=list)


@dataclass(eq=False)
class Stream:
    """One open stream: requests and responses on their way, and a snapshot at one of its three stages."""

    watch: Watch[int]
    edge: Edge
    requests: deque[tuple[set[str], set[str]]] = field(default_factory=deque)
    responses: deque[Take[Any]] = field(default_factory=deque)
    asked: list[Name] | None = None
    hold: Hold = field(default_factory=Hold)
    is_broken: bool = False
    reply: NamesSnapshot[int] | None = None

    def carry_out_change(self) -> None:
        if self.requests:
            self.watch.change(*self.requests.popleft())

    def ask_snapshot(self, limit: int) -> None:
        if self.asked is None and self.watch.wants_lookup:
            self.asked = self.watch.take_lookups(self.watch.next_lookups(limit))
            self.hold = Hold()
            self.edge.holds.append(self.hold)

    def run_snapshot(self) -> None:
        if self.asked is None or self.reply is not None:
            return
        if self.edge.rules.snapshot_of_own_epoch and not self.edge.store.epoch_is_own:
            self.watch.put_back()
            self.forget_snapshot()
            return
        self.reply = self.edge.store.snapshot(self.asked)

    def apply_snapshot(self) -> None:
        if self.reply is None:
            return
        if self.reply.epoch != self.edge.epoch and self.edge.rules.snapshot_of_hubs_epoch:
            self.watch.put_back()
            self.edge.check_history()
        else:
            self.watch.apply(self.reply, self.hold.missed, self.edge.position)
        self.forget_snapshot()

    def forget_snapshot(self) -> None:
        if self.asked is not None and not self.edge.let_go(self.hold):
            self.is_broken = True
        self.asked = self.reply = None

    def look_up(self, limit: int) -> None:
        self.ask_snapshot(limit)
        self.run_snapshot()
        self.apply_snapshot()

    def send(self, limit: int) -> None:
        if self.watch.has_unsent:
            self.responses.append(self.watch.take(limit, self.edge.position))

    def progress(self) -> None:
        """A response without answers, which carries the token that may be had now."""
        if (token := self.watch.current_token(self.edge.position)) is not None:
            self.responses.append(Take(token=token, changes_seen=self.watch.changes_seen))


class Edge:
    """A hub and its streams."""

    def __init__(self, store: Store, rules: Rules) -> None:
        self.store = store
        self.rules = rules
        self.epoch = store.data.epoch
        self.revision = store.last
        self.streams: list[Stream] = []
        self.holds: list[Hold] = []

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.revision)

    def read(self) -> bool:
        """Read the next entry; whether there was one."""
        entry = self.store.next_entry(self.revision)
        if entry is None:
            return False
        if self.rules.gap_noticed and entry.previous != self.revision:
            self._on_gap()
            return True
        self.revision = entry.revision
        answers = AnswersEntry(entry.revision, entry.answers)
        for hold in self.holds:
            hold.missed.append(answers)
        for stream in self.streams:
            stream.watch.on_answers(answers)
            stream.watch.on_names(entry.names)
        return True

    def let_go(self, hold: Hold) -> bool:
        """The end of a snapshot; whether the hub knew of it."""
        found = [other for other in self.holds if (other is hold if self.rules.holds_told_apart else other == hold)]
        if found:
            self.holds = [other for other in self.holds if other is not found[0]]
        return bool(found)

    def catch_up(self) -> None:
        while self.read() and self.store.epoch_is_own:
            pass

    def check_history(self) -> None:
        """What it does after every (re)connect and once a second."""
        if self.store.epoch_is_own and self.store.data.epoch != self.epoch:
            self.epoch, self.revision = self.store.data.epoch, self.store.last
            for stream in self.streams:
                stream.watch.reset(None)
                stream.forget_snapshot()

    def _on_gap(self) -> None:
        before = self.epoch
        self.check_history()
        if self.epoch == before and self.store.epoch_is_own:
            for stream in self.streams:
                stream.watch.resync(self.position)
                stream.forget_snapshot()
            self.revision = self.store.last
