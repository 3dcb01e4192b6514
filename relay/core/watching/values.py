"""The values that a watch takes and returns: its start, positions, snapshots, entries, and the content of a response. (Pure.)"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from relay.core.presence import Name, Resolution, UserId
from relay.core.revision import Epoch, ResumeToken, Revision

V = TypeVar("V")


class StartOutcome(enum.IntEnum):
    """The way in which a stream begins; the numbers are the wire's."""

    SNAPSHOT = 1
    RESUMED = 2
    RESET = 3


class Ask(enum.IntEnum):
    """The reason why a name is looked up; the stronger one wins."""

    CHECK = 0  # the name may stand for another user now: send only that
    HELD = 1  # the suite holds an answer: send changes since its token
    FULL = 2  # the suite asked: send everything


@dataclass(frozen=True, slots=True)
class Position:
    """A hub's position in a partition's `changes`: everything at or below it was passed to its watches."""

    epoch: Epoch
    revision: Revision


@dataclass(frozen=True, slots=True)
class NamesSnapshot(Generic[V]):
    """The store's knowledge of some names at one moment.

    Attributes:
        last: the position L at that moment: the last id of `changes`.
        epoch: epoch of `changes` at that moment.
        names: name -> its resolution; names that the directory does not know are absent.
        answers: user -> (revision, encoded answer); users without an answer are absent.
    """

    last: Revision
    epoch: Epoch
    names: Mapping[Name, Resolution]
    answers: Mapping[UserId, tuple[Revision, V]]


@dataclass(frozen=True, slots=True)
class AnswersEntry(Generic[V]):
    """An entry of `changes` with new answers of one tenant's users."""

    revision: Revision
    answers: Sequence[tuple[UserId, V]]


@dataclass(slots=True)
class Take(Generic[V]):
    """The content of one response, in this order; `token` is None when it must not move."""

    started: StartOutcome | None = None
    resolved: list[tuple[str, Resolution]] = field(default_factory=list)
    answers: list[tuple[UserId, V]] = field(default_factory=list)
    snapshot_complete: bool = False
    token: ResumeToken | None = None
    changes_seen: int = 0
    conflated: int = 0
    """Number of unsent answers that newer ones replaced since the last response."""

    def __bool__(self) -> bool:
        return bool(self.started or self.resolved or self.answers or self.snapshot_complete)
