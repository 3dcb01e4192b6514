"""The handover of one tenant: the state that an owner leaves when it stops cleanly, and its use by the next owner."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from relay.core.reading.pages import ReadPage
from relay.core.reading.refused_ids import Refused
from relay.store.presence.handovers import HandedPage, HandedRefusal, Handover

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from relay.core.presence import UserId
    from relay.ops.clock import Clock
    from relay.worker.store_clock import StoreClock
    from relay.worker.tenant.parts import Parts


def digest(settings: Mapping[str, str]) -> str:
    """Return a digest that identifies a tenant's settings."""
    return hashlib.sha256(repr(sorted(settings.items())).encode()).hexdigest()[:32]


def leave_behind(parts: Parts, fence: int, time: StoreClock, clock: Clock) -> Handover:
    """Return the state for the next owner. Call it when nothing is accepted any more.

    No page contains users with work under way, or users whose subscription may have missed changes.
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
            HandedPage(page.users, page.covered, time.ms_of(page.confirmed), time.ms_of(page.due))
            for page in settled
            if page.users
        ),
        unseen=tuple(answers.unseen(users)),
        refused=tuple(
            HandedRefusal(user, one.in_a_row, None if one.not_before is None else time.ms_of(one.not_before))
            for user, one in schedule.refused.known().items()
        ),
        renewals={account: time.ms_of(now + in_s) for account, in_s in renewals.items()},
        slow_down=schedule.budget.slow_down(now),
        blocked_until_ms=time.ms_of(schedule.budget.blocked_until()),
    )


def go_on(parts: Parts, handover: Handover, time: StoreClock, known: Collection[UserId]) -> set[UserId]:
    """Continue with the handover of a former owner; return the users who need not be read at once.

    Args:
        parts: the tenant's parts, with names and answers loaded, before any read.
        handover: the state that the former owner left.
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
                time.instant_of(page.confirmed_ms),
                time.instant_of(page.due_ms),
            )
            for page in handover.pages
        ],
        {
            one.user_id: Refused(
                one.in_a_row, None if one.not_before_ms is None else time.instant_of(one.not_before_ms)
            )
            for one in handover.refused
            if one.user_id in among
        },
        slow_down=handover.slow_down,
        blocked_until=time.instant_of(handover.blocked_until_ms),
    )
    answers.resume(resumed.difference(handover.unseen))
    return resumed


def renewals(handover: Handover | None, time: StoreClock, clock: Clock) -> dict[UserId, timedelta]:
    """Return account -> time until the renewal of its subscription, for the sound subscriptions of a handover."""
    if handover is None:
        return {}
    now = clock.monotonic()
    return {account: timedelta(seconds=time.instant_of(ms) - now) for account, ms in handover.renewals.items()}
