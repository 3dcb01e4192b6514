"""The rules of one watch: which answers to send to a suite, and when its resume token may move.

    names ──► lookups ────► [edge reads a snapshot] ──► apply() ──┐
                                                                  ├─► outbox ──► take() ──► the wire
    [hub reads `changes`] ──► on_answers(), on_names() ───────────┘

A name is looked up when a suite subscribes to it, when it was held before a break, and when `changes` reports that it
stands for another user. A snapshot is the state of the store at position L; the hub delivers later changes. These rules
together make the stream Ordered and Resumable (a simulation breaks each of them and sees it fail):

floor     entries up to L are dropped for the users of that snapshot: otherwise a hub that lags would send an older presence
          after the snapshot's.
lookup    entries about a user are dropped until the user's snapshot was applied, also for a held user: otherwise a hub that
          lags behind the token would send an older presence than the suite holds.
missed    entries above L that the hub read between requesting a snapshot and getting it are applied after the snapshot.
held      a held user is sent only if its revision is above the token's. A newly requested user is always sent, because the token
          does not cover a user that the suite did not watch then. An answer that was on its way when its user was
          unsubscribed does not make the user held after a new subscription: `changes_seen` distinguishes the two.
token     it moves only when nothing is unsent, to the hub's position at that moment, and there is none before the snapshot is
          complete: the suite then has everything at or below it. The same applies to contact times.
epoch     a token of another epoch, or above the stream's end, proves nothing: the suite drops everything and starts again. A
          hub, the snapshots that it applies and its watches always have the same epoch: `reset` when the hub adopts
          another.

Pure: `V`, an encoded answer, is opaque here. Restarting an edge loses a watch; the suite resumes it elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Generic, TypeVar

from relay.core.names import normalise, user_id
from relay.core.presence import Name, Resolution, Status, TenantId, UserId
from relay.core.revision import Epoch, ResumeToken, Revision
from relay.core.watching.outbox import Outbox
from relay.core.watching.spellings import Spellings
from relay.core.watching.values import AnswersEntry, Ask, NamesSnapshot, Position, StartOutcome, Take

V = TypeVar("V")


class Watch(Generic[V]):
    """One suite's stream: the names that it watches, their users, and the unsent answers. (Pure.)

    Nothing here awaits, and the edge calls it only between awaits, so that each call runs as a whole.
    """

    def __init__(self, tenant_id: TenantId, pending: Callable[[UserId], V]) -> None:
        """Begin without any watched name.

        Args:
            tenant_id: from the credential.
            pending: returns the answer for a user without one.
        """
        self.tenant_id = tenant_id
        self.epoch: Epoch | None = None
        self.changes_seen = self._conflated = 0
        self.outbox: Outbox[UserId, V] = Outbox()
        self._pending = pending
        self._spellings = Spellings()
        self._meanings: dict[Name, Resolution] = {}  # as sent to the suite, or rightly claimed by it
        self._claims: dict[Name, Resolution] = {}  # held name -> its user by the suite's claim; until its snapshot
        self._names_of: dict[UserId, int] = {}  # watched user -> how many watched names stand for it
        self._lookups: dict[Name, Ask] = {}
        self._in_flight: dict[Name, Ask] = {}
        self._unsent_names: Outbox[str, Resolution] = Outbox()
        self._floors: dict[UserId, Revision] = {}
        self._highest_floor = Revision(0)
        self._base: ResumeToken | None = None  # the suite holds everything up to here
        self._started: StartOutcome | None = None  # not sent yet
        self._snapshot_told = False
        self._snapshot_unsent: int | None = None  # number of outbox values that the snapshot still needs

    # Requests of the suite

    def begin(self, subscribe: Iterable[str], held: Iterable[tuple[str, Resolution | None]], token: str) -> None:
        """Process a whole start.

        Raises:
            ValueError: the token belongs to another tenant.
        """
        base = ResumeToken.decode(token) if token else None
        if base is not None and base.tenant_id != self.tenant_id:
            raise ValueError("the resume token was made for another tenant")
        self._base = base
        self._started = StartOutcome.RESET if token else StartOutcome.SNAPSHOT  # RESUMED once the epoch matches
        self.hold(held)
        self.subscribe(subscribe)

    def hold(self, held: Iterable[tuple[str, Resolution | None]]) -> None:
        """Add names that the start lists as held. Like `subscribe`, it may be called several times before any other method."""
        for spelling, meaning in held:
            self._hold(spelling, meaning)

    def subscribe(self, spellings: Iterable[str]) -> None:
        """Watch further names; each is answered in full, watched already or not."""
        for spelling in spellings:
            name = self._remember(spelling)
            if name is not None:
                self._ask(name, Ask.FULL)

    def change(self, subscribe: Iterable[str], unsubscribe: Iterable[str]) -> None:
        """Carry out one change request, removals first."""
        self.changes_seen += 1
        self.unsubscribe(unsubscribe)
        self.subscribe(subscribe)

    def unsubscribe(self, spellings: Iterable[str]) -> None:
        """Stop watching these names; unknown ones are ignored."""
        for spelling in spellings:
            name = normalise(spelling)
            if name is not None and name in self._spellings:
                self._drop(name)
            elif name is None:
                self._spellings.remove_malformed(spelling)
        self._end_snapshot()  # the last missing name may have been among them

    @property
    def names(self) -> set[Name]:
        """The names watched at present, without malformed ones."""
        return set(self._spellings.names())

    def watches(self, name: Name) -> bool:
        """Return whether the name is watched."""
        return name in self._spellings

    def watches_user(self, user: UserId) -> bool:
        """Return whether a watched name is known to stand for the user."""
        return user in self._names_of

    def __len__(self) -> int:
        return len(self._spellings)

    # Answers of the store

    @property
    def wants_lookup(self) -> bool:
        """Return whether a snapshot must be read; also True for a stream without names that has no epoch yet."""
        return bool(self._lookups) or (self.epoch is None and not self._in_flight)

    def next_lookups(self, limit: int) -> list[Name]:
        """Return up to `limit` names for the next snapshot."""
        return list(islice(self._lookups, limit))

    def take_lookups(self, names: Iterable[Name]) -> list[Name]:
        """Return those of `names` that are still to be looked up; they are in flight until `apply` or `put_back`."""
        chosen = [name for name in names if name in self._lookups]
        for name in chosen:
            self._in_flight[name] = self._lookups.pop(name)
        return chosen

    def put_back(self) -> None:
        """Look up the names in flight again: their snapshot failed or cannot be used."""
        for name, ask in self._in_flight.items():
            self._ask(name, ask)
        self._in_flight.clear()

    def apply(self, snapshot: NamesSnapshot[V], missed: Iterable[AnswersEntry[V]], position: Position) -> None:
        """Apply the snapshot of the names in flight.

        Args:
            snapshot: a snapshot of the hub's epoch; for one of another epoch, call `put_back` instead.
            missed: the entries that the hub read since before the snapshot was requested.
            position: the hub's present position.
        """
        asked, self._in_flight = self._in_flight, {}
        if self.epoch is None:
            self._judge_token(snapshot)
        self.epoch = snapshot.epoch
        looked_up: set[UserId] = set()
        for name, ask in asked.items():
            # Not unsubscribed meanwhile. A name that was queued again meanwhile stays in the queue: the change that
            # queued it may be newer than this snapshot.
            if name in self._spellings:
                user = self._learn(name, ask, snapshot)
                if user is not None:
                    looked_up.add(user)
        self._raise_floors(looked_up, snapshot.last, position)
        for entry in self._above(snapshot.last, missed):
            self._put_all(entry.answers, looked_up)
        self._end_snapshot()

    def on_answers(self, entry: AnswersEntry[V]) -> None:
        """Take new answers of this tenant that the hub read."""
        if self._floors:
            self._on_answers_above_floors(entry)
            return
        users, values, put = self._names_of, self.outbox.values, 0
        unsent = len(values)
        for user, value in entry.answers:
            if user in users:
                values[user] = value
                put += 1
        self._conflated += put + unsent - len(values)

    def on_names(self, names: Iterable[Name]) -> None:
        """Check names that the hub reports as possibly standing for other users."""
        for name in names:
            if name in self._spellings:
                self._ask(name, Ask.CHECK)

    def resync(self, position: Position) -> None:
        """Read everything that changed since `position`, like a resume: the hub lost the entries above it."""
        self.put_back()
        if self.epoch is None:
            return  # nothing was sent yet: the lookups under way are complete
        lower = position.revision
        if self._base is not None and self._lookups:
            lower = min(lower, self._base.revision)  # names still to be looked up are due since then
        self._base = ResumeToken(self.tenant_id, self.epoch, lower)
        # For 100,000 names this takes a tenth of the time of `_ask` for each, and the whole edge waits for it.
        waiting, self._lookups = self._lookups, dict.fromkeys(self._spellings.names(), Ask.HELD)
        for name, ask in waiting.items():
            self._ask(name, ask)

    def reset(self, epoch: Epoch | None) -> None:
        """Start again after history was lost: the suite must drop all answers, and everything is looked up again."""
        self.epoch = epoch
        self._base = None
        self._started = StartOutcome.RESET
        self._snapshot_told, self._snapshot_unsent = False, None
        self.outbox.clear()
        self._unsent_names.clear()
        self._claims.clear()
        self._meanings.clear()
        self._names_of.clear()
        self._floors.clear()
        self._in_flight.clear()
        for spelling in self._spellings.malformed:
            self._unsent_names.put(spelling, Status.MALFORMED)
        self._lookups = dict.fromkeys(self._spellings.names(), Ask.FULL)

    # Responses to the suite

    @property
    def has_unsent(self) -> bool:
        """Return whether `take` would return anything."""
        return self.epoch is not None and bool(
            self.outbox.values or self._unsent_names.values or self._started or self._snapshot_unsent is not None
        )

    def take(self, limit: int, position: Position) -> Take[V]:
        """Remove and return the content of the next response: at most `limit` names and `limit` answers.

        Args:
            limit: at least 1.
            position: the hub's present position.
        """
        if self.epoch is None:
            return Take()
        take: Take[V] = Take(started=self._started, changes_seen=self.changes_seen, conflated=self._conflated)
        self._started, self._conflated = None, 0
        take.resolved = self._unsent_names.take(limit)
        if not self._unsent_names.values:
            take.answers = self.outbox.take(limit)
        take.snapshot_complete = self._count_snapshot(len(take.answers))
        if self.is_caught_up:
            take.token = ResumeToken(self.tenant_id, self.epoch, position.revision)
        return take

    def current_token(self, position: Position) -> ResumeToken | None:
        """Return the token that a response without answers (progress) may have now, if any."""
        if self.epoch is not None and self.is_caught_up:
            return ResumeToken(self.tenant_id, self.epoch, position.revision)
        return None

    # Rules, each small so that a test can break it

    @property
    def is_caught_up(self) -> bool:
        """Return whether the suite has got everything: the token may move, and a contact time may be sent."""
        is_owed = self.outbox.values or self._unsent_names.values or self._lookups or self._in_flight
        return self._snapshot_told and not is_owed

    def _judge_token(self, snapshot: NamesSnapshot[V]) -> None:
        base = self._base
        if base is not None and base.epoch == snapshot.epoch and base.revision <= snapshot.last:
            self._started = StartOutcome.RESUMED
            return
        self._base = None
        self._claims.clear()

    def _raise_floors(self, users: set[UserId], last: Revision, position: Position) -> None:
        if position.revision >= last:
            return  # the hub has already delivered everything up to L
        self._floors.update(dict.fromkeys(users, last))
        self._highest_floor = last  # within one epoch, each snapshot is newer than the last

    def _above(self, last: Revision, missed: Iterable[AnswersEntry[V]]) -> list[AnswersEntry[V]]:
        return [entry for entry in missed if entry.revision > last]

    def _owed(self, ask: Ask, revision: Revision) -> bool:
        """Return whether a user's answer of `revision` must be sent."""
        return ask is Ask.FULL or self._base is None or revision > self._base.revision

    def _remember(self, spelling: str) -> Name | None:
        name = self._spellings.add(spelling)
        if name is None:
            self._unsent_names.put(spelling, Status.MALFORMED)
        return name

    def _hold(self, spelling: str, meaning: Resolution | None) -> None:
        name = self._remember(spelling)
        if name is None:
            return
        if self._base is None or meaning is None:
            self._ask(name, Ask.FULL)
            return
        held = meaning if isinstance(meaning, Status) else user_id(meaning)
        if held is None:
            self._ask(name, Ask.FULL)
            return
        self._ask(name, Ask.HELD)
        self._claims[name] = held

    def _ask(self, name: Name, ask: Ask) -> None:
        self._lookups[name] = max(ask, self._lookups.get(name, Ask.CHECK))

    def _drop(self, name: Name) -> None:
        for spelling in self._spellings.remove(name):
            self._unsent_names.discard(spelling)
        self._lookups.pop(name, None)
        self._claims.pop(name, None)
        self._forget_meaning(name)

    def _learn(self, name: Name, ask: Ask, snapshot: NamesSnapshot[V]) -> UserId | None:
        """Note the user of a name, and put what the suite must get into the outbox.

        Returns:
            The user whose answer this snapshot settles, if any. A name that was only checked settles none, and gets no
            floor.
        """
        told = self._claims.pop(name, self._meanings.get(name))
        meaning = snapshot.names.get(name, Status.PENDING)
        self._set_meaning(name, meaning)
        if meaning != told:
            ask = Ask.FULL
        if ask is Ask.FULL:
            for spelling in self._spellings.of(name):
                self._unsent_names.put(spelling, meaning)
        if isinstance(meaning, Status) or ask is Ask.CHECK:
            return None
        known = snapshot.answers.get(meaning)
        if known is None:
            self.outbox.put(meaning, self._pending(meaning))
        elif self._owed(ask, known[0]):
            self.outbox.put(meaning, known[1])
        return meaning

    def _set_meaning(self, name: Name, meaning: Resolution) -> None:
        if self._meanings.get(name) == meaning:
            return
        self._forget_meaning(name)
        self._meanings[name] = meaning
        if not isinstance(meaning, Status):
            self._names_of[meaning] = self._names_of.get(meaning, 0) + 1

    def _forget_meaning(self, name: Name) -> None:
        meaning = self._meanings.pop(name, None)
        if meaning is None or isinstance(meaning, Status):
            return
        left = self._names_of.get(meaning, 0) - 1
        if left > 0:
            self._names_of[meaning] = left
        else:
            self._names_of.pop(meaning, None)
            self._floors.pop(meaning, None)
            self.outbox.discard(meaning)

    def _put_all(self, answers: Iterable[tuple[UserId, V]], among: set[UserId]) -> None:
        for user, value in answers:
            if user in among:
                self.outbox.put(user, value)

    def _on_answers_above_floors(self, entry: AnswersEntry[V]) -> None:
        for user, value in entry.answers:
            if user in self._names_of and entry.revision > self._floors.get(user, 0):
                self._conflated += self.outbox.put(user, value)
        if entry.revision >= self._highest_floor:
            self._floors.clear()

    def _end_snapshot(self) -> None:
        """Fix the rest of the snapshot once no name is left to look up: it is the present content of the outbox."""
        if self._lookups or self._in_flight or self.epoch is None:
            return
        if not self._snapshot_told and self._snapshot_unsent is None:
            self._snapshot_unsent = len(self.outbox)

    def _count_snapshot(self, taken: int) -> bool:
        """Return whether this take completes the snapshot: the outbox is first in, first out, so counting is enough."""
        if self._snapshot_unsent is None:
            return False
        self._snapshot_unsent -= taken
        if self._unsent_names.values or (self._snapshot_unsent > 0 and self.outbox.values):
            return False
        self._snapshot_told, self._snapshot_unsent = True, None
        return True
