"""What is held of one tenant's users, and how an observation becomes an answer: mapped, compared, encoded, stored.

Only what differs is stored; an unchanged page writes nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from relay.core.presence import DirectoryNames, Observation, Presence, Source, Status, TenantId, UserId
from relay.core.reading.ordering import LAG_S, Age, Newest, Order, differs
from relay.core.revision import START, Revision
from relay.core.showing.idle import idle_since
from relay.core.showing.mapping import NO_OVERRIDES, Overrides, map_presence, overrides
from relay.store.presence.presences import Accepted, Observed, Presences
from relay.wire.encode import decode, encode_presence, encode_status
from relay.worker.reads.writes import Writes

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping
    from datetime import datetime

    from relay.core.revision import Epoch
    from relay.store.presence.leases import Lease
    from relay.store.presence.presences import StoredAnswer

log = structlog.get_logger(__name__)

Answer: TypeAlias = Presence | Status
NOTHING: Final = Accepted({}, frozenset())
NOT_CALLED: Final = DirectoryNames()


@dataclass(slots=True)
class Known:
    """What is held of one user.

    Attributes:
        answer: what suites were told; None when nothing yet.
        newest: the newest sequence number seen, from unchanged reads too.
        revision: of the answer.
    """

    answer: Answer | None = None
    newest: Newest = field(default_factory=Newest)
    revision: Revision = START


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """What the tenant lets suites have. Free texts are off until the tenant turns them on."""

    status_message: bool = False
    out_of_office: bool = False
    called: bool = False
    overrides: Overrides = field(default_factory=lambda: NO_OVERRIDES)


def passing(settings: Mapping[str, str]) -> Passing:
    """What a tenant's settings let suites have.

    `pass_status_message`, `pass_out_of_office` and `pass_names` are "on" or anything else; for the overrides see `mapping.overrides`.
    """
    return Passing(
        status_message=settings.get("pass_status_message") == "on",
        out_of_office=settings.get("pass_out_of_office") == "on",
        called=settings.get("pass_names") == "on",
        overrides=overrides(settings),
    )


class Answers:
    """The answers of one tenant's users, as the owner of its partition believes them to be stored.

    Of several writes under way the store may carry out any first, and their replies come in any order: what is believed is the one
    with the greatest revision. A write of unknown outcome changes no belief; its caller has to see to it that it is not
    carried out any more (`OwnedPartition.fence`), and then to `load`.
    """

    def __init__(self, tenant_id: TenantId, presences: Presences, lag_s: float = LAG_S) -> None:
        """Make the answers of nobody; `lag_s`: for how long Graph's servers may be behind each other."""
        self.tenant_id = tenant_id
        self._lag_s = lag_s
        self.passing = Passing()
        self.called: Mapping[UserId, DirectoryNames] = {}
        """User -> what people call them, where it is known."""
        self.barred: dict[UserId, Status] = {}
        """Users who have no presence here whatever Microsoft says, and what they have instead; see `permits`."""
        self._presences = presences
        self._writes = Writes()
        self._known: dict[UserId, Known] = {}

    async def load(self) -> set[UserId]:
        """Believe what is stored, whatever was believed before; returns whose answers there are."""
        async with self._writes.alone():
            before = self._known
            stored = await self._presences.load(self.tenant_id)
            if self._known is not before:
                return set()  # history was lost meanwhile, and what was stored with it
            for user, known in self._known.items():
                if user not in stored:  # kept itself: a write may be waiting
                    known.answer, known.newest, known.revision = None, Newest(), START
            self._believe(stored)
        return set(stored)

    def clear(self) -> None:
        """All stored answers are gone, as when history was lost. Writes under way are not believed any more."""
        self._known = {}

    async def forget(self, lease: Lease, users: Collection[UserId]) -> None:
        """Delete the answers of these users; what is under way of them is dropped.

        Raises:
            LeaseLost, StoreUnavailable: some may be deleted; they count as forgotten.
        """
        for user in users:
            self._known.pop(user, None)
            self.barred.pop(user, None)
        async with self._writes.alone():
            for user in users:
                if self.of(user) is not None:  # loaded while this waited
                    del self._known[user]
            await self._presences.forget(lease, self.tenant_id, users)

    def of(self, user: UserId) -> Answer | None:
        """What suites were told of a user."""
        known = self._known.get(user)
        return known.answer if known is not None else None

    def changed(
        self,
        observations: Iterable[Observation],
        upns: Mapping[UserId, str],
        now: datetime,
        announced: Container[UserId] = (),
        at: float | None = None,
    ) -> dict[UserId, Answer]:
        """Those observations of a read that change an answer, as answers.

        What has a lesser sequence number than is known changes nothing, until reads have said so for long enough; see `Newest`.

        Args:
            observations: what Graph said, of each user at most once.
            upns: user -> canonical UPN, where it is known.
            now: when the relay learned of it.
            announced: users who were read because a notification said that they had changed.
            at: the same as `now` by the monotonic clock; None: the present.
        """
        at = time.monotonic() if at is None else at
        changed: dict[UserId, Answer] = {}
        for observation in observations:
            known = self._known.setdefault(observation.user_id, Known())
            age = known.newest.weigh(observation.sequence_number, at, self._lag_s)
            if age is Age.OLDER:
                continue
            source = Source.NOTIFICATION if observation.user_id in announced else Source.POLL
            presence = self._presence(observation, upns, known.answer, source, now)
            # Where numbers begin again what is stored has the old one, and must not keep the next change out.
            if age is Age.RESTARTED or not isinstance(known.answer, Presence) or differs(known.answer, presence):
                changed[observation.user_id] = presence
            else:
                known.newest.take(observation.sequence_number, at)
        return changed

    def is_doubted(self, user: UserId) -> bool:
        """Whether the user's last read said something older than is known, which is not believed yet."""
        known = self._known.get(user)
        return known is not None and known.newest.older > 0

    def notified(
        self, observations: Iterable[Observation], upns: Mapping[UserId, str], now: datetime
    ) -> tuple[dict[UserId, Answer], list[UserId]]:
        """What notifications change.

        Args:
            observations: what Graph said, in the order in which it arrived, of one user perhaps several times.
            upns: user -> canonical UPN, where it is known.
            now: when the relay learned of it.

        Returns:
            The answers that are to be accepted as they are, and the users of all other notifications: to be read. Who is in
            neither needs nothing: a read was faster than the notification, or it came twice.
        """
        newest: dict[UserId, Observation] = {}
        unsure: dict[UserId, None] = {}
        for observation in observations:
            user = observation.user_id
            known = self._known.get(user)
            better = newest.get(user)
            if known is not None and self._has(known, observation):
                continue
            if known is None or not self._is_believed(known, observation):
                unsure[user] = None
            elif better is None or observation.sequence_number > better.sequence_number:
                newest[user] = observation
        changed: dict[UserId, Answer] = {}
        for user, observation in newest.items():
            known = self._known[user]
            presence = self._presence(observation, upns, known.answer, Source.NOTIFICATION, now)
            if not isinstance(known.answer, Presence):
                unsure[user] = None
            elif differs(known.answer, presence):
                changed[user] = presence
            else:
                known.newest.take(observation.sequence_number, time.monotonic())
        return {user: answer for user, answer in changed.items() if user not in unsure}, list(unsure)

    @staticmethod
    def _has(known: Known, observation: Observation) -> bool:
        """Whether a notification is of the version that suites were told of. After a status nothing is: it may be over."""
        return isinstance(known.answer, Presence) and known.newest.has(observation.sequence_number)

    def _is_believed(self, known: Known, observation: Observation) -> bool:
        """Whether a notification is newer than all that was seen, and says all that the tenant passes on.

        What Graph documents of notifications has neither status message nor out of office; a whole presence says the latter.
        """
        is_whole = observation.out_of_office is not None
        passes_texts = self.passing.status_message or self.passing.out_of_office
        return known.newest.lets_through(observation.sequence_number) and (is_whole or not passes_texts)

    def moved(self, changed: Mapping[UserId, Answer]) -> list[UserId]:
        """Those of the changed answers, not accepted yet, that Graph announces: another state of who had one before."""
        return [
            user
            for user, answer in changed.items()
            if isinstance(answer, Presence)
            and isinstance(before := self.of(user), Presence)
            and (before.raw_availability, before.raw_activity) != (answer.raw_availability, answer.raw_activity)
        ]

    def statuses(self, users: Iterable[UserId], status: Status) -> dict[UserId, Answer]:
        """The answer `status` for those of the users who have another one."""
        return {user: status for user in users if self.of(user) is not status}

    async def accept(
        self,
        lease: Lease,
        epoch: Epoch,
        order: Order,
        changed: Mapping[UserId, Answer],
        source: Source = Source.POLL,
    ) -> frozenset[UserId]:
        """Store changed answers and tell the edges; returns the users whose answer was not stored.

        That is because it is not newer than what is stored, or because the user is barred or was forgotten meanwhile.

        Args:
            lease: of the tenant's partition.
            epoch: in which what changed was read.
            order: of the read.
            changed: user -> answer.
            source: what orders them: a read is a poll also where a notification was its reason.

        Raises:
            LeaseLost, HistoryLost: nothing more was written.
            StoreUnavailable: it may have been, or may yet be; see the class.
        """
        # Those who are forgotten before the write, or before its reply, are others if they come back.
        known = {user: self._known.setdefault(user, Known()) for user in changed}
        if not known:
            return frozenset()
        async with self._writes.together():
            wanted = [
                user for user in changed if self._is(user, known[user]) and not self._is_barred(user, changed[user])
            ]
            observed = [self._observed(user, changed[user], order, source) for user in wanted]
            accepted = await self._presences.accept(lease, self.tenant_id, observed, epoch) if observed else NOTHING
            for user, revision in accepted.stored.items():
                if self._is(user, known[user]) and revision > known[user].revision:
                    answer = changed[user]
                    known[user].answer, known[user].revision = answer, revision
                    if isinstance(answer, Presence):
                        known[user].newest.take(answer.sequence_number, time.monotonic())
            if restarted := sum(seen.restarts and seen.user_id in accepted.stored for seen in observed):
                log.warning("sequence_numbers_restarted", tenant_id=self.tenant_id, users=restarted)
            if accepted.refused and source is Source.POLL:
                # What was believed let it through, so it is not what is stored.
                self._believe(await self._presences.load_some(self.tenant_id, accepted.refused), known)
        return frozenset(changed.keys() - accepted.stored.keys())

    def _is(self, user: UserId, known: Known) -> bool:
        return self._known.get(user) is known

    def _believe(self, stored: Mapping[UserId, StoredAnswer], known: Mapping[UserId, Known] | None = None) -> None:
        """Believe stored answers that are newer; with `known` only of users who were not forgotten since they were looked up."""
        for user, found in stored.items():
            if known is not None and not self._is(user, known[user]):
                continue
            mine = self._known.setdefault(user, Known())
            if known is not None and found.revision <= mine.revision:
                continue
            try:
                mine.answer = decode(found.item)
            except ValueError:
                mine.answer = None  # of another release: read and stored anew
            mine.newest, mine.revision = Newest(found.sequence_number), found.revision

    def _is_barred(self, user: UserId, answer: Answer) -> bool:
        return user in self.barred and isinstance(answer, Presence)

    def _observed(self, user: UserId, answer: Answer, order: Order, source: Source) -> Observed:
        if not isinstance(answer, Presence):
            return Observed(user, encode_status(user, answer), order)
        number, known = answer.sequence_number, self._known.get(user)
        restarts = known is not None and bool(number) and number < known.newest.number
        return Observed(user, encode_presence(answer), order, number, source, restarts=restarts)

    def _presence(
        self,
        observation: Observation,
        upns: Mapping[UserId, str],
        answer: Answer | None,
        source: Source,
        now: datetime,
    ) -> Presence:
        previous = answer if isinstance(answer, Presence) else None
        upn = upns.get(observation.user_id, "")
        passing = self.passing
        out = observation.out_of_office if passing.out_of_office else None
        mapped = map_presence(
            observation.availability, observation.activity, out.active if out else None, passing.overrides
        )
        return Presence(
            user_id=observation.user_id,
            upn=upn or (previous.upn if previous else ""),
            availability=mapped.availability,
            raw_availability=observation.availability,
            raw_activity=observation.activity,
            idle=mapped.idle,
            idle_time=idle_since(previous, idle=mapped.idle, now=now),
            console_status=mapped.console_status,
            status_message=observation.status_message if passing.status_message else None,
            out_of_office=out,
            observe_time=now,
            source=source,
            sequence_number=observation.sequence_number,
            called=self._called_of(observation.user_id, previous) if passing.called else NOT_CALLED,
        )

    def _called_of(self, user: UserId, previous: Presence | None) -> DirectoryNames:
        # An earlier owner's word counts until Graph has told this one.
        return self.called.get(user) or (previous.called if previous else NOT_CALLED)
