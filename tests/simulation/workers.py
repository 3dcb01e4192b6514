"""What people and names are at Graph, and the workers that read them under a lease."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from relay.core.presence import Name, Resolution, UserId
from relay.core.revision import Epoch
from tests.simulation.rules import Rules
from tests.simulation.store import NO_EPOCH, Lease, Store


@dataclass
class Graph:
    """Microsoft's side: the newest version of each user, and what each name stands for."""

    versions: dict[UserId, int]
    meanings: dict[Name, Resolution]


@dataclass(frozen=True, slots=True)
class Read:
    """A poll under way: what Graph said, and under which lease and epoch it was asked."""

    lease: Lease | None
    epoch: Epoch
    seen: dict[UserId, int]


@dataclass
class Worker:
    """One of two that may each believe to be the owner."""

    number: int
    graph: Graph
    store: Store
    rules: Rules
    random_value: Callable[[], int]
    lease: Lease | None = None
    epoch: Epoch = NO_EPOCH
    stored: dict[UserId, int] = field(default_factory=dict)
    """What it believes is stored."""
    read: Read | None = None
    """No user is in two reads at once."""

    @property
    def owns(self) -> bool:
        return self.lease is not None and self.lease == self.store.data.lease

    def take_over(self) -> None:
        self.lease = self.store.data.lease = (self.number, self.random_value())
        self._load()
        self.check_history()

    def check_history(self) -> None:
        """What it does after every (re)connect and once a second."""
        if not self.owns:
            return
        if not self.store.epoch_is_own and self.rules.loss_noticed:
            self.store.renew_epoch(self.random_value())
            if self.rules.answers_forgotten:
                self.store.data.answers.clear()
            self.stored.clear()
        elif self.epoch != self.store.data.epoch:
            self._load()
        self.epoch = self.store.data.epoch

    def begin_read(self, users: Iterable[UserId]) -> None:
        if self.read is None:
            self.read = Read(self.lease, self.epoch, {user: self.graph.versions[user] for user in users})

    def finish_read(self) -> None:
        read, self.read = self.read, None
        if read is None:
            return
        changed = {user: version for user, version in read.seen.items() if self.stored.get(user) != version}
        if changed and self._may_write(read):
            self.store.append(answers=changed)
            self.stored.update(changed)

    def resolve(self, name: Name) -> None:
        meaning = self.graph.meanings[name]
        if self.owns and self.store.data.directory.get(name) != meaning:
            self.store.data.directory[name] = meaning
            self.store.append(names=(name,))

    def forget(self, watched: set[Name]) -> None:
        """Nobody has watched some users for long: what is stored of them is deleted."""
        if not self.owns or self.read is not None:
            return
        data = self.store.data
        users = {data.directory.get(name) for name in watched}
        for user in data.answers.keys() - users:
            del data.answers[user]
            self.stored.pop(user, None)
        for name in data.directory.keys() - watched:
            del data.directory[name]

    def _may_write(self, read: Read) -> bool:
        """What the script that writes demands."""
        rules, data = self.rules, self.store.data
        return (
            read.lease is not None
            and (read.lease == data.lease or not rules.lease_demanded)
            and (read.epoch == data.epoch or not rules.read_epoch_demanded)
            and (self.store.epoch_is_own or not rules.own_epoch_demanded)
        )

    def _load(self) -> None:
        self.stored = {user: version for user, (_, version) in self.store.data.answers.items()}
