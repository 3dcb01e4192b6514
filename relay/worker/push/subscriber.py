"""Keeps one tenant's subscriptions at Graph as planned.

    watched users ──► CoveragePlanner ──► SubscriptionStanding of each grant ──► next_step ──► GraphSubscriptions
                                              ▲                                                    │
                                              └─────── created, renewed, gone, refused ◄───────────┘
    reads, notifications ──► Announcements ──► Watchdog ──► silent, loss

The rules are in `core.push`; this module carries them out. Presence is correct without subscriptions: users who are not
covered are polled at the full rate.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from relay.core.push import subscription as rules
from relay.core.push.subscription import Create, Delete, PushFault, Renew, Wait
from relay.core.push.watchdog import reconcile_after
from relay.errors import (
    AccessDenied,
    ConsentRequired,
    CredentialRejected,
    HistoryLost,
    LeaseLost,
    RelayError,
    Retryable,
    StoreUnavailable,
    SubscriptionExists,
    SubscriptionGone,
    SubscriptionRefused,
    WebhookUnreachable,
    support_fields,
)
from relay.graph.errors import GrantRefused
from relay.worker.push.book import SubscriptionBook
from relay.worker.push.coverage import CoveragePlanner
from relay.worker.push.graph_side import GraphSubscriptions, chance
from relay.worker.push.metrics import CHANGES, STEPS
from relay.worker.push.status import PushStatusWriter

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import timedelta

    from relay.core.presence import TenantId, UserId
    from relay.graph.push.settings import PushSettings
    from relay.worker.context import Resources
    from relay.worker.grants.pool import GrantPool
    from relay.worker.ownership import Ownership
    from relay.worker.push.book import GrantSubscription
    from relay.worker.push.coverage import CountWatchers

log = structlog.get_logger(__name__)

_LEAVE_S: Final = 10.0
"""Time to delete the subscriptions of a tenant that leaves; any others expire within the hour."""
_GLANCE_S: Final = 0.05
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Subscriber:
    """Keeps one tenant's subscriptions. The caller runs `act` in a separate task for each account that `take_due` returns.

    Attributes:
        book: the subscriptions; `book.covered` has the users whose changes Graph announces.
        coverage: plans which users to cover.
    """

    def __init__(
        self, tenant_id: TenantId, resources: Resources, ownership: Ownership, pool: GrantPool, push: PushSettings
    ) -> None:
        self._tenant_id = tenant_id
        self._settings = resources.settings
        self._policy = resources.settings.subscriptions
        self._clock = resources.clock
        self._pool = pool
        self._push = push
        self.book = SubscriptionBook()
        self.coverage = CoveragePlanner(self.book, lambda: pool.accounts, self._settings.subscription_size, self._clock)
        self._graph = GraphSubscriptions(tenant_id, resources, ownership, self.book, pool, push)
        self._status = PushStatusWriter(
            lambda status: resources.push_statuses.put(ownership.lease, tenant_id, status), self.book
        )

    # Life

    async def load(self, renewals: Mapping[UserId, timedelta]) -> None:
        """Adopt the subscriptions of an earlier owner. Call it after the pool is loaded.

        Args:
            renewals: account -> time until the renewal that an owner which stopped cleanly had planned.
        """
        now = self._clock.wall()
        for record in await self._graph.load():
            if record.account_id not in self._pool.accounts:
                await self._graph.drop(record)  # no grant can renew it, and its users are polled
                continue
            grant = self.book.of(record.account_id)
            if grant.record is not None and grant.record.route_id == record.route_id:
                continue  # adopted before, in a call that was interrupted
            if record.subscription_id and record.expires > now and grant.standing.held is None:
                self._graph.adopt(grant, record, renewals.get(record.account_id))
            else:
                self.book.strays[record.route_id] = record
                grant.doubted_from = now + self._policy.look_after  # suites may return, and it is adopted
        self.book.refresh()

    def left_behind(self) -> tuple[dict[UserId, float], set[UserId]]:
        """Return the state of the subscriptions for the next owner.

        Returns:
            account -> seconds until the renewal of its subscription, for sound subscriptions; and the users of all
            other subscriptions, whose changes may not have been announced.
        """
        now = self._clock.wall()
        sound: dict[UserId, float] = {}
        unsure: set[UserId] = set()
        for grant in self.book:
            if (one := grant.standing.held) is None:
                continue
            if grant.is_busy or grant.must_read or not rules.is_sound(grant.standing):
                unsure.update(one.users)
            else:
                sound[grant.account_id] = (one.renew_at - now).total_seconds()
        return sound, unsure

    async def write_again(self) -> None:
        """Store everything again, because the store lost history and perhaps the subscriptions."""
        await self._graph.write_again()
        self._status.forget()

    async def leave(self) -> None:
        """Delete the subscriptions of a tenant that is leaving, while its tokens are still available."""
        try:
            async with asyncio.timeout(_LEAVE_S):
                leaving = (self._leave(grant) for grant in self.book)
                for failed in await asyncio.gather(*leaving, return_exceptions=True):
                    if failed is not None:  # the tenant leaves anyway
                        log.error("subscription_orphaned", tenant_id=self._tenant_id, error=repr(type(failed)))
        except TimeoutError:
            log.warning("subscription_orphaned", tenant_id=self._tenant_id, error="no answer in time")

    async def finish(self) -> None:
        """Return when no step is under way: an interrupted step may leave a subscription at Graph."""
        for grant in list(self.book):
            while grant.is_busy:
                await self._clock.sleep(_GLANCE_S)

    async def _leave(self, grant: GrantSubscription) -> None:
        while grant.is_busy:  # the step under way may leave a subscription at Graph
            await self._clock.sleep(_GLANCE_S)
        try:
            await self._graph.leave(grant)
        except RelayError as error:
            log.warning("subscription_orphaned", tenant_id=self._tenant_id, error=type(error).__name__)

    # Coverage

    async def sweep(self, now: float, users: int, count: CountWatchers) -> float:
        """Plan coverage and check all subscriptions. Call it once a second.

        Args:
            now: the present, by the monotonic clock.
            users: number of watched users.
            count: counts the watchers, when a plan is due.

        Returns:
            Seconds between two reads of a covered user, shorter when changes go unannounced.
        """
        await self.coverage.plan_if_due(now, users, count)
        self._push.certificates.reload_if_changed()
        loss = 0.0
        for grant in self.book:
            self._look_after(grant, now)
            loss = max(loss, grant.watchdog.loss(now))
        self.book.refresh()
        usual, least = self._settings.reconcile_interval, self._settings.poll_interval
        return reconcile_after(loss, usual.total_seconds(), least.total_seconds())

    def covering(self, user: UserId) -> tuple[UserId, datetime] | None:
        """Return the account whose subscription covers the user, and its expiry unless renewed; None if not covered."""
        grant = self.book.covered.get(user)
        held = grant.standing.held if grant is not None else None
        return (grant.account_id, held.expires) if grant is not None and held is not None else None

    def forget(self, users: Iterable[UserId]) -> None:
        """Forget users who are no longer watched."""
        self.coverage.forget(users)

    def _look_after(self, grant: GrantSubscription, now: float) -> None:
        for announced, count in grant.watchdog.judged.items():
            CHANGES.add(count - grant.counted[announced], str(announced).lower())
            grant.counted[announced] = count
        if grant.record is not None and self._push.certificates.of(grant.record.certificate_id) is None:
            self._renew_now(grant)  # no notification can be opened until Graph has the new certificate
        if grant.standing.held is not None and grant.watchdog.is_silent(now):
            before = grant.standing
            grant.standing = rules.silent(grant.standing, self._clock.wall(), self._policy)
            if grant.standing.is_suspect and not before.is_suspect:
                STEPS.add(1, "silent")
                log.warning("notifications_silent", tenant_id=self._tenant_id, account_id=grant.account_id)

    # Steps

    def take_due(self) -> list[UserId]:
        """Return the accounts with a step that is due, and mark them busy. Pass each to `act`."""
        now = self._clock.wall()
        due = [grant for grant in self.book if not grant.is_busy and self._due_at(grant, now) <= now]
        for grant in due:
            grant.is_busy = True
        return [grant.account_id for grant in due]

    def wait_s(self) -> float:
        """Return seconds until `take_due` may return an account."""
        now = self._clock.wall()
        due = (self._due_at(grant, now) for grant in self.book if not grant.is_busy)
        return max(0.0, min(((at - now).total_seconds() for at in due if at < _NEVER), default=float("inf")))

    def _due_at(self, grant: GrantSubscription, now: datetime) -> datetime:
        """Return the time of the next step for a grant."""
        step = rules.next_step(grant.standing, now, self._policy)
        at = (step.until or _NEVER) if isinstance(step, Wait) else now
        if self.book.is_in_doubt(grant):
            at = min(at, max(grant.standing.not_before, grant.doubted_from))
        return at

    async def act(self, account_id: UserId) -> Collection[UserId]:
        """Carry out the due step for one account; return the users whose changes Graph may have failed to announce.

        Raises:
            LeaseLost, StoreUnavailable, HistoryLost: from the store. Errors of Graph are recorded and not raised.
        """
        grant = self.book.grants.get(account_id)
        if grant is None:
            return ()
        try:
            return await self._act(grant)
        except (LeaseLost, StoreUnavailable, HistoryLost):
            grant.is_searched = False  # the records may differ from Graph's subscriptions
            raise
        except RelayError as error:
            await self._refused(grant, error)
            return ()
        finally:
            grant.is_busy = False
            self.book.refresh()

    async def _act(self, grant: GrantSubscription) -> Collection[UserId]:
        held = grant.standing.held
        match rules.next_step(grant.standing, self._clock.wall(), self._policy):
            case Create(users):
                await self._graph.create(grant, users)
            case Renew():
                if await self._graph.renew(grant) and held is not None:
                    return held.users
            case Delete():
                await self._graph.delete(grant)
            case Wait():
                if self.book.is_in_doubt(grant):
                    await self._graph.search(grant)
        return ()

    async def _refused(self, grant: GrantSubscription, error: RelayError) -> None:
        if isinstance(error, SubscriptionGone):
            STEPS.add(1, "gone")
            await self._graph.lose(grant)
            return
        if isinstance(error, GrantRefused):
            self._pool.refused_by_graph(grant.account_id, error)
        if isinstance(error, SubscriptionExists):
            grant.is_searched = False
        fault = _fault(error)
        STEPS.add(1, fault.name.lower())
        if fault is not grant.standing.refusal:
            log.warning(
                "subscription_refused",
                tenant_id=self._tenant_id,
                account_id=grant.account_id,
                trouble=fault.name,
                error=str(error).replace(self._push.url_base, "…/"),
                **support_fields(error),
            )
        retry_after = error.retry_after if isinstance(error, Retryable) else None
        now = self._clock.wall()
        grant.standing = rules.refused(
            grant.standing, fault, now, self._policy, chance=chance(), retry_after=retry_after
        )

    def reauthorize(self, route_id: str) -> None:
        """Renew the subscription at this route, because Graph requires a fresh token."""
        grant = self.book.at(route_id)
        if grant is not None:
            self._renew_now(grant)

    def _renew_now(self, grant: GrantSubscription) -> None:
        grant.must_read = True
        grant.standing = rules.reauthorise(grant.standing, self._clock.wall())

    async def publish(self, *, pushed: int, polled: int) -> None:
        """Store the push status when it has changed; see `PushStatusWriter.write`."""
        await self._status.write(pushed=pushed, polled=polled)


def _fault(error: RelayError) -> PushFault:
    match error:
        case SubscriptionExists():
            return PushFault.TAKEN
        case SubscriptionRefused():
            return PushFault.REFUSED
        case WebhookUnreachable():
            return PushFault.WEBHOOK_UNREACHABLE
        case AccessDenied() | ConsentRequired():
            return PushFault.ACCESS_DENIED
        case Retryable() | CredentialRejected():
            return PushFault.UNREACHABLE
    return PushFault.NOT_UNDERSTOOD
