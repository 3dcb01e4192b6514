"""The stored answers of one tenant's users, as far as the owner of its partition knows them.

The rules that decide which observations change an answer are in `core.reading.acceptance`. This module applies them,
and encodes and stores the result. Only differences are stored; an unchanged page writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from relay.core.presence import Presence, Source, Status
from relay.core.reading import acceptance, handover
from relay.core.reading.acceptance import Acceptance, Answer, Decision, Known, People
from relay.core.reading.ordering import LAG_S, NOTHING_SEEN, Newest, Order
from relay.core.revision import START, Revision
from relay.ops.clock import SYSTEM, Clock
from relay.ops.turns import in_slices
from relay.store.presence.values import Accepted, Observed
from relay.wire.decode import decode
from relay.wire.encode import encode_presence, encode_status
from relay.worker import spans
from relay.worker.reads.users import UserBook
from relay.worker.reads.writes import Writes

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping, Sequence

    from relay.core.presence import Observation, TenantId, UserId
    from relay.core.revision import Epoch
    from relay.store.presence.leases import Lease
    from relay.store.presence.presences import Presences
    from relay.store.presence.values import StoredAnswer

log = structlog.get_logger(__name__)

_LOADED: Final = 500
"""Stored answers decoded at a time: each takes some 10 us."""
_NOTHING_STORED: Final = Accepted({}, frozenset())
_NOTHING_SEEN: Final[Mapping[UserId, Newest]] = {}


@dataclass(slots=True)
class _Stored(Known):
    """One user's answer, and the revision at which it was stored."""

    revision: Revision = START


_NOBODY: Final = _Stored()
"""Used for every user without an answer; never changed."""


