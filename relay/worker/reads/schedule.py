"""The schedule of one tenant's reads: which users, when, and the polling interval that Graph's limit allows.

    users ──► PollPlan ──► take_due ──► the reader
                 ▲             │ RequestBudget: otherwise later
                 └─ refused users, retried after a while

Users whose changes Graph announces are covered, and read less often; the others are polled.
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
    """The schedule of one user, for display.

    Attributes:
        is_covered: whether the user is read less often, because Graph announces changes.
        next_read_s: seconds until the next read may begin; None for a user who is not read.
        confirmed_s: seconds since Graph last answered for the user, or since the user began to wait for an answer.
        interval_s: seconds between two reads of the user.
        set_aside_s: seconds until the user is read again after Graph refused the id; None for other users.
    """

    is_covered: bool = False
    next_read_s: float | None = None
    confirmed_s: float | None = None
    interval_s: float = 0.0
    set_aside_s: float | None = None


class Scheduler:
    """The plan, the budget and the users set aside, of one tenant. Does no I/O; it only waits for the budget.

    Attributes:
        plan: the poll plan: which users are read together, and when.
        budget: Graph's limit, and the rest of it.
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
        self._announced: set[UserId] = set()  # announced users who were not read since
        self._traces: dict[UserId, bytes] = {}  # announced user -> trace of the notification
        self._under_way = 0

    # Users

    def add(self, users: Iterable[UserId]) -> None:
        """Start reading these users, except those that Graph refuses; the first read is at once."""
        now = self._clock.monotonic()
        new = [user for user in users if user not in self.refused]
        polled, covered = self.intervals(now)
        self.plan.add(new, now, polled)
        self.plan.move(self._covered.intersection(new), now, covered, covered=True)

    def settled(self) -> list[ReadPage]:
        """Return the pages that another owner can continue with, without users whose announced change was not read."""
        return [page.without(self._announced) for page in self.plan.settled()]

    def resume(
        self,
        pages: Iterable[ReadPage],
        refused: Mapping[UserId, Refused],
        *,
        slow_down: float = 1.0,
        blocked_until: float = -math.inf,
    ) -> None:
        """Continue with the pages of an earlier owner, each at the time planned there. Call it before any read.

        Args:
            pages: users who were read together.
            refused: users whose ids Graph refuses.
            slow_down: how many times slower than Graph's limit the tenant was read.
            blocked_until: end of the wait that Graph requested.
        """
        now = self._clock.monotonic()
        self.budget.resume(slow_down, blocked_until, now)
        self.plan.pause(blocked_until)
        self.refused.resume(refused)
        self.plan.resume(pages, now)
        # The earlier owner may have had other settings.
        for covered, interval_s in zip((False, True), self.intervals(now), strict=True):
            self.plan.read_within(interval_s, covered=covered)

    def cover(self, users: Iterable[UserId], reconcile_s: float | None = None) -> None:
        """Set the covered users, who are read less often because Graph announces their changes.

        Args:
            users: all covered users. Users who become covered or uncovered are read at once.
            reconcile_s: seconds between two reads of each, as far as Graph's limit allows; None: no change.
        """
        if reconcile_s is not None:
            self._reconcile_s = reconcile_s
        before, self._covered = self._covered, frozenset(users)
        now = self._clock.monotonic()
        polled, covered = self.intervals(now)
        self.plan.move(before - self._covered, now, polled, covered=False)
        self.plan.move(self._covered - before, now, covered, covered=True)

    def remove(self, users: Collection[UserId]) -> None:
        """Stop reading these users."""
        self.plan.remove(users)
        self._announced.difference_update(users)
        self.take_traces(users)
        self.refused.forget(users)

    def set_aside(self, refused: dict[UserId, Status], now: float) -> set[UserId]:
        """Set aside users whose ids Graph refuses; return those that it had refused before."""
        self.plan.remove(refused)
        self._announced.difference_update(refused)
        return self.refused.refuse(refused, now, self.intervals(now)[0])

    @property
    def users(self) -> list[UserId]:
        """All users who are read or set aside."""
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
    def due(self) -> int:
        """The number of users whose next read is due or under way."""
        now = self._clock.monotonic()
        return sum(self.plan.due_in(user, now) == 0 for user in self.plan)

    @property
    def reads_nobody(self) -> bool:
        """True if no user is read."""
        return not len(self.plan)

    # Reads

    def take_due(self, now: float) -> Iterator[PlannedRead]:
        """Return the reads that are due, as far as budget and open requests allow.

        Each is paid from the budget and counts as under way. Carry it out, then call `ended`.
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
        """Note that a read has ended."""
        self._under_way -= 1

    def wait(self, now: float) -> float:
        """Return seconds until `take_due` may return a read."""
        return math.inf if self._under_way >= self._settings.reads_at_once else self.plan.wait(now)

    def mark_announced(self, users: Iterable[UserId], trace: bytes = b"") -> int:
        """Read soon the users whose change Graph announced; return the number of those who are read here.

        Args:
            users: the announced users.
            trace: trace of the notification, which the read continues; empty without one.
        """
        watched = {user for user in users if user in self.plan}
        if watched:
            if trace:
                self._traces.update(dict.fromkeys(watched, trace))
            self._announced |= watched
            self.plan.mark_announced(watched, self._clock.monotonic())
        return len(watched)

    def take_announced(self, users: Collection[UserId]) -> set[UserId]:
        """Remove and return those of the users who were announced and not read since."""
        announced = self._announced.intersection(users)
        self._announced -= announced
        return announced

    def take_traces(self, users: Iterable[UserId]) -> list[bytes]:
        """Remove and return the traces of the notifications that announced these users, each once."""
        if not self._traces:
            return []
        return list(dict.fromkeys(trace for user in users if (trace := self._traces.pop(user, b""))))

    def restore_announced(self, users: Iterable[UserId]) -> None:
        """Undo `take_announced` after a failed read."""
        self._announced |= {user for user in users if user in self.plan}

    # Budget

    async def spend(self, users: int) -> None:
        """Return once the budget allows another read of this number of users."""
        cost = self.budget.cost(users)
        while (wait := self.budget.take(cost, self._clock.monotonic())) > 0:
            await self._clock.sleep(wait)

    async def pay_for_names(self) -> None:
        """Return once the budget allows another request to resolve names.

        It counts like a read. Such requests have a separate share, so that many invalid names do not slow reads down.
        """
        while (wait := self._names_bucket.wait(self._clock.monotonic())) > 0:
            await self._clock.sleep(wait)
        self._names_bucket.pay(1, self._clock.monotonic())
        await self.spend(1)

    def throttled(self, retry_after_s: float | None) -> None:
        """Pause all requests of the tenant, because Graph asked it to wait."""
        self.plan.pause(self.budget.throttled(self._clock.monotonic(), retry_after_s))

    # Intervals

    def intervals(self, now: float) -> tuple[float, float]:
        """Return the intervals of polled and of covered users. If the limit is too low, both grow by the same factor."""
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

        Each page is checked just before it is yielded, because Graph may answer for it meanwhile.
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
