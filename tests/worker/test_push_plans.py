"""When the users worth covering are planned: whatever is learned while a plan is made has the next one made at once."""

from __future__ import annotations

from collections.abc import Mapping

from relay.core.presence import UserId
from relay.worker.push.book import SubscriptionBook
from relay.worker.push.coverage import CoveragePlanner
from tests.support.clock import SteppedClock

ADA, BEN, RELAY, SECOND = UserId("ada"), UserId("ben"), UserId("relay"), UserId("second")
SOON_S = 1.0


class Counter:
    """Counts watchers, and how often it was asked."""

    def __init__(self, *users: UserId) -> None:
        self.users: Mapping[UserId, int] = dict.fromkeys(users, 1)
        self.asked = 0

    async def __call__(self) -> Mapping[UserId, int]:
        self.asked += 1
        return self.users


def planner(book: SubscriptionBook, accounts: list[UserId]) -> CoveragePlanner:
    return CoveragePlanner(book, lambda: accounts, 650, SteppedClock(is_stopped=True))


async def test_users_who_are_read_while_their_watchers_are_counted_are_covered_with_the_next_sweep():
    """The count takes turns with the reads: a user counted before the read ended is left out of that plan."""
    book = SubscriptionBook()
    plans = planner(book, [RELAY])

    async def too_early() -> Mapping[UserId, int]:
        plans.note_read([ADA, BEN], moved=[ADA, BEN])
        return {}

    await plans.plan_if_due(0.0, 2, too_early)
    assert book.of(RELAY).standing.wanted == ()

    await plans.plan_if_due(SOON_S, 2, Counter(ADA, BEN))
    assert set(book.of(RELAY).standing.wanted) == {ADA, BEN}


async def test_where_nothing_was_learned_no_plan_is_made_for_a_while():
    plans, count = planner(SubscriptionBook(), [RELAY]), Counter(ADA)
    plans.note_read([ADA], moved=[ADA])
    await plans.plan_if_due(0.0, 1, count)
    await plans.plan_if_due(SOON_S, 1, count)
    plans.note_read([ADA], moved=[])  # again: nothing new
    await plans.plan_if_due(2 * SOON_S, 1, count)
    assert count.asked == 1
    await plans.plan_if_due(60.0, 1, count)
    assert count.asked == 2


async def test_users_and_accounts_that_come_have_a_plan_made_at_once():
    accounts = [RELAY]
    plans, count = planner(SubscriptionBook(), accounts), Counter(ADA, BEN)
    await plans.plan_if_due(0.0, 1, count)
    await plans.plan_if_due(SOON_S, 2, count)
    assert count.asked == 2
    await plans.plan_if_due(2 * SOON_S, 2, count)
    assert count.asked == 2
    accounts.append(SECOND)
    await plans.plan_if_due(3 * SOON_S, 2, count)
    assert count.asked == 3
