"""The relay's answers as the agent serves them over gRPC: names, their resolutions, presence of users. No other source is included.

The Teams source puts answers in. Each change gets a revision, higher than all before it. A listener collects the names that changed, not
the changes, so a slow console does not use memory or delay others. Names that consoles want are watched in addition to the board's.

Everything runs in the event loop's thread, and nothing blocks.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from suite.agent.changes import Changes
from suite.chunking import MAX_USERS_A_STREAM
from suite.held import Answer, Resolution
from suite.names import Key, key_of
from suite.values import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime, timedelta

    Find = Callable[[str], tuple[Resolution | None, Answer | None]]

PENDING: Final = Resolution(None, Status.PENDING)
STALE: Final = Answer(None, Status.STALE)
_UNREACHABLE: Final = Resolution(None, Status.SOURCE_UNREACHABLE)
LINGER_S: Final = 60.0
"""Time for which a name is still watched after the last console released it, so that a console that reconnects finds its answer."""


def unreachable(_name: str) -> tuple[Resolution | None, Answer | None]:
    """Return the resolution and answer of any name while there is no relay."""
    return _UNREACHABLE, None


@dataclass(slots=True, eq=False)
class NameEntry:
    """The relay's answer for one name.

    Attributes:
        resolution: the resolution of the name.
        answer: the answer for its user; None while there is none.
        revision: revision of the newest change.
        wire: the encoded answer, shared by all consoles; empty until one needs it.
    """

    resolution: Resolution = PENDING
    answer: Answer | None = None
    revision: int = 0
    wire: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """The state of the whole organisation: NONE when the relay can read it and the agent has its answers."""

    status: Status = Status.SOURCE_UNREACHABLE
    contact_time: datetime | None = None
    poll_interval: timedelta | None = None


class AnswerListener(Changes):
    """The changed names that one console has not been sent yet.

    Attributes:
        is_over: True once all answers were replaced by those of another relay or organisation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_over = False
        self.watched: dict[Key, object] = {}

    def tell(self, key: Key) -> None:
        """Record that a name's answer changed."""
        if key in self.watched:
            self.note((key,))


