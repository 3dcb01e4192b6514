"""The reads of one tenant: Graph's answers are accepted, and refusals and missing answers are handled.

    Scheduler ──► read ──► poller (Graph) ──► judge_read ──► accept ──► ReadResult: for the other parts of the tenant
                   └── Graph did not answer ─────────────────────────► ReadFailure: to be judged, then `note_unread`

A failed read changes no presence. Users without an answer get a status with the reason. Users with a presence keep
it; they become STALE if nothing confirms it for three intervals.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from relay.core.pausing import pause_s
from relay.core.presence import Presence, Status, UserId
from relay.core.reading.sizes import PageSize
from relay.errors import ConsentRequired, LeaseLost, RelayError, Retryable
from relay.ops.turns import OneAPass, in_slices
from relay.worker import metrics
from relay.worker.reads import poller

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from relay.core.reading.acceptance import Answer, Decision
    from relay.core.reading.ordering import Order
    from relay.core.reading.pages import PlannedRead, PollPage
    from relay.core.revision import Epoch
    from relay.graph.presence.presences import PageHashes
    from relay.ops.clock import Clock
    from relay.worker.grants.pool import GrantPool
    from relay.worker.ownership import Ownership
    from relay.worker.reads.answers import AnswerBook
    from relay.worker.reads.page_hashes import SeenPages
    from relay.worker.reads.schedule import Scheduler

FIRST_PAUSE_S: Final = 1.0
_STORED: Final = 1000
"""Answers stored at a time outside of reads, in one entry of `changes`: encoding one takes some 5 us."""
_GONE: Final = (Status.NOT_REPORTED, Status.STALE)
"""Statuses after which a name may stand for another user; STALE for users whose ids are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """One read that was answered and accepted.

    Attributes:
        account: account of the token that was used.
        users: the users who were read.
        moved: users whose state changed.
        announced: users who were read because a notification announced a change.
        missed: users that Graph does not report: their names may stand for other users now.
        unanswered: users for whom Graph did not answer, although it did for others.
        trouble: the reason for `unanswered`; None if it is empty.
    """

    account: str
    users: Collection[UserId]
    moved: Collection[UserId] = ()
    announced: frozenset[UserId] = frozenset()
    missed: Collection[UserId] = ()
    unanswered: Collection[UserId] = ()
    trouble: RelayError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFailure:
    """One read that Graph did not answer. The caller judges it, and passes it to `plan_again`.

    Attributes:
        account: account of the token that was used; empty without a token.
        read: the planned read from the schedule.
        error: the reason.
    """

    account: str
    read: PlannedRead
    error: RelayError


@dataclass(frozen=True, slots=True)
class _Asked:
    """The state at the beginning of a read: its order, the epoch, the announced users, and the hashes of the page."""

    order: Order
    epoch: Epoch
    announced: set[UserId]
    seen: PageHashes | None = field(repr=False)


