"""Plans which users to cover: at intervals, and when watched users come or go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from relay.core.presence import UserId
from relay.core.push import subscription as rules
from relay.core.push.coverage import Rates, assign_users, weight

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from relay.ops.clock import Clock
    from relay.worker.push.book import SubscriptionBook

CountWatchers: TypeAlias = Callable[[], Awaitable[Mapping[UserId, int]]]
"""Returns user who can be covered -> number of edges that watch the user."""
_PLAN_EVERY_S: Final = 30.0
"""Seconds between two regular plans."""


class CoveragePlanner:
    """Decides which users each grant's subscription should have. The rules are in `core.push.coverage`."""

    def __init__(
        self, book: SubscriptionBook, accounts: Callable[[], Collection[UserId]], size: int, clock: Clock
    ) -> None:
        """Begin without a plan.

        Args:
            book: the subscriptions, which get the planned users.
            accounts: returns the accounts of the usable grants, oldest first.
            size: users of one subscription.
            clock: the worker's clock.
        """
        self._book = book
        self._accounts = accounts
        self._size = size
        self._clock = clock
        self._rates = Rates()
        self._answered: set[UserId] = set()  # users who were read; only these are subscribed to
        self._has_news = False
        self._planned_at = float("-inf")
        self._planned_for = -1

    def note_read(self, users: Collection[UserId], moved: Iterable[UserId]) -> None:
        """Note a read: the users that Graph answered for, and those of them whose state changed."""
        if not self._answered.issuperset(users):
            self._answered.update(users)
            self._has_news = True
        self.note_moved(moved)

    def note_moved(self, moved: Iterable[UserId]) -> None:
        """Note users whose state changed: those who change often have more weight."""
        self._rates.changed(moved, self._clock.monotonic())

    def forget(self, users: Iterable[UserId]) -> None:
        """Forget users who are no longer watched."""
        gone = set(users)
        self._rates.forget(gone)
        self._answered -= gone

    async def plan_if_due(self, now: float, users: int, count: CountWatchers) -> None:
        """Assign users to the grants' subscriptions if a plan is due. The subscription of a dead grant is left to expire.

        Args:
            now: the present, by the monotonic clock.
            users: number of watched users.
            count: counts the watchers. Reads may end meanwhile.
        """
        if self._is_due(now, users):
            # Before the count: the count may miss a read that ends meanwhile, and that read then causes the next plan.
            self._planned_at, self._planned_for, self._has_news = now, users, False
            self._plan(now, await count())

    def _is_due(self, now: float, users: int) -> bool:
        return (
            self._has_news
            or users != self._planned_for
            or now - self._planned_at >= _PLAN_EVERY_S
            or set(self._accounts()) != self._book.grants.keys()
        )

    def _plan(self, now: float, watchers: Mapping[UserId, int]) -> None:
        book, usable = self._book, self._accounts()
        for account in book.grants.keys() - set(usable):
            if (record := book.grants.pop(account).record) is not None:
                book.strays[record.route_id] = record
        for account in usable:
            book.of(account)
        weights = {user: weight(count, self._rates.of(user, now)) for user, count in watchers.items()}
        # Grants in trouble last: users of most weight get a working one. Then the emptiest first, to replace few subscriptions.
        grants = sorted(book, key=lambda grant: (grant.standing.refusal is not None, grant.size))
        inside = {str(grant.account_id): grant.standing.held.users if grant.standing.held else () for grant in grants}
        chosen = assign_users(weights, inside, self._size)
        for grant in grants:
            grant.standing = rules.wanting(grant.standing, chosen[str(grant.account_id)], self._clock.wall())
