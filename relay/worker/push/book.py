"""The subscriptions of one tenant, one for each grant, as this worker knows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from relay.core.push.subscription import SubscriptionStanding
from relay.core.push.watchdog import ACCEPTABLE_LOSS, Watchdog
from relay.worker.push.metrics import SubscriptionCondition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.core.presence import UserId
    from relay.store.presence.subscriptions import Subscription

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class GrantSubscription:
    """One grant's subscription.

    Attributes:
        account_id: account of the grant.
        standing: state of the subscription.
        record: the store's record of the held subscription, or of the last one requested.
        watchdog: watchdog of the held subscription.
        read: its users who were read since it began. Graph should announce a user's changes only from that read on.
        is_searched: whether Graph's list of this account's subscriptions is known.
        is_busy: whether a request to Graph is under way.
        must_read: whether notifications may be lost until the next renewal, so that all users must be read after it.
        counted: announced or not -> number of the watchdog's changes that the metrics already contain.
        doubted_from: time to search for a subscription of an earlier owner, if no user is watched by then.
    """

    account_id: UserId
    standing: SubscriptionStanding = field(default_factory=SubscriptionStanding)
    record: Subscription | None = None
    watchdog: Watchdog = field(default_factory=Watchdog)
    read: set[UserId] = field(default_factory=set)
    is_searched: bool = False
    is_busy: bool = False
    must_read: bool = False
    counted: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    doubted_from: datetime = _LONG_AGO

    @property
    def size(self) -> int:
        """The number of users in the held subscription."""
        return len(self.standing.held.users) if self.standing.held is not None else 0

    def condition(self, now: float) -> SubscriptionCondition | None:
        """Return the condition of the subscription, `now` by the monotonic clock; None when no user should be in one."""
        if self.standing.refusal is not None:
            return SubscriptionCondition.REFUSED
        if self.standing.is_suspect:
            return SubscriptionCondition.SILENT
        if self.standing.held is None:
            return SubscriptionCondition.PENDING if self.standing.wanted else None
        is_lossy = self.watchdog.loss(now) > ACCEPTABLE_LOSS
        return SubscriptionCondition.LOSSY if is_lossy else SubscriptionCondition.HEALTHY

    def begin(self, announced_within_s: float) -> None:
        """Start a new watchdog. Each user is read once; only later changes count for or against the subscription."""
        self.watchdog = Watchdog(announced_within_s)
        self.counted = {True: 0, False: 0}
        self.read.clear()


class SubscriptionBook:
    """The subscriptions of all grants, and the records whose subscription may not exist.

    Attributes:
        grants: account -> its subscription.
        strays: route -> record of an earlier owner or attempt; Graph's answer is unknown.
        covered: user whose changes Graph announces -> the grant with the subscription.
    """

    def __init__(self) -> None:
        self.grants: dict[UserId, GrantSubscription] = {}
        self.strays: dict[str, Subscription] = {}
        self.covered: dict[UserId, GrantSubscription] = {}

    def __iter__(self) -> Iterator[GrantSubscription]:
        return iter(self.grants.values())

    def of(self, account_id: UserId) -> GrantSubscription:
        """Return the subscription of an account; make one for a new account."""
        return self.grants.setdefault(account_id, GrantSubscription(account_id))

    def refresh(self) -> None:
        """Update `covered` after a standing has changed."""
        self.covered = {user: grant for grant in self for user in grant.standing.covered}

    def at(self, route_id: str) -> GrantSubscription | None:
        """Return the grant with this webhook route."""
        return next((grant for grant in self if grant.record is not None and grant.record.route_id == route_id), None)

    def responsible_for(self, user: UserId) -> GrantSubscription | None:
        """Return the grant whose subscription should announce this user, on probation or not."""
        if user in self.covered:
            return self.covered[user]
        held = ((grant, grant.standing.held) for grant in self if grant.standing.is_suspect)
        return next((grant for grant, one in held if one is not None and user in one.users), None)

    def strays_of(self, grant: GrantSubscription) -> list[Subscription]:
        """Return the records of subscriptions requested with this grant for which Graph's answer is unknown."""
        return [record for record in self.strays.values() if record.account_id == grant.account_id]

    def is_in_doubt(self, grant: GrantSubscription) -> bool:
        """Return whether Graph may have a subscription of this grant whose answer was lost."""
        standing = grant.standing
        is_idle = standing.held is None and standing.wanted_since is None
        return is_idle and not grant.is_searched and bool(self.strays_of(grant))
