"""The rules of one watch: what is still to be sent to a suite, and when its resume token may move.

    names ──► lookups ────► [edge reads a snapshot] ──► apply() ──┐
                                                                  ├─► outbox ──► take() ──► the wire
    [hub reads `changes`] ──► on_answers(), on_names() ───────────┘

A name is looked up when it is asked for, when it was held before a break, and when `changes` says that it stands for
somebody else. A snapshot is what the store had at its position L; the hub delivers what came after. These rules
together make the stream Ordered and Resumable (a simulation breaks each of them and sees it fail):

floor     entries up to L say nothing new about the users of that snapshot, and are dropped: a hub that lags would
          otherwise bring an older presence after the snapshot's.
lookup    until a user's snapshot was applied, entries about the user that the hub reads are dropped, also for a held user: a hub that
          lags behind the token would otherwise bring an older presence than the suite holds.
missed    entries that the hub read between asking for a snapshot and getting it are applied after it, those above L.
held      a held user is sent only if its revision is above the token's. A newly requested user is always sent, because the token
          says nothing about a user that the suite did not watch then. An answer that was on its way when its user was
          unsubscribed does not make the user held after it was subscribed again: `changes_seen` tells them apart.
token     it moves only when nothing is unsent, to the hub's position at that moment, and there is none before the
          snapshot is complete: everything at or below it has then been handed to the suite. So with contact times.
epoch     a token of another epoch, or above the stream's end, proves nothing: the suite drops all and starts anew. The
          hub, the snapshots that it lets through and its watches always have one epoch: `reset` when it adopts another.

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
    """One suite's stream: which names it watches, what they stand for, what is unsent. (Pure.)

    Nothing here awaits; the edge calls it between awaits only, so that no call sees another half done.
    """

    def __init__(self, tenant_id: TenantId, pending: Callable[[UserId], V]) -> None:
        """Make a watch of nobody yet.

        Args:
            tenant_id: from the credential.
            pending: makes the answer of a user for whom there is none yet.
        """
        self.tenant_id = tenant_id
        self.epoch: Epoch | None = None
        self.changes_seen = self._conflated = 0
        self.outbox: Outbox[UserId, V] = Outbox()
        self._pending = pending
        self._spellings = Spellings()
        self._meanings: dict[Name, Resolution] = {}  # what the suite was told, or rightly claimed
        self._claims: dict[Name, Resolution] = {}  # held name -> what the suite says it stood for; until its snapshot
        self._names_of: dict[UserId, int] = {}  # watched user -> how many watched names stand for it
        self._lookups: dict[Name, Ask] = {}
        self._in_flight: dict[Name, Ask] = {}
        self._unsent_names: Outbox[str, Resolution] = Outbox()
        self._floors: dict[UserId, Revision] = {}
        self._highest_floor = Revision(0)
        self._base: ResumeToken | None = None  # what the suite holds covers everything up to here
        self._started: StartOutcome | None = None  # to be told
        self._snapshot_told = False
        self._snapshot_unsent: int | None = None  # how many takes of the outbox the snapshot still needs

    # What the suite asks for

    def begin(self, subscribe: Iterable[str], held: Iterable[tuple[str, Resolution | None]], token: str) -> None:
        """Take in a whole start.

        Raises:
            ValueError: the token is another tenant's.
        """
        base = ResumeToken.decode(token) if token else None
        if base is not None and base.tenant_id != self.tenant_id:
            raise ValueError("the resume token was made for another tenant")
        self._base = base
        self._started = StartOutcome.RESET if token else StartOutcome.SNAPSHOT  # RESUMED when the epoch proves right
        self.hold(held)
        self.subscribe(subscribe)

    def hold(self, held: Iterable[tuple[str, Resolution | None]]) -> None:
        """More of what the start says is held; like `subscribe`, it may be told in parts before anything else is."""
        for spelling, meaning in held:
            self._hold(spelling, meaning)

    def subscribe(self, spellings: Iterable[str]) -> None:
        """Watch these names too; each is answered in full, known or not."""
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
        """Watch these names no longer; unknown ones are ignored."""
        for spelling in spellings:
            name = normalise(spelling)
            if name is not None and name in self._spellings:
                self._drop(name)
            elif name is None:
                self._spellings.remove_malformed(spelling)
        self._end_snapshot()  # the last name that it still needed may have been among them

    @property
    def names(self) -> set[Name]:
        """The names watched at present, malformed ones apart."""
        return set(self._spellings.names())

    def watches(self, name: Name) -> bool:
        """Return whether the name is watched."""
        return name in self._spellings

    def watches_user(self, user: UserId) -> bool:
        """Return whether a watched name is known to stand for the user."""
        return user in self._names_of

    def __len__(self) -> int:
        return len(self._spellings)

    # What the store knows

    @property
    def wants_lookup(self) -> bool:
        """Return whether a snapshot must be read; True also for a stream that names nobody and has no epoch yet."""
        return bool(self._lookups) or (self.epoch is None and not self._in_flight)

    def next_lookups(self, limit: int) -> list[Name]:
        """Return up to `limit` names to read a snapshot of."""
        return list(islice(self._lookups, limit))

    def take_lookups(self, names: Iterable[Name]) -> list[Name]:
        """Return those of `names` that are still to be looked up; they are in flight until `apply` or `put_back`."""
        chosen = [name for name in names if name in self._lookups]
        for name in chosen:
            self._in_flight[name] = self._lookups.pop(name)
        return chosen

    def put_back(self) -> None:
        """The snapshot in flight failed or cannot be used: look its names up again."""
        for name, ask in self._in_flight.items():
            self._ask(name, ask)
        self._in_flight.clear()

    def apply(self, snapshot: NamesSnapshot[V], missed: Iterable[AnswersEntry[V]], position: Position) -> None:
        """Take in the snapshot of the names in flight.

        Args:
            snapshot: of the hub's epoch; one of another epoch is not for applying, but for `put_back`.
            missed: the entries that the hub read since before the snapshot was asked for.
            position: the hub's, at this moment.
        """
        asked, self._in_flight = self._in_flight, {}
        if self.epoch is None:
            self._judge_token(snapshot)
        self.epoch = snapshot.epoch
        looked_up: set[UserId] = set()
        for name, ask in asked.items():
            # Not unsubscribed meanwhile. One that was asked for again meanwhile stays in the queue: what `changes` said of
            # it may be younger than this snapshot.
            if name in self._spellings:
                user = self._learn(name, ask, snapshot)
                if user is not None:
                    looked_up.add(user)
        self._raise_floors(looked_up, snapshot.last, position)
        for entry in self._above(snapshot.last, missed):
            self._put_all(entry.answers, looked_up)
        self._end_snapshot()

    def on_answers(self, entry: AnswersEntry[V]) -> None:
        """The hub read new answers of this tenant."""
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
        """The hub read that these names may stand for somebody else."""
        for name in names:
            if name in self._spellings:
                self._ask(name, Ask.CHECK)

    def resync(self, position: Position) -> None:
        """The hub lost entries above `position`: read everything that changed since, as a resume does."""
        self.put_back()
        if self.epoch is None:
            return  # nothing was sent yet: the lookups under way tell everything
        lower = position.revision
        if self._base is not None and self._lookups:
            lower = min(lower, self._base.revision)  # what was still to be looked up is owed since then
        self._base = ResumeToken(self.tenant_id, self.epoch, lower)
        # For 100,000 names this is a tenth of asking for one after the other, and the whole edge waits for it.
        waiting, self._lookups = self._lookups, dict.fromkeys(self._spellings.names(), Ask.HELD)
        for name, ask in waiting.items():
            self._ask(name, ask)

    def reset(self, epoch: Epoch | None) -> None:
        """History was lost: the suite must drop all answers; everything is looked up again."""
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

    # What the suite is sent

    @property
    def has_unsent(self) -> bool:
        """Return whether `take` would return anything."""
        return self.epoch is not None and bool(
            self.outbox.values or self._unsent_names.values or self._started or self._snapshot_unsent is not None
        )

    def take(self, limit: int, position: Position) -> Take[V]:
        """Remove and return what goes into the next response: at most `limit` names and `limit` answers.

        Args:
            limit: at least 1.
            position: the hub's, at this moment.
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
        """The token that a response without answers (progress) may carry now, if any."""
        if self.epoch is not None and self.is_caught_up:
            return ResumeToken(self.tenant_id, self.epoch, position.revision)
        return None

    # Rules, each small enough to be broken by a test

    @property
    def is_caught_up(self) -> bool:
        """Return whether the suite was handed all that is known: the token may move, and a contact time may be told."""
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
            return  # the hub has delivered everything up to there already
        self._floors.update(dict.fromkeys(users, last))
        self._highest_floor = last  # of one epoch, each snapshot is younger than the one before

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
        """Note what a name stands for and put what the suite is owed into the outbox.

        Returns:
            The user whose answer was settled by this snapshot, if any: only checked ones are not, and get no floor.
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
        """With no name left to look up, what is in the outbox now is all that the snapshot still needs."""
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