class PresenceReader:
    """Reads one tenant's users and accepts the answers. The caller runs each planned read in a separate task."""

    def __init__(
        self,
        ownership: Ownership,
        schedule: Scheduler,
        answers: AnswerBook,
        seen: SeenPages,
        pool: GrantPool,
        clock: Clock,
    ) -> None:
        self._ownership = ownership
        self._schedule = schedule
        self._plan = schedule.plan
        self._answers = answers
        self._seen = seen
        self._pool = pool
        self._clock = clock
        self._size = PageSize()
        self._turns = OneAPass()
        # Page, or None for users ahead of their pages -> reason why it cannot be read.
        self._failing: dict[PollPage | None, Status] = {}

    # Users

    def read_now(self, users: Iterable[UserId]) -> None:
        """Read these users ahead of their page."""
        self._plan.mark_dirty(users)

    def read_all_now(self) -> None:
        """Read all users at once, because the held answers may be wrong."""
        self._seen.clear()
        self.confirm_all()

    def confirm_all(self) -> None:
        """Read all users at once, because changes may have been missed."""
        self._plan.mark_all(self._clock.monotonic())

    async def forget(self, users: Iterable[UserId]) -> None:
        """Stop reading these users, and delete their answers."""
        async for gone in in_slices(list(users)):
            self._schedule.remove(gone)
            await self._answers.forget(self._ownership.lease, gone)

    async def bar(self, users: Mapping[UserId, Status]) -> None:
        """Stop reading these users, and replace their answers. Call it after they were barred."""
        self._seen.forget(users)
        self._schedule.remove(users.keys())
        await self.store(users)

    async def store(self, changed: Mapping[UserId, Answer]) -> None:
        """Store answers that do not come from a read, where they differ from the present ones.

        A read that begins after this call counts as newer, even if it ends before these answers are stored.
        """
        lease, epoch = self._ownership.lease, self._ownership.epoch
        order = self._answers.next_order(lease)
        async for some in in_slices(list(changed.items()), _STORED):
            others = {user: answer for user, answer in some if self._answers.of(user) is not answer}
            if not others:
                continue
            try:
                await self._answers.accept(lease, epoch, order, others)
            finally:
                self._seen.forget(others)  # at the end, because a read may have begun meanwhile

    # Reads

    async def read(self, read: PlannedRead) -> ReadResult | ReadFailure | None:
        """Carry out one planned read, and accept the answer; return None when history was lost meanwhile.

        Raises:
            StoreUnavailable, LeaseLost, HistoryLost: from the store; the same users are read again.
        """
        ownership = self._ownership
        order, epoch = self._answers.next_order(ownership.lease), ownership.epoch
        seen = self._seen.of(read.page) if read.page is not None else None
        asked = _Asked(order, epoch, self._schedule.take_announced(read.users), seen)
        answered, token = False, self._pool.for_call()
        try:
            found = await poller.read(
                ownership.cloud.client,
                token,
                read.users,
                seen,
                self._schedule.spend,
                self._is_well,
                self._turns.turn,
                is_stubborn=read.is_stubborn,
                most=self._size.most(self._clock.monotonic()),
            )
            answered = True
            self._note_size(found)
            if found.observations:
                await self._turns.turn()
            return await self._take_in(read, found, asked, token.account)
        except RelayError as error:
            self._schedule.restore_announced(asked.announced)
            # A lost lease says nothing about Graph.
            if answered or isinstance(error, LeaseLost):
                # Graph answered and the store did not: repeat the same read.
                self._plan.failed(read, self._clock.monotonic() + FIRST_PAUSE_S)
                raise
            return ReadFailure(account=token.account, read=read, error=error)
        except BaseException:
            pause = pause_s(read.failures + 1, first_s=FIRST_PAUSE_S)
            self._plan.failed(read, self._clock.monotonic() + pause)
            raise
        finally:
            self._schedule.ended()

    def _note_size(self, found: poller.PollResult) -> None:
        if found.too_many:
            self._size.refused(found.too_many, found.at_once, self._clock.monotonic())
        else:
            self._size.answered(found.at_once)

    async def _take_in(
        self, read: PlannedRead, found: poller.PollResult, asked: _Asked, account: str
    ) -> ReadResult | None:
        if asked.epoch != self._ownership.epoch:
            # History was lost during the request: another owner may have accepted a newer answer that was lost.
            # (The store would refuse this one too, but the comparison below already uses the new epoch.)
            self._plan.failed(read, self._clock.monotonic())
            return None
        self._plan.answered(read, self._clock.monotonic())
        decision = self._answers.judge_read(
            (one for one in found.observations if one.user_id in self._plan), asked.announced
        )
        moved = self._answers.moved(decision.changed)
        changed = self._changes(read, found, decision)
        refused = await self._answers.accept(
            self._ownership.lease, asked.epoch, asked.order, changed, seen=decision.seen
        )
        self._seen.forget(changed, read.page)
        if asked.seen is not None:
            if found.page is None or refused:
                asked.seen.clear()
            else:
                asked.seen.keep(found.page, set(decision.doubted))
        left = [user for user in found.unanswered if user in self._plan]
        self._finish(read, found, left)
        metrics.CHANGED.add(len(changed))
        return ReadResult(
            account=account,
            users=read.users,
            moved=moved,
            announced=frozenset(asked.announced),
            missed=[user for user, answer in changed.items() if answer in _GONE],
            unanswered=left,
            trouble=found.trouble if left else None,
        )

    def _changes(self, read: PlannedRead, found: poller.PollResult, decision: Decision) -> dict[UserId, Answer]:
        """Return all that a read changes: presences, users left out, and users whose ids are refused."""
        changed = dict(decision.changed)
        # Users with an answer keep it when Graph's answer is incomplete.
        omitted = (*found.omitted, *(user for user in found.left_out if not self._is_known(user)))
        changed.update(self._answers.statuses((user for user in omitted if user in self._plan), Status.NOT_REPORTED))
        self._schedule.refused.answered(set(read.users).difference(found.refused, found.unanswered))
        changed.update(self._set_aside(found.refused))
        return changed

    def _finish(self, read: PlannedRead, found: poller.PollResult, left: Collection[UserId]) -> None:
        """Plan the next read of these users; those that Graph left unanswered are read separately."""
        now = self._clock.monotonic()
        metrics.READS.add(1, "answered")
        metrics.READ_DURATION.record(now - read.started)
        self._plan.part(read, left, self._retry_at(read, found.trouble))
        self._plan.done(read, now, self._schedule.interval_of(read, now), random.random(), left)  # noqa: S311
        self._failing.pop(read.page, None)
        self._schedule.budget.answered()

    # Trouble

    def plan_again(self, failure: ReadFailure) -> None:
        """Plan a failed read again. Call it once the failure was judged: until then no other read has these users."""
        read = failure.read
        unknown = [user for user in read.users if not self._is_known(user)]
        self._plan.failed(read, self._retry_at(read, failure.error), unknown)

    async def note_unread(self, failure: ReadFailure, status: Status) -> None:
        """Record the judged reason of a failed read, and store it for users without an answer."""
        metrics.READS.add(1, status.name.lower())
        self._note_failing(failure.read.page, status)
        await self._tell_unread(failure.read.users, status)

    async def note_unanswered(self, users: Collection[UserId], status: Status) -> None:
        """Record why Graph did not answer for some users of a read, and store it for those without an answer."""
        self._note_failing(self._plan.page_of(next(iter(users))), status)
        await self._tell_unread(users, status)

    @property
    def trouble(self) -> Status:
        """The reason why some users cannot be read at present; NONE when all users can."""
        self._failing = {page: why for page, why in self._failing.items() if page is None or page.users}
        return max(self._failing.values(), default=Status.NONE, key=lambda why: why is Status.THROTTLED)

    def sweep(self, now: float) -> None:
        """Retry users whose ids Graph refuses, and forget pages that are gone. Call it once a second."""
        due = self._schedule.refused.due(now, self._schedule.intervals(now)[0])
        self._schedule.add(user for user in due if not self._answers.is_barred(user))
        self._seen.sweep()

    async def mark_stale(self, now: float) -> None:
        """Replace the presences that went unconfirmed for three intervals."""
        for page in self._schedule.overdue(now):
            stale: dict[UserId, Answer] = dict.fromkeys(filter(self._answers.has_presence, page.users), Status.STALE)
            if stale:
                metrics.STALE.add(len(stale))
                await self.store(stale)

    def _note_failing(self, page: PollPage | None, status: Status) -> None:
        if status is not Status.NONE:
            self._failing[page] = status

    async def _tell_unread(self, users: Iterable[UserId], status: Status) -> None:
        """Store the reason for users who could not be read and have no answer; answers from Graph stay."""
        if status in (Status.CONSENT_REQUIRED, Status.NONE):
            return  # every user has the reason, or another grant continues
        await self.store({user: status for user in users if user in self._plan and not self._is_known(user)})

    def _retry_at(self, read: PlannedRead, error: RelayError | None) -> float:
        now = self._clock.monotonic()
        failures = read.failures + 1
        asked = error.retry_after if isinstance(error, Retryable) else None
        if isinstance(error, ConsentRequired):
            return now  # another grant continues
        if asked is not None:
            return now + pause_s(failures, asked.total_seconds(), first_s=FIRST_PAUSE_S)
        return now + min(pause_s(failures, first_s=FIRST_PAUSE_S), self._schedule.intervals(now)[0])

    def _is_well(self, user: UserId) -> bool:
        """Return whether Graph answered for the user a moment ago."""
        return self._answers.has_presence(user) and not self._schedule.refused.is_suspect(user)

    def _is_known(self, user: UserId) -> bool:
        """Return whether Graph has ever reported on the user."""
        answer = self._answers.of(user)
        return isinstance(answer, Presence) or answer in (Status.NOT_REPORTED, Status.STALE)

    # Users whose ids are refused

    def _set_aside(self, refused: Mapping[UserId, Status]) -> dict[UserId, Answer]:
        """Set aside users whose ids Graph refuses, so that one read is enough again for the others' page."""
        users = {user: status for user, status in refused.items() if user in self._plan}
        again = self._schedule.set_aside(users, self._clock.monotonic())
        statuses = {
            user: self._refused_as(user, status)
            for user, status in users.items()
            if user in again or not self._answers.has_presence(user)
        }
        return {user: status for user, status in statuses.items() if self._answers.of(user) is not status}

    def _refused_as(self, user: UserId, status: Status) -> Answer:
        """Return the answer of a user whose id is refused. Only an answer that omits a user shows that the user does not exist."""
        held = self._answers.of(user)
        if status is not Status.NOT_REPORTED or held in (None, Status.PENDING, Status.NOT_REPORTED):
            return status
        return Status.STALE if isinstance(held, Presence) else held or status
