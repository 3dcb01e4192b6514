"""Every rule, broken: the streams that keep one rule less, and the rules of what is around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from relay.core.presence import Name, Resolution, Status, UserId
from relay.core.revision import Epoch, ResumeToken, Revision
from relay.core.watching.values import AnswersEntry, Ask, NamesSnapshot, Position, StartOutcome, Take
from relay.core.watching.watch import Watch
from tests.simulation.rules import Rules

Entries = Iterable[AnswersEntry[int]]


class TokenMovesWithEachSend(Watch[int]):
    """The token moves as soon as something is sent, not only when nothing is unsent."""

    @property
    def is_caught_up(self) -> bool:
        return self._snapshot_told


class TokenBeforeSnapshotIsComplete(Watch[int]):
    @property
    def is_caught_up(self) -> bool:
        return not self.outbox.values and not self._unsent_names.values


class TokenWhileLookingUp(Watch[int]):
    """The token moves though names are still to be looked up, or are being looked up."""

    @property
    def is_caught_up(self) -> bool:
        return self._snapshot_told and not self.outbox.values and not self._unsent_names.values


class NoFloor(Watch[int]):
    def _raise_floors(self, users: set[UserId], last: Revision, position: Position) -> None:
        pass


class FloorsForAll(Watch[int]):
    """A floor holds for all users of the stream, not only for those of its snapshot."""

    def _raise_floors(self, users: set[UserId], last: Revision, position: Position) -> None:
        super()._raise_floors(set(self._names_of), last, position)


class CheckedUsersGetAFloor(Watch[int]):
    def _learn(self, name: Name, ask: Ask, snapshot: NamesSnapshot[int]) -> UserId | None:
        super()._learn(name, ask, snapshot)
        meaning = snapshot.names.get(name)
        return meaning if isinstance(meaning, str) else None


class MissedEntriesForgotten(Watch[int]):
    def _above(self, last: Revision, missed: Entries) -> list[AnswersEntry[int]]:
        return []


class MissedEntriesBelowSnapshotApplied(Watch[int]):
    def _above(self, last: Revision, missed: Entries) -> list[AnswersEntry[int]]:
        return list(missed)


class HeldAndNewNotToldApart(Watch[int]):
    """Newly asked users are sent only what is above the token, as held ones are."""

    def _owed(self, ask: Ask, revision: Revision) -> bool:
        return self._base is None or revision > self._base.revision


class HeldNeverSentAnew(Watch[int]):
    def _owed(self, ask: Ask, revision: Revision) -> bool:
        return ask is Ask.FULL


class HeldMeaningsTrusted(Watch[int]):
    """What a held name stands for is not compared with what the suite believes."""

    def _learn(self, name: Name, ask: Ask, snapshot: NamesSnapshot[int]) -> UserId | None:
        if ask is Ask.HELD and name in snapshot.names:
            self._claims[name] = snapshot.names[name]
        return super()._learn(name, ask, snapshot)


class HeldUsersFollowedBeforeTheirSnapshot(Watch[int]):
    """What a hub reads of a held user is sent even if its lookup is still to come."""

    def _hold(self, spelling: str, meaning: Resolution | None) -> None:
        super()._hold(spelling, meaning)
        for name, claim in self._claims.items():
            self._set_meaning(name, claim)

    def _judge_token(self, snapshot: NamesSnapshot[int]) -> None:
        super()._judge_token(snapshot)
        if self._base is None:
            self._meanings.clear()
            self._names_of.clear()


class EpochOfTokenIgnored(Watch[int]):
    def _judge_token(self, snapshot: NamesSnapshot[int]) -> None:
        if self._base is not None:
            self._started = StartOutcome.RESUMED
            self._base = ResumeToken(self.tenant_id, snapshot.epoch, self._base.revision)


class NamesDroppedInFlight(Watch[int]):
    """What `changes` says of a name while its snapshot is read is forgotten."""

    def apply(self, snapshot: NamesSnapshot[int], missed: Entries, position: Position) -> None:
        for name in self._in_flight:
            self._lookups.pop(name, None)
        super().apply(snapshot, missed, position)


class UnsentNamesDropped(Watch[int]):
    """Names that did not fit into a response are forgotten."""

    def take(self, limit: int, position: Position) -> Take[int]:
        taken = super().take(limit, position)
        if taken.resolved and len(taken.resolved) == limit:
            self._unsent_names.clear()
        return taken


class AnswersBeforeNames(Watch[int]):
    """A user's answer may be sent before the suite knows of a name that stands for the user."""

    def take(self, limit: int, position: Position) -> Take[int]:
        unsent, self._unsent_names = self._unsent_names, type(self._unsent_names)()
        try:
            taken = super().take(limit, position)
        finally:
            self._unsent_names = unsent
        taken.resolved = unsent.take(limit)
        if unsent.values:
            taken.token = None
        return taken


