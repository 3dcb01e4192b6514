"""The reads of one tenant: the plan made true. Which users, when, within the budget, and what becomes of the answers.

A read that fails leaves its users what they have: those who have nothing yet are told why, those who have a presence keep
it until nothing confirmed it for three intervals, and are STALE then.

Users whose changes Graph announces are read seldom. What is announced is accepted as it is where that is sure to be newer than
all that is known; otherwise its user is read, together with others who were announced within the same moment.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from opentelemetry import metrics

from relay.core.bucket import TokenBucket
from relay.core.pausing import pause_s
from relay.core.presence import Observation, Presence, Source, Status, TenantId, UserId
from relay.core.reading.budget import Budget
from relay.core.reading.ordering import Order
from relay.core.reading.planning import PollPlan, Read
from relay.core.reading.refusals import Refusals
from relay.core.reading.sizes import PageSize
from relay.errors import ConsentRequired, LeaseLost, RelayError, Retryable
from relay.graph.presence.presences import PageHashes
from relay.worker.reads import poller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Mapping, Sequence

    from relay.core.reading.planning import Page
    from relay.core.revision import Epoch
    from relay.worker.grants.pool import GrantPool
    from relay.worker.partition import OwnedPartition
    from relay.worker.reads.answers import Answer, Answers

_meter = metrics.get_meter("relay.worker")
_reads = _meter.create_counter("relay.worker.reads", description="Bulk reads of Graph, by how they ended")
_read_s = _meter.create_histogram(
    "relay.worker.read.duration",
    unit="s",
    description="From asking Graph to having its answer accepted",
    explicit_bucket_boundaries_advisory=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_changed = _meter.create_counter("relay.worker.answers.changed", description="Answers that a read changed")
_announced = _meter.create_counter(
    "relay.worker.notifications.taken", description="Announced users, by what became of it: accepted, unchanged, read"
)
_stale = _meter.create_counter("relay.worker.answers.stale", description="Presences that went stale")


class _Asked(NamedTuple):
    """What was so when a read began: its order, the epoch, who was announced, what the page's last read said; and whose token it had."""

    order: Order
    epoch: Epoch
    announced: set[UserId]
    seen: PageHashes | None
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """When one user is read.

    Attributes:
        is_covered: whether the user is read seldom, because Graph announces changes.
        next_read_s: in how many seconds the next read may begin; None for a user who is not read.
        confirmed_s: how long ago Graph answered for the user last, or since when the user waits for that.
        interval_s: how often the user is read.
        set_aside_s: for how long the user is not read because Graph calls the id bad; None for others.
    """

    is_covered: bool = False
    next_read_s: float | None = None
    confirmed_s: float | None = None
    interval_s: float = 0.0
    set_aside_s: float | None = None


FIRST_PAUSE_S: Final = 1.0


class Observer(Protocol):
    """Who judges by what reads find how well changes are announced."""

    def read(self, users: Collection[UserId], moved: Iterable[UserId], announced: Container[UserId]) -> None:
        """A read was accepted.

        Args:
            users: who were read.
            moved: those who have another state than before.
            announced: those who were read because a notification said that they had changed.
        """

    def accepted(self, moved: Iterable[UserId]) -> None:
        """Notifications were accepted as they are; these users have another state than before."""


