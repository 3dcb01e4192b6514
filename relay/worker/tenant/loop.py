"""The work for one tenant: a loop that compares the wanted names with the known answers, and reads what is missing.

    inbox ──► hint() ──┬──► interest ──► names, resolver ──► Scheduler ──► reads ──► AnswerBook ──► `changes`
                       │                                        ▲            │
                       └──► announcements ──► AnswerBook        └─ standing ◄┘ done, failed

The loop wakes when a hint arrives or work is due, starts the work that schedule and budget allow, and sleeps. Calls of
Graph run in separate tasks, each of which catches its errors at its top, so that a failing tenant does not affect
others. The parts know each other in one direction only (`parts.py`); a part returns results for another, and the loop
passes them on.

A user who cannot be read has a status with the reason: at once for a user without an answer, and STALE when a presence
was not confirmed for three intervals.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec

import structlog

from relay.core.presence import Status
from relay.errors import LeaseLost, Retryable, StoreUnavailable
from relay.ops.cadence import Cadence, wait_until_set
from relay.ops.turns import SLICE, in_slices
from relay.store.presence import hints
from relay.worker import spans
from relay.worker.reads.reader import ReadFailure
from relay.worker.statistics import TenantStatistics
from relay.worker.tasks import start
from relay.worker.tenant.figures import figures_of
from relay.worker.tenant.handover import leave_behind
from relay.worker.tenant.parts import assemble
from relay.worker.tenant.takeover import STORE_PAUSE_S, Takeover

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from relay.core.presence import Name, UserId
    from relay.core.reading.pages import PlannedRead
    from relay.ops.span import TracedWork
    from relay.store.custody.tenants import Tenant
    from relay.store.presence.handovers import Handover
    from relay.worker.contacts import ContactWriter
    from relay.worker.context import Resources
    from relay.worker.figures import TenantFigures
    from relay.worker.ownership import Ownership
    from relay.worker.push.subscriber import Subscriber
    from relay.worker.tenant.parts import Push

log = structlog.get_logger(__name__)

P = ParamSpec("P")

EXPIRED_EDGES_EVERY: Final = timedelta(seconds=10)
"""Interval of checking for expired edges, and for permission changes whose author died."""
_EXPIRED_NAMES_S: Final = 5.0
"""Seconds between two checks for names whose answer is old."""
_GLANCE_S: Final = 0.02
_STEP: Final = "step"
_MAY_BE_CUT: Final = frozenset({"read", "resolve", "interest", "explain", "refresh-grants"})
"""Work that may be interrupted, because the next owner repeats it: users being read are in no handed-over page, and
names and interest are loaded again."""
_NOBODY_TO_SUBSCRIBE_TO: Final = (None, Status.NOT_REPORTED, Status.ACCESS_DENIED)
"""Answers of users for whom Microsoft has reported no presence yet."""


class TenantWorker:
    """Reads one tenant as long as its partition is owned. `run` ends by being cancelled, or with LeaseLost."""

    def __init__(
        self,
        tenant: Tenant,
        resources: Resources,
        ownership: Ownership,
        contacts: ContactWriter,
        predecessor: int | None = None,
    ) -> None:
        """Prepare to work; for `predecessor` see `Takeover`."""
        self.tenant_id = tenant.tenant_id
        self._ownership = ownership
        self._clock, self._store_clock = resources.clock, resources.store_clock
        self._poll_interval = resources.settings.poll_interval
        self._wake = asyncio.Event()
        parts = self._parts = assemble(tenant, resources, ownership, contacts, self._wake)
        self._names, self._wanted, self._answers = parts.books.names, parts.books.wanted, parts.books.answers
        self._schedule, self._reader = parts.schedule, parts.reader
        self._standing, self._interest = parts.standing, parts.interest
        self._takeover = Takeover(tenant.tenant_id, resources, ownership, parts, predecessor)
        self._tasks: asyncio.TaskGroup | None = None
        self._early: list[hints.Hint] = []  # hints that arrived while everything was read
        self._is_leaving = False
        self._is_ending = False
        self._has_missed = False  # hints were lost while everything was read
        self._running: Counter[str] = Counter()  # kinds of work under way
        self._store_back_at = 0.0
        self._sweeps = Cadence(resources.settings.sweep.total_seconds())
        self._expired_edges = Cadence(EXPIRED_EDGES_EVERY.total_seconds())
        self._expired_names = Cadence(_EXPIRED_NAMES_S)

    @property
    def tenant(self) -> Tenant:
        """The tenant's record, with its state in this worker."""
        return self._standing.tenant

    def statistics(self) -> TenantStatistics:
        """Return the present statistics of the tenant."""
        return TenantStatistics(
            state=self.tenant.state,
            watched={edge: frozenset(self._wanted.names_of(edge)) for edge in self._wanted.edges},
            polled=self._schedule.polled,
            covered=self._schedule.covered,
            due=self._schedule.due,
        )

    def figures(self) -> TenantFigures:
        """Return the present figures of the tenant."""
        return figures_of(self._parts, self._poll_interval, self._clock)

    # Life

    async def run(self) -> None:
        """Read the tenant until cancelled."""
        try:
            await self._takeover.take_over()
            async with asyncio.TaskGroup() as self._tasks:
                if self._has_missed:
                    self.hints_lost()
                for hint in self._early:
                    self.hint(hint)
                self._start("enforce", self._standing.reload_if_marked)
                while not self._is_ending:
                    self._wake.clear()
                    await self._counted(_STEP, self._step(self._clock.monotonic()))
                    await self._rest()
                await asyncio.get_running_loop().create_future()
        finally:
            self._parts.pool.close()

    @property
    def is_taken_over(self) -> bool:
        """True once the state of an earlier owner is loaded."""
        return self._tasks is not None

    @property
    def users(self) -> int:
        """The number of users who are read."""
        return self._schedule.covered + self._schedule.polled

    async def finish(self) -> None:
        """Stop starting steps with subscriptions, and return when none is under way. Cancel `run` after that."""
        self._is_leaving = True
        if self._parts.push is not None:
            await self._parts.push.subscriber.finish()

    async def settle(self) -> None:
        """Stop starting work, and return when nothing is under way. Cancel `run` after that."""
        self._is_ending = True
        self._wake.set()
        while self._running.total():
            await self._clock.sleep(_GLANCE_S)

    def left_behind(self) -> Handover | None:
        """Return the state for the next owner, after `settle`; None when the next owner must read everything again."""
        push = self._parts.push
        is_known = self.is_taken_over and self._is_ending and self._takeover.doubted is None
        if not is_known or set(+self._running) - _MAY_BE_CUT or not self._standing.is_read:
            return None
        if push is not None and not push.announcements.is_taken_in:
            return None
        return leave_behind(self._parts, self._ownership.lease.fence, self._store_clock, self._clock)

    async def leave(self) -> None:
        """Delete the subscriptions at Microsoft of a tenant that is leaving the relay. Cancel `run` after that."""
        self._is_leaving = True
        if self._parts.push is not None:
            await self._parts.push.subscriber.leave()

    def hint(self, hint: hints.Hint) -> None:
        """Process a hint of the inbox."""
        push = self._parts.push
        if self._tasks is None:
            self._early.append(hint)
        elif isinstance(hint, hints.InterestChanged):
            if self._interest.take_in(hint):
                self._start("interest", self._interest.read, {hint.edge})
        elif isinstance(hint, hints.Explain):
            self._start("explain", self._parts.explainer.answer, hint, is_tenant_read=self._standing.is_read)
        elif isinstance(hint, hints.GrantChanged | hints.TenantChanged):
            self._start("reload", self._standing.reload)
        elif push is not None and isinstance(hint, hints.Reauthorize):
            push.subscriber.reauthorize(hint.route_id)
        elif push is not None and isinstance(hint, hints.Notified) and push.announcements.put(hint):
            self._start("notified", push.announcements.take_in)
        self._wake.set()

    def hints_lost(self) -> None:
        """Read all interest, and every user, because hints were lost."""
        self._has_missed = not self.is_taken_over
        self._reader.confirm_all()
        self._start("interest", self._interest.read_all)

    def history_lost(self) -> None:
        """Store everything again, because the stored answers are gone, and perhaps some names."""
        self._answers.clear()
        self._reader.read_all_now()
        self._start("history", self._takeover.restore_history)
        self._wake.set()

    # The loop

    async def _step(self, now: float) -> None:
        """Start the work that is due. A pause of the store comes first, then recovery after a doubted write, then the rest."""
        if now < self._store_back_at:
            return
        if (doubted := self._takeover.doubted) is not None:
            await self._guarded(self._takeover.recover(doubted))
            if self._takeover.doubted is not None:
                return
            self._start("interest", self._interest.read_all)
        if self._sweeps.take(now):
            await self._guarded(self._sweep(now))
        elif self._wanted.is_over:
            await self._guarded(self._forget_due(now))
        if self._parts.push is not None and not self._is_leaving:
            for account in self._parts.push.subscriber.take_due():
                self._start("subscribe", self._act, self._parts.push.subscriber, account)
        if not self._standing.is_read:
            if self._names.has_work():
                await self._guarded(self._standing.write_unread())
            return
        for names in self._parts.resolver.take_due(now):
            self._start("resolve", self._resolve, names)
        for read in self._schedule.take_due(now):
            self._start("read", self._read, read)

    async def _rest(self) -> None:
        """Sleep until work is due or a hint arrives."""
        now = self._clock.monotonic()
        wait = self._sweeps.wait(now)
        if self._standing.is_read:
            wait = min(wait, self._schedule.wait(now))
        if self._parts.push is not None:
            wait = min(wait, self._parts.push.subscriber.wait_s())
        wait = max(wait, self._store_back_at - now)
        if wait <= 0:
            await asyncio.sleep(0)
        else:
            await wait_until_set(self._clock, self._wake, wait)

    def _start(
        self, what: str, work: Callable[P, Coroutine[None, None, None]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Run `work` in a task. Does nothing before the take-over, which reads everything anyway, and after the lease."""
        # `work` is called in its task: a coroutine made here would never be awaited if the task is cancelled before it begins.
        if self._tasks is not None:
            start(self._tasks, self._wake_after(what, partial(work, *args, **kwargs)), f"{what}:{self.tenant_id}")

    async def _wake_after(self, what: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
        await self._counted(what, self._guarded(work()))
        self._wake.set()

    async def _counted(self, what: str, work: Coroutine[None, None, None]) -> None:
        self._running[what] += 1
        try:
            await work
        finally:
            self._running[what] -= 1

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        """Run one unit of work; only a lost lease is raised."""
        lease = self._ownership.lease
        try:
            await work
        except (StoreUnavailable, LeaseLost) as error:
            self._takeover.doubt(lease, error)
            self._store_back_at = self._clock.monotonic() + STORE_PAUSE_S
            self._parts.trouble.note(error)
        except Retryable as error:
            self._parts.trouble.note(error)
        except Exception:
            log.exception("tenant_work_failed", tenant_id=self.tenant_id)

    # Units of work

    async def _read(self, read: PlannedRead) -> None:
        traces = self._schedule.take_traces(read.users)
        with spans.READ.follows(traces[0], traces[1:]) if traces else spans.READ.begins() as span:
            span.note("relay.users", len(read.users))
            span.note_tenant(self.tenant_id)
            await self._read_and_judge(read, span)

    async def _read_and_judge(self, read: PlannedRead, span: TracedWork) -> None:
        result = await self._reader.read(read)
        if isinstance(result, ReadFailure):
            span.fail(type(result.error).__name__)
            try:
                status = await self._standing.judge(result.error, result.account)
            finally:  # even if judging fails: otherwise its users would never be read again
                self._reader.plan_again(result)
            await self._reader.note_unread(result, status)
        elif result is not None:
            span.note("relay.announced", len(result.announced))
            span.note("relay.changed", len(result.moved))
            self._parts.resolver.ask_again(result.missed)
            if self._parts.push is not None:
                self._parts.push.announcements.judge_read(result)
            self._standing.read_accepted(result.account)
            if result.trouble is not None:
                status = await self._standing.judge(result.trouble, result.account)
                await self._reader.note_unanswered(result.unanswered, status)

    async def _resolve(self, names: list[Name]) -> None:
        resolved = await self._parts.resolver.resolve(names)
        if resolved is not None:
            await self._parts.enforcer.enforce(resolved.users)
            self._reader.read_now(self._parts.resolver.needs_read(resolved.users))
            await self._reader.forget(resolved.orphans)
            self._standing.confirmed()

    async def _act(self, subscriber: Subscriber, account: UserId) -> None:
        try:
            self._reader.read_now(await subscriber.act(account))
        finally:
            self._schedule.cover(subscriber.book.covered)

    async def _sweep(self, now: float) -> None:
        """Do the regular work of each second."""
        await self._forget_due(now)
        if self._expired_edges.take(now):
            await self._interest.drop_expired()
            self._start("enforce", self._standing.reload_if_marked)
        if self._standing.is_read and self._expired_names.take(now):
            self._names.want_expired(self._clock.wall())
        self._reader.sweep(now)
        if self._standing.is_read:
            await self._reader.mark_stale(now)
        if self._parts.push is not None:
            await self._sweep_subscriptions(self._parts.push, now)
        if self._parts.contact.beats(now):
            if self._parts.contact.is_idle and self._standing.failures == 0:
                self._standing.confirmed()  # no user is read, so no read reports that all is well
            else:
                self._parts.contact.report()
        if self._standing.may_open_grants:
            self._start("reload", self._standing.reload)
        if due := self._standing.due_for_refresh():
            self._start("refresh-grants", self._standing.refresh, due)
        await self._standing.write()

    async def _forget_due(self, now: float) -> None:
        """Forget names that are no longer watched, and users that no name stands for."""
        while names := self._wanted.forget_due(now, SLICE):
            users = self._names.forget(names)
            if self._parts.push is not None:
                self._parts.push.subscriber.forget(users)
            await self._parts.directory.forget(names)
            await self._reader.forget(users)

    async def _sweep_subscriptions(self, push: Push, now: float) -> None:
        subscriber, schedule = push.subscriber, self._schedule
        users = schedule.covered + schedule.polled if self._standing.is_read else 0
        reconcile_s = await subscriber.sweep(now, users, self._watchers)
        schedule.cover(subscriber.book.covered, reconcile_s)
        await subscriber.publish(pushed=schedule.covered, polled=schedule.polled)

    async def _watchers(self) -> dict[UserId, int]:
        """Return user who has a presence at Microsoft -> number of edges that watch; empty when the tenant is not read."""
        found: dict[UserId, int] = {}
        users: Iterable[UserId] = self._names.users() if self._standing.is_read else ()
        async for some in in_slices(users):
            for user in some:
                if self._answers.of(user) not in _NOBODY_TO_SUBSCRIBE_TO and not self._answers.is_barred(user):
                    found[user] = sum(self._wanted.watchers(name) for name in self._names.names_of(user))
        return found