class AnswerBook:
    """The stored answers, as far as this owner knows them.

    The store may carry out several writes under way in any order, and their replies come in any order: the book keeps
    the answer with the greatest revision. A write of unknown outcome does not change the book. Its caller must ensure
    that the write is no longer carried out (`Ownership.fence`), and then `load`.
    """

    def __init__(
        self,
        tenant_id: TenantId,
        presences: Presences,
        *,
        users: UserBook | None = None,
        people: People | None = None,
        clock: Clock = SYSTEM,
        lag_s: float = LAG_S,
    ) -> None:
        """Make an empty book.

        Args:
            tenant_id: the tenant of the users.
            presences: stores the answers.
            users: barred users, and the disclosed fields of others; None: no user is barred, and only the state is
                disclosed.
            people: canonical UPNs and names, as they become known.
            clock: orders the observations.
            lag_s: longest time in seconds that one of Graph's servers may lag behind another.
        """
        self._tenant_id = tenant_id
        self._presences = presences
        self._users = users or UserBook()
        self._people = people or People({}, {})
        self._clock = clock
        self._lag_s = lag_s
        self._writes = Writes()
        self._known: dict[UserId, _Stored] = {}
        self._orders = 0

    def next_order(self, lease: Lease) -> Order:
        """Return the place of a read or write that begins now, after all earlier ones of this owner."""
        self._orders += 1
        return Order(lease.fence, self._orders)

    async def load(self) -> set[UserId]:
        """Replace the book with the stored answers; return the users with an answer."""
        async with self._writes.alone():
            before = self._known
            stored = await self._presences.load(self._tenant_id)
            async for some in in_slices(
                [*stored.items(), *((user, None) for user in before if user not in stored)], _LOADED
            ):
                if self._known is not before:
                    return set()  # history and the stored answers were lost meanwhile
                self._replace(some)
        return set(stored)

    def clear(self) -> None:
        """Forget all answers, for example after lost history. Writes under way no longer change the book."""
        self._known = {}

    async def forget(self, lease: Lease, users: Collection[UserId]) -> None:
        """Delete the answers of these users, and drop their answers under way.

        Raises:
            LeaseLost, StoreUnavailable: some may be deleted; all count as forgotten.
        """
        for user in users:
            self._known.pop(user, None)
        self._users.forget(users)
        async with self._writes.alone():
            for user in users:
                if self.of(user) is not None:  # loaded while this waited
                    del self._known[user]
            await self._presences.forget(lease, self._tenant_id, users)

    def of(self, user: UserId) -> Answer | None:
        """Return the answer that suites got for a user; None before the first one."""
        known = self._known.get(user)
        return known.answer if known is not None else None

    def has_presence(self, user: UserId) -> bool:
        """Return whether suites got a presence of this user."""
        return isinstance(self.of(user), Presence)

    def is_confirmed(self, user: UserId) -> bool:
        """Return whether the answer that suites got for this user comes from Graph, however old it is."""
        return handover.is_confirmed(self.of(user))

    def unseen(self, users: Iterable[UserId]) -> list[UserId]:
        """Return those of the users whose stored sequence number is not the newest that this owner has seen."""
        return [user for user in users if not handover.is_as_stored(self._known.get(user, _NOBODY))]

    def doubted(self, users: Iterable[UserId]) -> list[UserId]:
        """Return those of the users whose latest read was not believed yet."""
        return [user for user in users if handover.is_doubted(self._known.get(user, _NOBODY))]

    def resume(self, users: Iterable[UserId]) -> None:
        """Continue with users for whom an earlier owner has seen no newer number than the stored one."""
        for user in users:
            if (known := self._known.get(user)) is not None and known.newest.number:
                known.newest = known.newest._replace(is_read=True)

    def is_barred(self, user: UserId) -> bool:
        """Return whether this user may not be read."""
        return user in self._users.barred

    def judge_read(self, observations: Iterable[Observation], announced: Container[UserId] = ()) -> Decision:
        """Decide which observations of a read change an answer; see `Acceptance.judge_read`."""
        now, at = self._clock.wall(), self._clock.monotonic()
        return self._rules.judge_read(self._known, observations, self._people, now=now, at=at, announced=announced)

    def judge_notifications(self, observations: Iterable[Observation]) -> Decision:
        """Decide which notifications are accepted directly; see `Acceptance.judge_notifications`."""
        now, at = self._clock.wall(), self._clock.monotonic()
        return self._rules.judge_notifications(self._known, observations, self._people, now=now, at=at)

    def moved(self, changed: Mapping[UserId, Answer]) -> list[UserId]:
        """Return the users whose change Graph should announce, from changed answers that are not accepted yet."""
        return acceptance.moved(self._known, changed)

    def statuses(self, users: Iterable[UserId], status: Status) -> dict[UserId, Answer]:
        """Return the answer `status` for those of the users who have a different one."""
        return {user: status for user in users if self.of(user) is not status}

    async def accept(
        self,
        lease: Lease,
        epoch: Epoch,
        order: Order,
        changed: Mapping[UserId, Answer],
        source: Source = Source.POLL,
        seen: Mapping[UserId, Newest] = _NOTHING_SEEN,
    ) -> frozenset[UserId]:
        """Store changed answers and send them to the edges; return the users whose answer was not stored.

        The users returned are barred, were forgotten meanwhile, or have a newer answer in the store.

        Args:
            lease: lease of the tenant's partition.
            epoch: epoch in which the changes were read.
            order: order of the read.
            changed: user -> answer.
            source: source that orders the answers: every read is a poll, also one caused by a notification.
            seen: user -> the newest number, of the same decision; remembered once the store has answered.

        Raises:
            LeaseLost, HistoryLost: nothing more was written.
            StoreUnavailable: the answers may be written now or later; see the class.
        """
        # A user who is forgotten before the write or its reply gets a new object on return, which this write does not touch.
        known = {user: self._known.setdefault(user, _Stored()) for user in (*changed, *seen)}
        before = {user: known[user].newest for user in seen}
        if not changed:
            self._remember(seen, known, before)
            return frozenset()
        async with self._writes.together():
            wanted = [
                user for user in changed if self._is(user, known[user]) and not self._users.bars(user, changed[user])
            ]
            observed = [self._observed(user, changed[user], order, source) for user in wanted]
            accepted = await self._write(lease, epoch, observed) if observed else _NOTHING_STORED
            self._remember(seen, known, before)
            self._believe_written(accepted, changed, known)
            if restarted := sum(one.restarts and one.user_id in accepted.stored for one in observed):
                log.warning("sequence_numbers_restarted", tenant_id=self._tenant_id, users=restarted)
            if accepted.refused and source is Source.POLL:
                # The book allowed the write and the store refused it, so the book is out of date.
                self._believe_newer(await self._presences.load_some(self._tenant_id, accepted.refused), known)
        return frozenset(changed.keys() - accepted.stored.keys())

    async def _write(self, lease: Lease, epoch: Epoch, observed: Sequence[Observed]) -> Accepted:
        with spans.ACCEPT.within() as span:
            accepted = await self._presences.accept(lease, self._tenant_id, observed, epoch)
            span.note("relay.answers", len(observed))
            span.note("relay.refused", len(accepted.refused))
            return accepted

    @property
    def _rules(self) -> Acceptance:
        return Acceptance(self._users.disclosure, self._lag_s)

    def _remember(
        self, seen: Mapping[UserId, Newest], known: Mapping[UserId, _Stored], before: Mapping[UserId, Newest]
    ) -> None:
        """Remember the numbers of a decision, except for users with newer numbers since it was written."""
        for user, newest in seen.items():
            if known[user].newest is before[user]:
                known[user].newest = newest

    def _believe_written(
        self, accepted: Accepted, changed: Mapping[UserId, Answer], known: Mapping[UserId, _Stored]
    ) -> None:
        at = self._clock.monotonic()
        for user, revision in accepted.stored.items():
            mine = known[user]
            if not self._is(user, mine) or revision <= mine.revision:
                continue
            answer = changed[user]
            mine.answer, mine.revision = answer, revision
            if isinstance(answer, Presence):
                mine.newest = mine.newest.taken(answer.sequence_number, at)

    def _is(self, user: UserId, known: _Stored) -> bool:
        return self._known.get(user) is known

    def _replace(self, stored: Iterable[tuple[UserId, StoredAnswer | None]]) -> None:
        """Replace the answers of these users with the stored ones, also with none."""
        for user, found in stored:
            if found is not None:
                _believe(self._known.setdefault(user, _Stored()), found)
            elif (mine := self._known.get(user)) is not None:  # keep the object: a write may be waiting
                mine.answer, mine.newest, mine.revision = None, NOTHING_SEEN, START

    def _believe_newer(self, stored: Mapping[UserId, StoredAnswer], known: Mapping[UserId, _Stored]) -> None:
        """Take stored answers that are newer, for users who were not forgotten since the lookup."""
        for user, found in stored.items():
            mine = known[user]
            if self._is(user, mine) and found.revision > mine.revision:
                _believe(mine, found)

    def _observed(self, user: UserId, answer: Answer, order: Order, source: Source) -> Observed:
        if not isinstance(answer, Presence):
            return Observed(user, encode_status(user, answer), order)
        number, known = answer.sequence_number, self._known.get(user)
        restarts = known is not None and bool(number) and number < known.newest.number
        return Observed(user, encode_presence(answer), order, number, source, restarts=restarts)


def _believe(mine: _Stored, found: StoredAnswer) -> None:
    try:
        mine.answer = decode(found.item)
    except ValueError:
        mine.answer = None  # from another release: read and stored again
    mine.newest, mine.revision = Newest(found.sequence_number), found.revision