class Reader:
    """Reads one tenant's users and accepts what comes. The caller runs each read that `due` gives, as a task of its own.

    Attributes:
        failures: calls of Graph that failed since the last one that did not.
        reconcile_s: how often covered users are read, in seconds, as far as Graph's limit allows.
        observer: told of what reads find; may be None.
    """

    def __init__(
        self,
        tenant_id: TenantId,
        owned: OwnedPartition,
        answers: Answers,
        upns: Mapping[UserId, str],
        tokens: GrantPool,
        judge: Callable[[RelayError, str], Awaitable[Status]],
        confirmed: Callable[[str], None],
        missed: Callable[[Collection[UserId]], None],
    ) -> None:
        """Make a reader of nobody.

        Args:
            tenant_id: whose users.
            owned: the lease and epoch that are shown.
            answers: what is held of the users.
            upns: user -> canonical UPN, where it is known.
            tokens: the tenant's grants.
            judge: what an error of Graph's, with the token of that account, means for the tenant.
            confirmed: called after each read that was answered and accepted, with the account whose token it was.
            missed: called with users whom Graph reports no longer, or not yet: they may be others by now.
        """
        settings = owned.worker.settings
        self.failures = 0
        self._tenant_id = tenant_id
        self._owned = owned
        self._settings = settings
        self._answers = answers
        self._upns = upns
        self._tokens = tokens
        self._judge = judge
        self._confirmed = confirmed
        self._missed = missed
        self._budget = Budget(settings.budget)
        share = max(1.0, settings.budget.allowed * settings.names_share)
        self._names_bucket = TokenBucket(share, share / settings.budget.window_s, time.monotonic())
        self.reconcile_s = settings.reconcile_interval.total_seconds()
        self.observer: Observer | None = None
        self._size = PageSize()
        self._plan = PollPlan(
            settings.page_size,
            random.random(),  # noqa: S311 - spreads load, guards nothing
            settings.gather.total_seconds(),
        )
        self._covered: frozenset[UserId] = frozenset()
        self._announced: set[UserId] = set()  # announced, and not read since
        self._seen: dict[Page, PageHashes] = {}
        self._refusals = Refusals()
        self._failing: dict[
            Page | None, Status
        ] = {}  # page, or None for those ahead of their pages -> why it is not read
        self._under_way = 0
        self._orders = 0

    # Who is read

    def add(self, users: Iterable[UserId]) -> None:
        """Read these users, at once and from now on; those who are barred are not."""
        now = time.monotonic()
        new = [user for user in users if user not in self._refusals and user not in self._answers.barred]
        polled, covered = self._intervals(now)
        self._plan.add(new, now, polled)
        self._plan.move(self._covered.intersection(new), now, covered, covered=True)

    def cover(self, users: Iterable[UserId]) -> None:
        """Graph announces the changes of exactly these users from now on. Who comes or goes is read at once."""
        before, self._covered = self._covered, frozenset(users)
        now = time.monotonic()
        polled, covered = self._intervals(now)
        self._plan.move(before - self._covered, now, polled, covered=False)
        self._plan.move(self._covered - before, now, covered, covered=True)

    @property
    def users(self) -> list[UserId]:
        """Who is read, or set aside."""
        return [*self._plan, *self._refusals]

    @property
    def covered(self) -> int:
        """How many of the users who are read are covered."""
        return self._plan.load(covered=True)[1]

    @property
    def polled(self) -> int:
        """How many are not."""
        return self._plan.load(covered=False)[1]

    def read_now(self, users: Iterable[UserId]) -> None:
        """Read these users ahead of their page."""
        self._plan.mark_dirty(users)

    def read_all_now(self) -> None:
        """Nothing that is held is to be trusted."""
        self._seen.clear()
        self.confirm_all()

    def confirm_all(self) -> None:
        """Something may have been missed: read everybody at once."""
        self._plan.mark_all(time.monotonic())

    async def forget(self, users: Iterable[UserId]) -> None:
        """Read these users no longer, and delete their answers."""
        gone = list(users)
        if not gone:
            return
        self._plan.remove(gone)
        self._announced.difference_update(gone)
        self._refusals.forget(gone)
        await self._answers.forget(self._owned.lease, gone)

    async def bar(self, users: Mapping[UserId, Status]) -> None:
        """Read these users no longer, and replace what they have. To be called once they are among the barred ones."""
        self._forget_seen(users, None)
        self._plan.remove(users)
        self._announced.difference_update(users)
        self._refusals.forget(users)
        await self.tell(users)

    # When

    def turn(self, user: UserId, now: float) -> Turn:
        """When the user is read, for people who want to know."""
        page, until = self._plan.page_of(user), self._refusals.next_try(user)
        polled, covered = self._intervals(now)
        is_covered = page is not None and page.covered
        return Turn(
            is_covered=is_covered,
            next_read_s=self._plan.due_in(user, now),
            confirmed_s=None if page is None else now - (page.since if page.confirmed is None else page.confirmed),
            interval_s=covered if is_covered else polled,
            set_aside_s=None if until is None else max(0.0, until - now),
        )

    def interval(self, now: float) -> float:
        """How often the users are read who are read least often, in seconds, as limit and slow-down allow."""
        polled, covered = self._intervals(now)
        return covered if self.covered else polled

    def _intervals(self, now: float) -> tuple[float, float]:
        """The intervals of polled and of covered users; where the limit is too low for both, both are stretched alike."""
        polled, covered = self._settings.poll_interval.total_seconds(), self.reconcile_s
        rounds = [(*self._plan.load(covered=False), polled), (*self._plan.load(covered=True), covered)]
        stretch = self._budget.stretch(rounds, now)
        return polled * stretch, covered * stretch

    def _interval_of(self, read: Read, now: float) -> float:
        polled, covered = self._intervals(now)
        return covered if read.page is not None and read.page.covered else polled

    def wait(self, now: float) -> float:
        """Seconds until `due` may have something."""
        return math.inf if self._under_way >= self._settings.reads_at_once else self._plan.wait(now)

    def due(self, now: float) -> Iterable[Read]:
        """The reads to start now, as far as budget and open requests allow; each is to be given to `read`."""
        while self._under_way < self._settings.reads_at_once:
            read = self._plan.next(now)
            if read is None:
                return
            if not read.users:
                self._plan.put_off(read, now, self._interval_of(read, now))
                continue
            wait = self._budget.take(self._budget.cost(len(read.users)), now)
            if wait > 0:
                self._plan.wait_for_budget(read, now + wait)
                return
            self._under_way += 1
            yield read

    async def pay_for_names(self) -> None:
        """Return when one more request may be made to find out whom names stand for.

        It counts like a read, and such requests have a share of their own: whoever asks for made-up names makes reads no slower.
        """
        while (wait := self._names_bucket.wait(time.monotonic())) > 0:  # noqa: ASYNC110 - time is what it waits for
            await asyncio.sleep(wait)
        self._names_bucket.pay(1, time.monotonic())
        await self._spend(1)

    def throttled(self, retry_after_s: float | None) -> None:
        """Graph asked the tenant to wait."""
        self._plan.pause(self._budget.throttled(time.monotonic(), retry_after_s))

    def pause_s(self) -> float:
        """How long to wait after the failures so far."""
        return pause_s(self.failures, first_s=FIRST_PAUSE_S)

    @property
    def oldest_confirmation(self) -> float | None:
        """Since when, by the monotonic clock, all that is held is confirmed by Graph; None while nothing is."""
        return self._plan.oldest_confirmation

    @property
    def inherited_at(self) -> float | None:
        """When Graph confirmed what an earlier owner stored; None once it has confirmed all of it to this one."""
        return self._plan.inherited_at

    def inherit(self, users: Iterable[UserId], at: float) -> None:
        """Presences of these users are stored, and Graph confirmed them at `at` by the monotonic clock; see `PollPlan.inherit`."""
        self._plan.inherit(users, at)

    async def sweep(self, now: float) -> None:
        """Once a second: try users whom Graph refuses again."""
        self.add(self._refusals.due(now, self._intervals(now)[0]))
        self._seen = {page: seen for page, seen in self._seen.items() if page.users}

    @property
    def trouble(self) -> Status:
        """Why some users cannot be read at present; NONE when all can."""
        self._failing = {page: why for page, why in self._failing.items() if page is None or page.users}
        return max(self._failing.values(), default=Status.NONE, key=lambda why: why is Status.THROTTLED)

    async def tell_stale(self, now: float) -> None:
        """Users whose pages went unanswered for three intervals."""
        stale: list[UserId] = []
        for covered, interval_s in zip((False, True), self._intervals(now), strict=True):
            age_s = self._settings.stale_after_intervals * interval_s
            stale += [user for page in self._plan.overdue(now, age_s, covered=covered) for user in page.users]
        told: dict[UserId, Answer] = {
            user: Status.STALE for user in stale if isinstance(self._answers.of(user), Presence)
        }
        if told:
            _stale.add(len(told))
            await self.tell(told)

    # What comes

    async def tell(self, changed: Mapping[UserId, Answer]) -> None:
        """Store statuses that do not come from a read."""
        changed = {user: answer for user, answer in changed.items() if self._answers.of(user) is not answer}
        if changed:
            try:
                await self._answers.accept(self._owned.lease, self._owned.epoch, self._next_order(), changed)
            finally:
                self._forget_seen(changed, None)  # at the end, for a read may have begun meanwhile

    async def read(self, read: Read) -> None:
        """Ask Graph for one read that `due` gave, and accept what comes."""
        order, epoch = self._next_order(), self._owned.epoch
        announced = self._announced.intersection(read.users)
        self._announced -= announced
        seen = self._seen.setdefault(read.page, PageHashes()) if read.page is not None else None
        answered, token = False, self._tokens.for_call()
        try:
            client = self._owned.cloud.client
            found = await poller.read(
                client,
                token,
                read.users,
                seen,
                self._spend,
                self._is_well,
                is_stubborn=read.is_stubborn,
                most=self._size.most(time.monotonic()),
            )
            if found.too_many:
                self._size.refused(found.too_many, found.at_once, time.monotonic())
            else:
                self._size.answered(found.at_once)
            answered = True
            await self._take_in(read, found, _Asked(order, epoch, announced, seen, token.account))
        except RelayError as error:
            self._announced |= announced
            # A lease that is lost says nothing of Graph, asked or not.
            await self._failed(read, error, token.account, answered=answered or isinstance(error, LeaseLost))
        except BaseException:
            self._plan.failed(read, time.monotonic() + self.pause_s())
            raise
        finally:
            self._under_way -= 1

    async def _take_in(self, read: Read, found: poller.Found, asked: _Asked) -> None:
        if asked.epoch != self._owned.epoch:
            # History was lost while Graph was asked: what another owner accepted meanwhile may be newer, and forgotten.
            # (The store would refuse it too, but what is compared below belongs to the new epoch already.)
            self._plan.failed(read, time.monotonic())
            return
        self._plan.answered(read, time.monotonic())
        still = [observation for observation in found.observations if observation.user_id in self._plan]
        changed = self._answers.changed(still, self._upns, datetime.now(UTC), asked.announced)
        moved = self._answers.moved(changed)
        omitted = (user for user in found.omitted if user in self._plan)
        changed.update(self._answers.statuses(omitted, Status.NOT_REPORTED))
        self._refusals.answered(set(read.users).difference(found.refused, found.unanswered))
        changed.update(self._put_aside(found.refused))
        refused = await self._answers.accept(self._owned.lease, asked.epoch, asked.order, changed)
        gone = (Status.NOT_REPORTED, Status.STALE)  # the latter of those whose ids are refused
        if missed := [user for user, answer in changed.items() if answer in gone]:
            self._missed(missed)
        self._forget_seen(changed, read.page)
        if asked.seen is not None:
            if found.page is None or refused:
                asked.seen.clear()
            else:
                asked.seen.keep(found.page, {user for user in read.users if self._answers.is_doubted(user)})
        now = time.monotonic()
        _reads.add(1, {"outcome": "answered"})
        _read_s.record(now - read.started)
        if changed:
            _changed.add(len(changed))
        left = [user for user in found.unanswered if user in self._plan]
        self._plan.part(read, left, self._retry_at(read, found.trouble))
        self._plan.done(read, now, self._interval_of(read, now), random.random(), left)  # noqa: S311
        self._failing.pop(read.page, None)
        if self.observer is not None:
            self.observer.read(read.users, moved, asked.announced)
        self.failures = 0
        self._budget.answered()
        self._confirmed(asked.account)
        if left and found.trouble is not None:
            status = await self._judge(found.trouble, asked.account)
            self._note_failing(self._plan.page_of(left[0]), status)
            await self._tell_unread(left, status)

    # What is announced

    async def take_announced(self, observations: Sequence[Observation], unsaid: Iterable[UserId] = ()) -> None:
        """Take in what notifications say.

        Args:
            observations: what Graph says of users, in the order in which it arrived.
            unsaid: users of whom it says only that they have changed.
        """
        users = dict.fromkeys(observation.user_id for observation in observations)
        held = self._plan.hold(users)
        try:
            await self._accept_announced(observations, set(held), list(unsaid))
        finally:
            self._plan.let_go(held)

    async def _accept_announced(
        self, observations: Sequence[Observation], held: set[UserId], unsaid: list[UserId]
    ) -> None:
        order, epoch = self._next_order(), self._owned.epoch
        sure = [observation for observation in observations if observation.user_id in held]
        changed, unsure = self._answers.notified(sure, self._upns, datetime.now(UTC))
        moved = self._answers.moved(changed)
        # Who is being read is read again: which of the two is the younger cannot be told.
        busy = [observation.user_id for observation in observations if observation.user_id not in held]
        self._read_announced([*unsaid, *unsure, *busy])
        try:
            refused = await self._answers.accept(self._owned.lease, epoch, order, changed, Source.NOTIFICATION)
        except RelayError:
            self._read_announced(changed)
            raise
        self._forget_seen(changed, None)
        self._read_announced(refused)
        if changed:
            _announced.add(len(changed) - len(refused), {"outcome": "accepted"})
            _changed.add(len(changed) - len(refused))
        _announced.add(max(0, len(held) - len(changed) - len(unsure)), {"outcome": "unchanged"})
        if self.observer is not None:
            self.observer.accepted([user for user in moved if user not in refused])

    def _read_announced(self, users: Iterable[UserId]) -> None:
        watched = {user for user in users if user in self._plan}
        if watched:
            self._announced |= watched
            self._plan.mark_announced(watched, time.monotonic())
            _announced.add(len(watched), {"outcome": "read"})

    async def _failed(self, read: Read, error: RelayError, account: str, *, answered: bool) -> None:
        if answered:  # Graph answered and the store did not: the same read again will do
            self._plan.failed(read, time.monotonic() + FIRST_PAUSE_S)
            raise error
        status = await self._judge(error, account)
        _reads.add(1, {"outcome": status.name.lower()})
        retry_at = self._retry_at(read, error)
        self._plan.failed(read, retry_at, [user for user in read.users if not self._is_known(user)])
        self._note_failing(read.page, status)
        await self._tell_unread(read.users, status)

    def _note_failing(self, page: Page | None, status: Status) -> None:
        if status is not Status.NONE:
            self._failing[page] = status

    async def _tell_unread(self, users: Iterable[UserId], status: Status) -> None:
        """Those who have nothing yet are told why they could not be read; what Graph has said stays until it says otherwise."""
        if status in (Status.CONSENT_REQUIRED, Status.NONE):
            return  # everybody was told, or another grant goes on
        await self.tell({user: status for user in users if user in self._plan and not self._is_known(user)})

    def _retry_at(self, read: Read, error: RelayError | None) -> float:
        now = time.monotonic()
        failures = read.failures + 1
        asked = error.retry_after if isinstance(error, Retryable) else None
        if isinstance(error, ConsentRequired):
            return now  # another grant goes on
        if asked is not None:
            return now + pause_s(failures, asked.total_seconds(), first_s=FIRST_PAUSE_S)
        return now + min(pause_s(failures, first_s=FIRST_PAUSE_S), self._intervals(now)[0])

    def _is_well(self, user: UserId) -> bool:
        """Whether Graph answered for the user a moment ago."""
        return isinstance(self._answers.of(user), Presence) and not self._refusals.is_suspect(user)

    def _put_aside(self, refused: Mapping[UserId, Status]) -> dict[UserId, Answer]:
        """Users whom Graph refuses alone are not read for a while, so that the others' page is one read again."""
        users = {user: status for user, status in refused.items() if user in self._plan}
        self._plan.remove(users)
        self._announced.difference_update(users)
        now = time.monotonic()
        again = self._refusals.refuse(users, now, self._intervals(now)[0])
        told = {
            user: self._refused_as(user, status)
            for user, status in users.items()
            if user in again or not self._has_presence(user)
        }
        return {user: status for user, status in told.items() if self._answers.of(user) is not status}

    def _is_known(self, user: UserId) -> bool:
        """Whether Graph has said something of the user, be it long ago."""
        answer = self._answers.of(user)
        return isinstance(answer, Presence) or answer in (Status.NOT_REPORTED, Status.STALE)

    def _refused_as(self, user: UserId, status: Status) -> Answer:
        """What is told of a user whose id is refused. That nobody is there only an answer without the user says."""
        held = self._answers.of(user)
        if status is not Status.NOT_REPORTED or held in (None, Status.PENDING, Status.NOT_REPORTED):
            return status
        return Status.STALE if isinstance(held, Presence) else held or status

    def _has_presence(self, user: UserId) -> bool:
        return isinstance(self._answers.of(user), Presence)

    def _forget_seen(self, changed: Iterable[UserId], accepted: Page | None) -> None:
        """A page's entries are no longer what is held of users who changed by another way."""
        for user in changed:
            page = self._plan.page_of(user)
            if page is not None and page is not accepted:
                self._seen.pop(page, None)

    async def _spend(self, users: int) -> None:
        cost = self._budget.cost(users)
        while (wait := self._budget.take(cost, time.monotonic())) > 0:  # noqa: ASYNC110 - time is what it waits for
            await asyncio.sleep(wait)

    def _next_order(self) -> Order:
        self._orders += 1
        return Order(self._owned.lease.fence, self._orders)
