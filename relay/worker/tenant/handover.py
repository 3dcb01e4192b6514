"""The handover of one tenant: left behind by an owner that stops in order, and gone on from by the next one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from relay.core.reading.pages import ReadPage
from relay.core.reading.refused_ids import Refused
from relay.store.presence.handovers import HandedPage, HandedRefusal, Handover

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from relay.core.presence import UserId
    from relay.ops.clock import Clock
    from relay.worker.tenant.parts import Parts


@dataclass(frozen=True, slots=True)
class StoreTime:
    """The store's clock as this worker's monotonic one has it: the only clock that two owners share.

    An answer takes time, in which the store's clock goes on. So of two bounds the one is taken that makes what is handed over older:
    then nobody is read later than is right.

    Attributes:
        ahead_s: how many seconds the store's clock is ahead of the monotonic one, at most for who leaves, at least for who goes on.
    """

    ahead_s: float

    @classmethod
    def known(cls, store_ms: int, at: float) -> StoreTime:
        """Return the clock from a time of the store's; `at`: when it answered for who leaves, when it was asked for who goes on."""
        return cls(store_ms / 1000 - at)

    def ms(self, instant: float) -> int:
        """Return an instant of the monotonic clock as the store's ms since 1970; one of long ago, or never, as 0."""
        return max(0, int((instant + self.ahead_s) * 1000)) if instant > float("-inf") else 0

    def instant(self, ms: int) -> float:
        """Return the store's ms since 1970 as an instant of the monotonic clock."""
        return ms / 1000 - self.ahead_s


def digest(settings: Mapping[str, str]) -> str:
    """Return what tells a tenant's settings from any others."""
    return hashlib.sha256(repr(sorted(settings.items())).encode()).hexdigest()[:32]


def leave_behind(parts: Parts, fence: int, time: StoreTime, clock: Clock) -> Handover:
    """Return what the next owner goes on from; to be called when nothing is accepted any more.

    Users of whom anything is under way, or whose subscription may have missed something, are in no page.
    """
    answers, schedule = parts.books.answers, parts.schedule
    pages = schedule.settled()
    renewals: Mapping[UserId, float] = {}
    unsure: Collection[UserId] = ()
    if parts.push is not None:
        renewals, unsure = parts.push.subscriber.left_behind()
    now, users = clock.monotonic(), [user for page in pages for user in page.users]
    unsettled = {*unsure, *answers.doubted(users)}
    settled = [page.without(unsettled) for page in pages]
    return Handover(
        fence=fence,
        settings=digest(parts.standing.tenant.settings),
        pages=tuple(
            HandedPage(page.users, page.covered, time.ms(page.confirmed), time.ms(page.due))
            for page in settled
            if page.users
        ),
        unseen=tuple(answers.unseen(users)),
        refused=tuple(
            HandedRefusal(user, one.in_a_row, None if one.not_before is None else time.ms(one.not_before))
            for user, one in schedule.refused.known().items()
        ),
        renewals={account: time.ms(now + in_s) for account, in_s in renewals.items()},
        slow_down=schedule.budget.slow_down(now),
        blocked_until_ms=time.ms(schedule.budget.blocked_until()),
    )


def go_on(parts: Parts, handover: Handover, time: StoreTime, known: Collection[UserId]) -> set[UserId]:
    """Go on with what a former owner left behind; return the users who need not be read at once.

    Args:
        parts: of the tenant, whose names and answers are loaded, and nobody of whom is read yet.
        handover: as it was left.
        time: the store's clock.
        known: the tenant's users.
    """
    answers, schedule = parts.books.answers, parts.schedule
    among = set(known)
    resumed = {user for page in handover.pages for user in page.users if user in among and answers.is_confirmed(user)}
    schedule.resume(
        [
            ReadPage(
                tuple(user for user in page.users if user in resumed),
                page.covered,
                time.instant(page.confirmed_ms),
                time.instant(page.due_ms),
            )
            for page in handover.pages
        ],
        {
            one.user_id: Refused(one.in_a_row, None if one.not_before_ms is None else time.instant(one.not_before_ms))
            for one in handover.refused
            if one.user_id in among
        },
        slow_down=handover.slow_down,
        blocked_until=time.instant(handover.blocked_until_ms),
    )
    answers.resume(resumed.difference(handover.unseen))
    return resumed


def renewals(handover: Handover | None, time: StoreTime, clock: Clock) -> dict[UserId, timedelta]:
    """Return account -> in how long to renew its subscription, of those that were as they should be."""
    if handover is None:
        return {}
    now = clock.monotonic()
    return {account: timedelta(seconds=time.instant(ms) - now) for account, ms in handover.renewals.items()}
