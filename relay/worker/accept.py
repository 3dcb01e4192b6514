"""What is held of one tenant's users, and how an observation becomes an answer: mapped, compared, encoded, stored.

Only what differs is stored; an unchanged page writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from relay.core.idle import idle_since
from relay.core.mapping import NO_OVERRIDES, Overrides, map_presence, overrides
from relay.core.ordering import Newest, Order, differs
from relay.core.presence import Observation, Presence, Source, Status, TenantId, UserId
from relay.errors import StoreUnavailable
from relay.store.presences import Observed, Presences
from relay.worker.encode import decode, encode_presence, encode_status

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from datetime import datetime

    from relay.core.revision import Epoch
    from relay.store.leases import Lease

Answer: TypeAlias = Presence | Status


@dataclass(slots=True)
class Known:
    """What is held of one user.

    Attributes:
        answer: what suites were told; None when nothing yet.
        newest: the newest sequence number seen, from unchanged reads too.
    """

    answer: Answer | None = None
    newest: Newest = field(default_factory=Newest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """What the tenant lets suites have. Free texts are off until the tenant turns them on."""

    status_message: bool = False
    out_of_office: bool = False
    overrides: Overrides = field(default_factory=lambda: NO_OVERRIDES)


def passing(settings: Mapping[str, str]) -> Passing:
    """What a tenant's settings let suites have.

    `pass_status_message` and `pass_out_of_office` are "on" or anything else; for the overrides see `mapping.overrides`.
    """
    return Passing(
        status_message=settings.get("pass_status_message") == "on",
        out_of_office=settings.get("pass_out_of_office") == "on",
        overrides=overrides(settings),
    )


class Answers:
    """The answers of one tenant's users, as the owner of its partition believes them to be stored.

    The belief is checked by the store (lease and order) and given up when the outcome of a write is unknown: then
    `is_trusted` is False until `load`.
    """

    def __init__(self, tenant_id: TenantId, presences: Presences) -> None:
        self.tenant_id = tenant_id
        self.passing = Passing()
        self.is_trusted = False
        self.barred: dict[UserId, Status] = {}
        """Users who have no presence here whatever Microsoft says, and what they have instead; see `permits`."""
        self._presences = presences
        self._known: dict[UserId, Known] = {}

    async def load(self) -> set[UserId]:
        """Take over what an earlier owner stored; returns whose answers there are."""
        self._known = {}
        for user, stored in (await self._presences.load(self.tenant_id)).items():
            try:
                answer: Answer | None = decode(stored.item)
            except ValueError:
                answer = None  # of another release: read and stored anew
            self._known[user] = Known(answer, Newest(stored.sequence_number))
        self.is_trusted = True
        return set(self._known)

    def clear(self, users: Iterable[UserId] | None = None) -> None:
        """The stored answers of these users are gone; without `users` all are, as when history was lost."""
        if users is None:
            self._known.clear()
            self.is_trusted = True
        else:
            for user in users:
                self._known.pop(user, None)

    def of(self, user: UserId) -> Answer | None:
        """What suites were told of a user."""
        known = self._known.get(user)
        return known.answer if known is not None else None

    def forget(self, users: Iterable[UserId]) -> None:
        """Nobody watches these users any more."""
        for user in users:
            self._known.pop(user, None)
            self.barred.pop(user, None)

    def changed(
        self,
        observations: Iterable[Observation],
        upns: Mapping[UserId, str],
        now: datetime,
        announced: Container[UserId] = (),
    ) -> dict[UserId, Answer]:
        """Those observations of a read that change an answer, as answers.

        Args:
            observations: what Graph said, of each user at most once.
            upns: user -> canonical UPN, where it is known.
            now: when the relay learned of it.
            announced: users who were read because a notification said that they had changed.
        """
        changed: dict[UserId, Answer] = {}
        for observation in observations:
            known = self._known.setdefault(observation.user_id, Known())
            is_newer = _is_newer(known, observation)
            known.newest.is_read = bool(observation.sequence_number)
            if not is_newer:
                continue
            source = Source.NOTIFICATION if observation.user_id in announced else Source.POLL
            presence = self._presence(observation, upns, known.answer, source, now)
            if not isinstance(known.answer, Presence) or differs(known.answer, presence):
                changed[observation.user_id] = presence
            else:
                known.newest.read(observation.sequence_number)
        return changed

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
                known.newest.read(observation.sequence_number)
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
        """Store changed answers and tell the edges; returns the users whose answer was not newer than what is stored.

        Args:
            lease: of the tenant's partition.
            epoch: in which what changed was read.
            order: of the read.
            changed: user -> answer. A presence of a user who is barred is left out, and reported with those not newer.
            source: what orders them: a read is a poll also where a notification was its reason.

        Raises:
            LeaseLost, HistoryLost: nothing was written.
            StoreUnavailable: it may have been; load before the next accept.
        """
        left_out = frozenset(user for user in changed if self._is_barred(user, changed[user]))
        changed = {user: answer for user, answer in changed.items() if user not in left_out}
        if not changed:
            return left_out
        observed = [_observed(user, answer, order, source) for user, answer in changed.items()]
        try:
            accepted = await self._presences.accept(lease, self.tenant_id, observed, epoch)
        except StoreUnavailable:
            self.is_trusted = False
            raise
        for user, answer in changed.items():
            # One who was barred while it was stored is told so by a later write, whichever reply comes first.
            if user not in accepted.refused and not self._is_barred(user, answer):
                known = self._known.setdefault(user, Known())
                known.answer = answer
                if isinstance(answer, Presence):
                    known.newest.read(answer.sequence_number)
        return accepted.refused | left_out

    def _is_barred(self, user: UserId, answer: Answer) -> bool:
        return user in self.barred and isinstance(answer, Presence)

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
        )


def _is_newer(known: Known, observation: Observation) -> bool:
    """Whether a read may replace what is known: by sequence number where both have one, else because it was read later.

    An equal number is let through after a status, which says nothing of the presence that was there before.
    """
    if not known.newest.number or not observation.sequence_number:
        return True
    if isinstance(known.answer, Presence):
        return observation.sequence_number > known.newest.number
    return observation.sequence_number >= known.newest.number


def _observed(user: UserId, answer: Answer, order: Order, source: Source) -> Observed:
    if isinstance(answer, Presence):
        return Observed(user, encode_presence(answer), order, answer.sequence_number, source)
    return Observed(user, encode_status(user, answer), order)