class NamesOfOneUserNotCounted(Watch[int]):
    """The first of a user's names that is unsubscribed ends the watching of the user."""

    def _set_meaning(self, name: Name, meaning: Resolution) -> None:
        super()._set_meaning(name, meaning)
        if not isinstance(meaning, Status):
            self._names_of[meaning] = 1


class SnapshotNotEndedByUnsubscribing(Watch[int]):
    """Only a lookup ends the snapshot, not the unsubscription of the last name that it needed."""

    def unsubscribe(self, spellings: Iterable[str]) -> None:
        told, self._snapshot_told = self._snapshot_told, True
        super().unsubscribe(spellings)
        self._snapshot_told = told


class ResetKeepsFloors(Watch[int]):
    def reset(self, epoch: Epoch | None) -> None:
        floors = dict(self._floors)
        super().reset(epoch)
        self._floors = floors


class ResetKeepsUnsentAnswers(Watch[int]):
    def reset(self, epoch: Epoch | None) -> None:
        unsent = dict(self.outbox.values)
        super().reset(epoch)
        self.outbox.values.update(unsent)


class GapForgetsWhatWasOwed(Watch[int]):
    """A gap counts from the hub's position also for users that a resume has still to look up."""

    def resync(self, position: Position) -> None:
        super().resync(position)
        if self.epoch is not None:
            self._base = ResumeToken(self.tenant_id, self.epoch, position.revision)


class GapForgetsWhatIsInFlight(Watch[int]):
    def resync(self, position: Position) -> None:
        self._in_flight.clear()
        super().resync(position)


STREAMS: Final[Sequence[type[Watch[int]]]] = (
    TokenMovesWithEachSend,
    TokenBeforeSnapshotIsComplete,
    TokenWhileLookingUp,
    NoFloor,
    FloorsForAll,
    CheckedUsersGetAFloor,
    MissedEntriesForgotten,
    MissedEntriesBelowSnapshotApplied,
    HeldAndNewNotToldApart,
    HeldNeverSentAnew,
    HeldMeaningsTrusted,
    HeldUsersFollowedBeforeTheirSnapshot,
    EpochOfTokenIgnored,
    NamesDroppedInFlight,
    UnsentNamesDropped,
    AnswersBeforeNames,
    NamesOfOneUserNotCounted,
    SnapshotNotEndedByUnsubscribing,
    ResetKeepsFloors,
    ResetKeepsUnsentAnswers,
    GapForgetsWhatWasOwed,
    GapForgetsWhatIsInFlight,
)

_RULES: Final = Rules()

WEAKENED: Final = {stream.__name__: replace(_RULES, watch=stream) for stream in STREAMS} | {
    "a write without its lease": replace(_RULES, lease_demanded=False),
    "a read of an earlier epoch accepted": replace(_RULES, read_epoch_demanded=False),
    "a write between failover and new epoch": replace(_RULES, own_epoch_demanded=False),
    "lost history not noticed by the worker": replace(_RULES, loss_noticed=False),
    "answers kept across epochs": replace(_RULES, answers_forgotten=False),
    "a gap not noticed": replace(_RULES, gap_noticed=False),
    "a snapshot between failover and new epoch": replace(_RULES, snapshot_of_own_epoch=False),
    "a snapshot of another epoch than the hub's": replace(_RULES, snapshot_of_hubs_epoch=False),
    "a hold taken for another that missed the same": replace(_RULES, holds_told_apart=False),
    "answers on their way at an unsubscription taken for later ones": replace(_RULES, changes_counted=False),
    "answers held of users that no name stands for": replace(_RULES, nameless_forgotten=False),
    "names held that were asked for and not answered": replace(_RULES, unanswered_asked_anew=False),
}
