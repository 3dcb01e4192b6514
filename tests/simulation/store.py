"""One partition in Redis: what scripts do there in one step, and what a failover takes away."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from relay.core.presence import Name, Resolution, UserId
from relay.core.revision import START, Epoch, Revision
from relay.core.watching.values import NamesSnapshot

Lease: TypeAlias = tuple[int, int]
"""A worker and a fencing token."""


NO_EPOCH: Final = Epoch("")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of `changes`; `previous` is the revision of the one before."""

    revision: Revision
    previous: Revision
    answers: tuple[tuple[UserId, int], ...] = ()
    names: tuple[Name, ...] = ()


@dataclass(slots=True)
class Data:
    """What is replicated."""

    epoch: Epoch = NO_EPOCH
    lease: Lease | None = None
    changes: list[Entry] = field(default_factory=list)
    answers: dict[UserId, tuple[Revision, int]] = field(default_factory=dict)
    directory: dict[Name, Resolution] = field(default_factory=dict)
    clock: int = 0

    def copy(self) -> Data:
        return replace(self, changes=self.changes.copy(), answers=self.answers.copy(), directory=self.directory.copy())


class Store:
    """The server that is master at present, and its replica."""

    def __init__(self) -> None:
        self.replid = 1
        self.data = Data()
        self.replica = Data()

    @property
    def last(self) -> Revision:
        changes = self.data.changes
        return changes[-1].revision if changes else START

    @property
    def epoch_is_own(self) -> bool:
        """Whether the epoch was made on this server; otherwise history was lost and nobody has said so yet."""
        return self.data.epoch.endswith(f".{self.replid}")

    def renew_epoch(self, random_value: int) -> None:
        self.data.epoch = Epoch(f"{random_value}.{self.replid}")

    def append(self, *, answers: dict[UserId, int] | None = None, names: tuple[Name, ...] = ()) -> None:
        data = self.data
        data.clock += 1
        entry = Entry(Revision(data.clock), self.last, tuple((answers or {}).items()), names)
        data.changes.append(entry)
        for user, version in entry.answers:
            data.answers[user] = (entry.revision, version)

    def next_entry(self, after: Revision) -> Entry | None:
        changes = self.data.changes
        if not changes or changes[-1].revision <= after:
            return None
        return next(entry for entry in changes if entry.revision > after)

    def snapshot(self, names: list[Name]) -> NamesSnapshot[int]:
        data = self.data
        meanings = {name: data.directory[name] for name in names if name in data.directory}
        users = [user for user in meanings.values() if isinstance(user, str)]
        answers = {user: data.answers[user] for user in users if user in data.answers}
        return NamesSnapshot(self.last, data.epoch, meanings, answers)

    def replicate(self) -> None:
        self.replica = self.data.copy()

    def fail_over(self, *, ids_go_back: bool) -> None:
        """The replica is promoted, and what it had not got is lost. Ids are times, and the clocks may differ."""
        clock = self.data.clock
        self.data = self.replica.copy()
        if not ids_go_back:
            self.data.clock = clock
        self.replid += 1