class RelayAnswers:
    """The relay's answers for all names that consoles watch over gRPC.

    Attributes:
        epoch: random id of these answers; revisions of different epochs cannot be compared.
        revision: revision of the newest change.
        freshness: state of the whole organisation.
        on_wanted: called when the set of names to watch changed.
        find: returns the source's resolution and answer of a name.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.epoch = secrets.token_hex(8)
        self.revision = 0
        self.freshness = Freshness()
        self.on_wanted: Callable[[], None] = lambda: None
        self.find: Find = unreachable
        self._clock = clock
        self._is_hidden = True
        self._entries: dict[Key, NameEntry] = {}
        self._spelled: dict[Key, str] = {}
        self._wanted: Counter[Key] = Counter()
        self._leaving: dict[Key, float] = {}
        """Name that no console wants any more -> time of its release; the oldest first."""
        self._listeners: set[AnswerListener] = set()

    # Names that consoles want

    @property
    def wanted(self) -> Mapping[Key, str]:
        """Return each name that a console wants -> a spelling of it."""
        return self._spelled

    def want(self, names: Iterable[str]) -> None:
        """Watch these names too. `release` with the same names undoes each call."""
        new: list[str] = []
        for name in names:
            key = key_of(name)
            self._wanted[key] += 1
            self._leaving.pop(key, None)
            if key not in self._entries:
                self._spelled[key] = name
                self.revision += 1
                self._entries[key] = NameEntry(revision=self.revision)
                new.append(name)
        for name in new:
            self.put(name, *self.find(name))
        if new:
            self.on_wanted()

    def release(self, keys: Iterable[Key]) -> None:
        """Stop watching these names, unless another console wants them; see `LINGER_S`."""
        now = self._clock()
        for key in keys:
            self._wanted[key] -= 1
            if self._wanted[key] <= 0:
                del self._wanted[key]
                self._leaving[key] = now

    def sweep(self, linger_s: float = LINGER_S) -> None:
        """Forget the names that no console has wanted for `linger_s`. Call this regularly."""
        latest, gone = self._clock() - linger_s, []
        for key, since in self._leaving.items():
            if since > latest:
                break
            gone.append(key)
        for key in gone:
            del self._leaving[key], self._entries[key], self._spelled[key]
        if gone:
            self.on_wanted()

    def has_room_for(self, names: Iterable[str]) -> bool:
        """Return whether one stream of the relay may watch these names too."""
        new = {key_of(name) for name in names} - self._entries.keys()
        if new and len(self._entries) + len(new) > MAX_USERS_A_STREAM:
            self.sweep(0.0)
        return len(self._entries) + len(new) <= MAX_USERS_A_STREAM

    # Answers

    def get(self, key: Key) -> NameEntry:
        """Return the entry of a name that a console wants."""
        return self._entries[key]

    def shown(self, key: Key) -> tuple[Resolution, Answer | None]:
        """Return the resolution and answer to send for a name. When the stream has been broken for long, answers are STALE."""
        entry = self._entries[key]
        if not self._is_hidden or entry.resolution.user_id is None:
            return entry.resolution, entry.answer
        return entry.resolution, STALE

    def put(self, name: str, resolution: Resolution | None, answer: Answer | None) -> None:
        """Store the relay's answer for a name. A name that no console wants is ignored."""
        entry = self._entries.get(key_of(name))
        if entry is None:
            return
        resolution = resolution or PENDING
        if answer is not None and answer.is_uncertain:
            answer = replace(answer, is_uncertain=False)  # `freshness` reports it for all answers
        if (entry.resolution, entry.answer) != (resolution, answer):
            entry.resolution, entry.answer = resolution, answer
            self._change(key_of(name), entry)

    def trust(self, status: Status, *, is_hidden: bool) -> None:
        """Set how certain the answers are.

        Args:
            status: NONE when they are the relay's newest.
            is_hidden: True when they are too old to be shown.
        """
        if is_hidden is not self._is_hidden:
            self._is_hidden = is_hidden
            for key, entry in self._entries.items():
                if entry.resolution.user_id is not None:
                    self._change(key, entry)
        self._fresh(replace(self.freshness, status=status))

    def contacted(self, contact_time: datetime | None, poll_interval: timedelta | None) -> None:
        """Set the time at which Microsoft last confirmed the answers, and the interval at which they are read."""
        # Each console's stream reports progress at its own interval, so no listener is woken.
        self.freshness = replace(self.freshness, contact_time=contact_time, poll_interval=poll_interval)

    def renew(self) -> None:
        """Forget all answers, because those of another relay or another organisation follow."""
        self.epoch = secrets.token_hex(8)
        self.freshness, self._is_hidden, self.find = Freshness(), True, unreachable
        for entry in self._entries.values():
            self.revision += 1
            entry.resolution, entry.answer, entry.revision, entry.wire = _UNREACHABLE, None, self.revision, b""
        for listener in self._listeners:
            listener.is_over = True
            listener.wake()

    def _change(self, key: Key, entry: NameEntry) -> None:
        self.revision += 1
        entry.revision, entry.wire = self.revision, b""
        for listener in self._listeners:
            listener.tell(key)

    def _fresh(self, freshness: Freshness) -> None:
        if freshness != self.freshness:
            self.freshness = freshness
            for listener in self._listeners:
                listener.wake()

    # Listeners

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def listeners(self) -> int:
        """Return the number of listeners."""
        return len(self._listeners)

    @contextmanager
    def listening(self) -> Iterator[AnswerListener]:
        """Listen to changes within the context. At its end, release the names that the listener still watches."""
        listener = AnswerListener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            self.release(listener.watched)
            listener.watched.clear()
