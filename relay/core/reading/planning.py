"""The poll plan of one tenant: which users are read together, and when.

Users are kept in pages of up to 650. Each page is read once an interval, and the pages are spread evenly over it. Users
who need an answer at once (new ones, dirty ones) are read ahead of their page, the smallest group first, so that a
single new user never waits behind a group of ten thousand. No user is in two reads at once, because the order of their
results would not be known.

There are two intervals. Users whose changes Graph announces are covered: they are in separate pages, which are read
less often. Announced users who must be read are gathered for a moment, so that the end of a meeting causes one read and
not fifty.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from relay.core.presence import UserId
from relay.core.reading.pages import PlannedRead, PollPage, ReadPage
from relay.core.reading.urgent import UrgentUsers

_GOLDEN: Final = (math.sqrt(5) - 1) / 2
"""Multiples of it, modulo one, spread any number of pages evenly over an interval."""
JITTER: Final = 0.05
"""Share of an interval by which a page may be read early, so that the pages of many tenants do not synchronise. Pages
are never late by intent, because suites are sent this interval."""


class PollPlan:
    """The plan of one tenant's reads. (Pure: every method takes `now`, in seconds of one monotonic clock.)

    A read that `next` returned is under way until `done` or `failed`.
    """

    def __init__(self, page_size: int, phase: float = 0.0, gather_s: float = 0.0) -> None:
        """Make an empty plan.

        Args:
            page_size: most users in a read.
            phase: 0 to 1, place of the first page in the interval; different for each tenant.
            gather_s: seconds that the first announced user waits for others.
        """
        self._page_size = page_size
        self._phase = phase
        self._made = 0
        self._page_of: dict[UserId, PollPage] = {}
        self._pages: dict[PollPage, None] = {}
        self._urgent = UrgentUsers()
        self._gathered: dict[UserId, None] = {}
        self._gather_s = gather_s
        self._gather_until = math.inf
        self._busy: set[UserId] = set()
        self._not_before = -math.inf
        self._later: list[tuple[float, tuple[UserId, ...]]] = []
        self._resting: set[UserId] = set()  # users in `_later`
        self._failures: dict[UserId, int] = {}  # user -> failures of reads ahead of pages
        self._inherited: dict[float, set[UserId]] = {}  # time of confirmation to an earlier owner -> users

    def __contains__(self, user: UserId) -> bool:
        return user in self._page_of

    def __iter__(self) -> Iterator[UserId]:
        return iter(self._page_of)

    def __len__(self) -> int:
        return len(self._page_of)

    @property
    def pages(self) -> int:
        """The number of reads in one round."""
        return len(self._pages)

    def load(self, *, covered: bool) -> tuple[int, int]:
        """Return the number of pages and of users that are covered, or that are not."""
        sizes = [len(page.users) for page in self._pages if page.covered is covered]
        return len(sizes), sum(sizes)

    @property
    def oldest_confirmation(self) -> float | None:
        """Monotonic time of the oldest confirmation among all users; None if there are none."""
        times = [page.confirmed for page in self._pages if page.confirmed is not None]
        return min([*times, *self._inherited], default=None)

    @property
    def inherited_at(self) -> float | None:
        """Monotonic time of the oldest confirmation that comes from an earlier owner; None once all are replaced."""
        return min(self._inherited, default=None)

    def inherit(self, users: Iterable[UserId], at: float) -> None:
        """Note users whose answers Graph confirmed to an earlier owner at `at`; minus infinity: at an unknown time."""
        if held := {user for user in users if user in self._page_of}:
            self._inherited.setdefault(at, set()).update(held)

    def _disinherit(self, users: Collection[UserId]) -> None:
        for held in self._inherited.values():
            held.difference_update(users)
        self._inherited = {at: held for at, held in self._inherited.items() if held}

    def overdue(self, now: float, age_s: float, *, covered: bool = False) -> list[PollPage]:
        """Return the covered or other pages that Graph has not answered for `age_s` seconds."""
        return [page for page in self._pages if page.covered is covered and now - page.since > age_s]

    def page_of(self, user: UserId) -> PollPage | None:
        """Return the page of a user; None for a user who is not read."""
        return self._page_of.get(user)

    def due_in(self, user: UserId, now: float) -> float | None:
        """Return seconds until the user's next read may begin, 0 while one is under way; None for a user who is not read."""
        page = self._page_of.get(user)
        if page is None:
            return None
        if user in self._busy:
            return 0.0
        due = now if user in self._urgent or user in self._gathered else page.due
        return max(0.0, max(due, self._not_before) - now)

    def add(self, users: Iterable[UserId], now: float, interval: float) -> None:
        """Add users; their first read is at once."""
        new = [user for user in users if user not in self._page_of]
        for user in new:
            self._place(user, self._page_with_room(now, interval, covered=False))
        self.mark_dirty(new)

    def settled(self) -> list[ReadPage]:
        """Return the pages that Graph has answered for, without users who are being read or must be read at once."""
        unsettled = {*self._busy, *self._gathered, *self._resting, *self._failures}
        settled = []
        for page in self._pages:
            if page.confirmed is not None and not page.failures and not page.again:
                users = (user for user in page.users if user not in unsettled and user not in self._urgent)
                settled.append(ReadPage(tuple(users), page.covered, page.confirmed, page.due))
        return settled

    def resume(self, pages: Iterable[ReadPage], now: float) -> None:
        """Continue with pages of an earlier owner, at their planned times. They must not contain users who are read here."""
        for page in pages:
            users = [user for user in page.users if user not in self._page_of]
            for start in range(0, len(users), self._page_size):
                resumed = PollPage({}, page.due, page.confirmed, now, page.covered)
                self._pages[resumed] = None
                for user in users[start : start + self._page_size]:
                    self._place(user, resumed)
            self.inherit(users, page.confirmed)

    def read_within(self, interval: float, *, covered: bool) -> None:
        """Read each covered or other page within `interval` seconds of its last confirmation."""
        for page in self._pages:
            if page.covered is covered and page.confirmed is not None:
                page.due = min(page.due, page.confirmed + interval)

    def move(self, users: Iterable[UserId], now: float, interval: float, *, covered: bool) -> list[UserId]:
        """Make users covered, or no longer covered, and read them at once; return those whose interval changed.

        Args:
            users: the users; those who are not read at all are ignored.
            now: the present.
            interval: their new interval in seconds.
            covered: whether they become covered.
        """
        moved = []
        for user in users:
            old = self._page_of.get(user)
            if old is None or old.covered is covered:
                continue
            self._displace(user, old)
            self._place(user, self._page_with_room(now, interval, covered=covered, confirmed=old.confirmed))
            moved.append(user)
        self.mark_dirty(moved)
        return moved

    def remove(self, users: Collection[UserId]) -> None:
        """Stop reading these users; reads under way are not stopped."""
        self._disinherit(users)
        for user in users:
            page = self._page_of.pop(user, None)
            if page is None:
                continue
            self._displace(user, page)
            self._urgent.discard(user)
            self._gathered.pop(user, None)
            self._resting.discard(user)
            self._failures.pop(user, None)

    def mark_dirty(self, users: Iterable[UserId]) -> None:
        """Read these users at once, as one group."""
        self._urgent.add(user for user in users if user in self._page_of)

    def mark_announced(self, users: Iterable[UserId], now: float) -> None:
        """Read these users soon, together with others who are announced meanwhile."""
        new = [user for user in users if user in self._page_of and user not in self._urgent]
        if new and not self._gathered:
            self._gather_until = now + self._gather_s
        self._gathered.update(dict.fromkeys(new))

    def hold(self, users: Iterable[UserId]) -> list[UserId]:
        """Exclude users from reads until `let_go`, while a notification of them is accepted; return those who are held.

        Users who are being read are not held: the order of that read and the notification is not known.
        """
        held = [user for user in users if user not in self._busy and user in self._page_of]
        self._busy.update(held)
        return held

    def let_go(self, users: Iterable[UserId]) -> None:
        """End `hold` for these users."""
        self._busy.difference_update(users)

    def mark_all(self, now: float) -> None:
        """Read all users at once, because the held answers may be wrong. Small groups still come first."""
        for page in self._pages:
            page.due = min(page.due, now)
            page.again = page.reading

    def pause(self, until: float) -> None:
        """Read nothing before `until`."""
        self._not_before = max(self._not_before, until)

    def next(self, now: float) -> PlannedRead | None:
        """Return the read to make now, if any: urgent users first, then the page that has been due for longest."""
        if now < self._not_before:
            return None
        if now >= self._gather_until:
            self._end_gathering()
        for at, again in [later for later in self._later if later[0] <= now]:
            self._later.remove((at, again))
            self._resting.difference_update(again)
            self.mark_dirty(again)
        users = self._urgent.take(self._page_size, self._busy)
        if users:
            self._busy.update(users)
            return PlannedRead(tuple(users), None, now, max(self._failures.get(user, 0) for user in users))
        due = [page for page in self._pages if page.due <= now and not page.reading]
        if not due:
            return None
        page = min(due, key=lambda page: page.due)
        page.reading, page.again = True, False
        # Users who are being read already get their answer from that read.
        members = tuple(user for user in page.users if user not in self._busy and user not in self._resting)
        self._busy.update(members)
        return PlannedRead(members, page, now, page.failures)

    def wait(self, now: float) -> float:
        """Return seconds until `next` may have something, 0 for now, infinity for never."""
        if self._urgent.waits(self._busy):
            return max(0.0, self._not_before - now)
        due = min((page.due for page in self._pages if not page.reading), default=math.inf)
        later = min((at for at, _ in self._later), default=math.inf)
        return max(0.0, max(min(due, later, self._gather_until), self._not_before) - now)

    def answered(self, read: PlannedRead, now: float) -> None:
        """Note that Graph answered and its answer is being stored. `done` or `failed` must follow."""
        if read.page is not None:
            read.page.since = now

    def done(
        self, read: PlannedRead, now: float, interval: float, jitter: float = 0.0, left: Collection[UserId] = ()
    ) -> None:
        """Note that Graph answered, and its answer is stored.

        Args:
            read: a read that `next` returned.
            now: the present.
            interval: the interval in force in seconds; the page is due again that long after this read was due.
            jitter: 0 to 1, the share of `JITTER` by which the page is early.
            left: users without an answer; see `part`.
        """
        self._release(read)
        answered = set(read.users).difference(left)
        self._disinherit(answered)
        for user in answered:
            self._failures.pop(user, None)
        if read.page is None:
            self._confirm(answered, now)
            return
        read.page.confirmed = read.page.since = now
        read.page.failures = 0
        if read.page.is_part:
            self._rejoin(read.page)
        self._come_again(read.page, read, now, interval * (1 - JITTER * jitter))

    def put_off(self, read: PlannedRead, now: float, interval: float) -> None:
        """Postpone a page to its next turn because all of its users are being read ahead of it. This confirms no user."""
        self._release(read)
        if read.page is not None:
            self._come_again(read.page, read, now, interval)

    def _come_again(self, page: PollPage, read: PlannedRead, now: float, step: float) -> None:
        # Counted from the due time, so that the time of reads does not add up; a late page is counted from its read.
        page.due = page.due + step if read.started - page.due < step / 2 else read.started + step
        if page.again:
            page.due, page.again = now, False

    def failed(self, read: PlannedRead, retry_at: float, unknown: Collection[UserId] = ()) -> None:
        """Note that Graph did not answer: read again at `retry_at` or later.

        Args:
            read: a read that `next` returned.
            retry_at: earliest time of the retry.
            unknown: its users without any answer. They come first in the retry, and are not read with their pages
                before.
        """
        self._release(read)
        if read.page is None:
            self._failures.update((user, read.failures + 1) for user in read.users if user in self._page_of)
            self._read_later(read.users, retry_at, unknown)
        else:
            read.page.due = retry_at
            read.page.failures += 1
            self._read_later(unknown, retry_at, unknown)

    def wait_for_budget(self, read: PlannedRead, until: float) -> None:
        """Postpone a read that was not made, because there is no budget for it before `until`."""
        self._release(read)
        if read.page is None:
            self.mark_dirty(read.users)
            self.pause(until)
        else:
            read.page.due = until

    def _read_later(self, users: Iterable[UserId], at: float, resting: Iterable[UserId]) -> None:
        """Read these users ahead of their pages, but not before `at`; other users do not wait for that."""
        group = tuple(user for user in users if user in self._page_of)
        if group:
            self._later.append((at, group))
            self._resting.update(self._page_of.keys() & resting)

    def part(self, read: PlannedRead, users: Iterable[UserId], retry_at: float) -> None:
        """Split users without an answer off from their page, which was answered; read them separately from `retry_at` on."""
        parted: dict[PollPage, PollPage] = {}
        for user in users:
            old = self._page_of[user]
            if old not in parted:
                parted[old] = PollPage(
                    {}, retry_at, old.confirmed, old.since, old.covered, failures=old.failures + 1, is_part=True
                )
                self._pages[parted[old]] = None
            self._displace(user, old)
            self._place(user, parted[old])

    def _confirm(self, users: Iterable[UserId], now: float) -> None:
        """Note that Graph answered for these users ahead of their pages."""
        answered = Counter(page for user in users if (page := self._page_of.get(user)) is not None)
        for page, count in answered.items():
            if count == len(page.users):
                page.confirmed = page.since = now
            elif page.confirmed is None:  # the others have no answer yet
                page.confirmed = now

    def _release(self, read: PlannedRead) -> None:
        self._busy.difference_update(read.users)
        if read.page is not None:
            read.page.reading = False

    def _rejoin(self, part: PollPage) -> None:
        """Move the users of a part, once answered, into a page that has room for all of them."""
        for page in self._pages:
            room = self._page_size - len(page.users)
            if page is not part and page.covered is part.covered and not page.reading and room >= len(part.users):
                if page.failures:
                    continue
                for user in list(part.users):
                    self._displace(user, part)
                    self._place(user, page)
                return

    def _place(self, user: UserId, page: PollPage) -> None:
        page.users[user] = None
        self._page_of[user] = page

    def _displace(self, user: UserId, page: PollPage) -> None:
        del page.users[user]
        if not page.users:
            self._pages.pop(page, None)

    def _end_gathering(self) -> None:
        gathered, self._gathered = self._gathered, {}
        self._gather_until = math.inf
        self.mark_dirty(gathered)

    def _page_with_room(
        self, now: float, interval: float, *, covered: bool, confirmed: float | None = None
    ) -> PollPage:
        newest = next((page for page in reversed(self._pages) if page.covered is covered), None)
        # Only the newest page is filled up; gaps in older ones close when their users return.
        if newest is not None and len(newest.users) < self._page_size:
            return newest
        for page in self._pages:
            if page.covered is covered and len(page.users) < self._page_size // 2:
                return page
        phase = (self._phase + self._made * _GOLDEN) % 1.0
        self._made += 1
        page = PollPage({}, now + interval * phase, confirmed, now, covered)
        self._pages[page] = None
        return page
