"""The schedule of one tenant's reads: which users, when, and the polling interval that Graph's limit allows.

    users ──► PollPlan ──► take_due ──► the reader
                 ▲             │ RequestBudget: else later
                 └─ refused users, again after a while

Users whose changes Graph announces are covered, and read seldom; the others are polled.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.core.bucket import TokenBucket
from relay.core.presence import UserId
from relay.core.reading.budget import RequestBudget
from relay.core.reading.planning import PollPlan
from relay.core.reading.refused_ids import RefusedUsers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from relay.core.presence import Status
    from relay.core.reading.pages import PlannedRead, PollPage, ReadPage
    from relay.core.reading.refused_ids import Refused
    from relay.ops.clock import Clock
    from relay.worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSchedule:
    """The schedule of one user, for people.

    Attributes:
        is_covered: whether the user is read seldom, because Graph announces changes.
        next_read_s: in how many seconds the next read may begin; None for a user who is not read.
        confirmed_s: how long ago Graph answered for the user last, or since when the user waits for that.
        interval_s: seconds between two reads of the user.
        set_aside_s: for how long the user is not read because Graph calls the id bad; None for others.
    """

    is_covered: bool = False
    next_read_s: float | None = None
    confirmed_s: float | None = None
    interval_s: float = 0.0
    set_aside_s: float | None = None


class Scheduler:
    """The plan, the budget and the users set aside, of one tenant. Does no I/O but to wait for the budget.

    Attributes:
        plan: which users are read together, and when.
        budget: Graph's limit, and what is left of it.
        refused: users whose ids Graph refuses; they are in no page.
    """

    def __init__(self, settings: WorkerSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.budget = RequestBudget(settings.budget)
        share = max(1.0, settings.budget.allowed * settings.names_share)
        self._names_bucket = TokenBucket(share, share / settings.budget.window_s, clock.monotonic())
        self.plan = PollPlan(
            settings.page_size,
            random.random(),  # noqa: S311 - spreads load, guards nothing
            settings.gather.total_seconds(),
        )
        self.refused = RefusedUsers()
        self._covered: frozenset[UserId] = frozenset()
        self._reconcile_s = settings.reconcile_interval.total_seconds()
        self._announced: set[UserId] = set()  # announced, and not read since
        self._traces: dict[UserId, bytes] = {}  # of those announced whose notification is traced
        self._under_way = 0

    # Users

    def add(self, users: Iterable[UserId]) -> None:
        """Read these users, at once and from now on, but for those that Graph refuses."""
        now = self._clock.monotonic()
        new = [user for user in users if user not in self.refused]
        polled, covered = self.intervals(now)
        self.plan.add(new, now, polled)
        self.plan.move(self._covered.intersection(new), now, covered, covered=True)

    def settled(self) -> list[ReadPage]:
        """Return the pages that another owner can go on with: nobody is in them of whom a change was announced and not read."""
        return [page.without(self._announced) for page in self.plan.settled()]

    def resume(
        self,
        pages: Iterable[ReadPage],
        refused: Mapping[UserId, Refused],
        *,
        slow_down: float = 1.0,
        blocked_until: float = -math.inf,
    ) -> None:
        """Go on with what an earlier owner left, before anybody is read: with its pages, each as soon as that one would have read it.

        Args:
            pages: users who were read together.
            refused: users whose ids Graph refuses.
            slow_down: how many times slower than Graph's limit the tenant was read.
            blocked_until: until when Graph asked to wait.
        """
        now = self._clock.monotonic()
        self.budget.resume(slow_down, blocked_until, now)
        self.plan.pause(blocked_until)
        self.refused.resume(refused)
        self.plan.resume(pages, now)
        # Its settings may have been others.
        for covered, interval_s in zip((False, True), self.intervals(now), strict=True):
            self.plan.read_within(interval_s, covered=covered)

    def cover(self, users: Iterable[UserId], reconcile_s: float | None = None) -> None:
        """Read exactly these users seldom from now on, because Graph announces their changes.

        Args:
            users: covered ones. Those who come or go are read once at once.
            reconcile_s: seconds between two reads of each, as far as Graph's limit allows; None: as before.
        """
        if reconcile_s is not None:
            self._reconcile_s = reconcile_s
        before, self._covered = self._covered, frozenset(users)
        now = self._clock.monotonic()
        polled, covered = self.intervals(now)
        self.plan.move(before - self._covered, now, polled, covered=False)
        self.plan.move(self._covered - before, now, covered, covered=True)

    def remove(self, users: Collection[UserId]) -> None:
        """Read these users no longer."""
        self.plan.remove(users)
        self._announced.difference_update(users)
        self.take_traces(users)
        self.refused.forget(users)

    def set_aside(self, refused: dict[UserId, Status], now: float) -> set[UserId]:
        """Read these users no longer for a while, because Graph refuses their ids; return those it has refused before."""
        self.plan.remove(refused)
        self._announced.difference_update(refused)
        return self.refused.refuse(refused, now, self.intervals(now)[0])

    @property
    def users(self) -> list[UserId]:
        """Everybody who is read or set aside."""
        return [*self.plan, *self.refused]

    @property
    def covered(self) -> int:
        """The number of covered users who are read."""
        return self.plan.load(covered=True)[1]

    @property
    def polled(self) -> int:
        """The number of other users who are read."""
        return self.plan.load(covered=False)[1]

    @property
    def reads_nobody(self) -> bool:
        """True if no user is read."""
        return not len(self.plan)

    # Reads

    def take_due(self, now: float) -> Iterator[PlannedRead]:
        """Begin the reads that are due, as far as budget and open requests allow.

        Each is paid for and counts as under way; it is to be read, and given to `ended`.
        """
        while self._under_way < self._settings.reads_at_once:
            read = self.plan.next(now)
            if read is None:
                return
            if not read.users:
                self.plan.put_off(read, now, self.interval_of(read, now))
                continue
            wait = self.budget.take(self.budget.cost(len(read.users)), now)
            if wait > 0:
                self.plan.wait_for_budget(read, now + wait)
                return
            self._under_way += 1
            yield read

    def ended(self) -> None:
        """Count one read less as under way."""
        self._under_way -= 1

    def wait(self, now: float) -> float:
        """Return seconds until `take_due` may have something."""
        return math.inf if self._under_way >= self._settings.reads_at_once else self.plan.wait(now)

    def mark_announced(self, users: Iterable[UserId], trace: bytes = b"") -> int:
        """Read soon the users whose change Graph announced; return how many of them are read here at all.

        Args:
            users: who were announced.
            trace: of the notification, which the read goes on with; empty without one.
        """
        watched = {user for user in users if user in self.plan}
        if watched:
            if trace:
                self._traces.update(dict.fromkeys(watched, trace))
            self._announced |= watched
            self.plan.mark_announced(watched, self._clock.monotonic())
        return len(watched)

    def take_announced(self, users: Collection[UserId]) -> set[UserId]:
        """Return those of the users who were announced and not read since, and forget that."""
        announced = self._announced.intersection(users)
        self._announced -= announced
        return announced

    def take_traces(self, users: Iterable[UserId]) -> list[bytes]:
        """Return the traces of notifications that announced these users, each once, and forget them."""
        if not self._traces:
            return []
        return list(dict.fromkeys(trace for user in users if (trace := self._traces.pop(user, b""))))

    def restore_announced(self, users: Iterable[UserId]) -> None:
        """Undo `take_announced`: their read failed."""
        self._announced |= {user for user in users if user in self.plan}

    # Budget

    async def spend(self, users: int) -> None:
        """Return once the budget allows another read of so many users."""
        cost = self.budget.cost(users)
        while (wait := self.budget.take(cost, self._clock.monotonic())) > 0:
            await self._clock.sleep(wait)

    async def pay_for_names(self) -> None:
        """Return once the budget allows another request to resolve names.

        It counts like a read, and such requests have a share of their own: made-up names make reads no slower.
        """
        while (wait := self._names_bucket.wait(self._clock.monotonic())) > 0:
            await self._clock.sleep(wait)
        self._names_bucket.pay(1, self._clock.monotonic())
        await self.spend(1)

    def throttled(self, retry_after_s: float | None) -> None:
        """Pause: Graph asked the tenant to wait."""
        self.plan.pause(self.budget.throttled(self._clock.monotonic(), retry_after_s))

    # Intervals

    def intervals(self, now: float) -> tuple[float, float]:
        """Return the intervals of polled and of covered users; where the limit is too low for both, both are stretched alike."""
        polled, covered = self._settings.poll_interval.total_seconds(), self._reconcile_s
        rounds = [(*self.plan.load(covered=False), polled), (*self.plan.load(covered=True), covered)]
        stretch = self.budget.stretch(rounds, now)
        return polled * stretch, covered * stretch

    def interval_of(self, read: PlannedRead, now: float) -> float:
        """Return seconds between two reads of these users."""
        polled, covered = self.intervals(now)
        return covered if read.page is not None and read.page.covered else polled

    def longest_interval(self, now: float) -> float:
        """Return the longest polling interval now in force for this tenant, in seconds."""
        polled, covered = self.intervals(now)
        return covered if self.covered else polled

    def overdue(self, now: float) -> Iterator[PollPage]:
        """Yield the pages that went unanswered for so many intervals that their users are stale.

        Each is judged when its turn comes: it may be answered while those before it are dealt with.
        """
        for covered, interval_s in zip((False, True), self.intervals(now), strict=True):
            age_s = self._settings.stale_after_intervals * interval_s
            for page in self.plan.overdue(now, age_s, covered=covered):
                if now - page.since > age_s:
                    yield page

    def of(self, user: UserId, now: float) -> ReadSchedule:
        """Return the schedule of one user."""
        page, until = self.plan.page_of(user), self.refused.next_try(user)
        polled, covered = self.intervals(now)
        is_covered = page is not None and page.covered
        return ReadSchedule(
            is_covered=is_covered,
            next_read_s=self.plan.due_in(user, now),
            confirmed_s=None if page is None else now - (page.since if page.confirmed is None else page.confirmed),
            interval_s=covered if is_covered else polled,
            set_aside_s=None if until is None else max(0.0, until - now),
        )
