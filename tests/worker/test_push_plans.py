"""When the users worth covering are planned: whatever is learned while a plan is made has the next one made at once."""

from __future__ import annotations

from relay.core.presence import UserId
from relay.worker.push.book import SubscriptionBook
from relay.worker.push.coverage import CoveragePlanner
from tests.support.clock import SteppedClock

ADA, BEN, RELAY = UserId("ada"), UserId("ben"), UserId("relay")
SOON_S = 1.0


def planner(book: SubscriptionBook, *accounts: UserId) -> CoveragePlanner:
    return CoveragePlanner(book, lambda: accounts, 650, SteppedClock(is_stopped=True))


def test_users_who_are_read_while_their_watchers_are_counted_are_covered_with_the_next_sweep():
    """The count takes turns with the reads: a user counted before the read ended is left out of that plan."""
    book = SubscriptionBook()
    plans = planner(book, RELAY)
    assert plans.begin(0.0, users=2)
    plans.note_read([ADA, BEN], moved=[ADA, BEN])
    plans.plan(0.0, {})
    assert book.of(RELAY).standing.wanted == ()

    assert plans.begin(SOON_S, users=2)
    plans.plan(SOON_S, {ADA: 1, BEN: 1})
    assert set(book.of(RELAY).standing.wanted) == {ADA, BEN}


def test_where_nothing_was_learned_no_plan_is_made_for_a_while():
    plans = planner(SubscriptionBook(), RELAY)
    plans.note_read([ADA], moved=[ADA])
    assert plans.begin(0.0, users=1)
    plans.plan(0.0, {ADA: 1})
    assert not plans.begin(SOON_S, users=1)
    plans.note_read([ADA], moved=[])  # again: nothing new
    assert not plans.begin(2 * SOON_S, users=1)
    assert plans.begin(60.0, users=1)


def test_users_and_accounts_that_come_have_a_plan_made_at_once():
    accounts = [RELAY]
    plans = CoveragePlanner(SubscriptionBook(), lambda: accounts, 650, SteppedClock(is_stopped=True))
    assert plans.begin(0.0, users=1)
    plans.plan(0.0, {ADA: 1})
    assert plans.begin(SOON_S, users=2)
    plans.plan(SOON_S, {ADA: 1, BEN: 1})
    assert not plans.begin(2 * SOON_S, users=2)
    accounts.append(UserId("second"))
    assert plans.begin(3 * SOON_S, users=2)
