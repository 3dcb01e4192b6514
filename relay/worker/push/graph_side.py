"""Creates, renews, searches and deletes the subscriptions at Graph, and their records in the store.

Each subscription is recorded before it is requested from Graph, so that its notifications are accepted from the first
one on, and a new owner can adopt it.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from relay.core.push import subscription as rules
from relay.core.push.subscription import HeldSubscription
from relay.errors import AccessDenied, ConsentRequired, RelayError, RequestRefused
from relay.graph.push import subscriptions as graph
from relay.store.presence.subscriptions import Subscription, new_client_state, new_route
from relay.worker.push.metrics import STEPS

if TYPE_CHECKING:
    from datetime import timedelta

    from relay.core.presence import TenantId, UserId
    from relay.graph.push.settings import PushSettings
    from relay.worker.context import Resources
    from relay.worker.grants.pool import GrantPool
    from relay.worker.ownership import Ownership
    from relay.worker.push.book import GrantSubscription, SubscriptionBook

log = structlog.get_logger(__name__)

_PRESENCES: Final = "communications/presences"


class GraphSubscriptions:
    """Carries out one step for one grant. After each method, book, store and Graph agree, unless it raises.

    Raises (from each): StoreUnavailable, LeaseLost, HistoryLost: the records may differ from Graph's subscriptions.
    RelayError: Graph refused.
    """

    def __init__(
        self,
        tenant_id: TenantId,
        resources: Resources,
        ownership: Ownership,
        book: SubscriptionBook,
        pool: GrantPool,
        push: PushSettings,
    ) -> None:
        self._tenant_id = tenant_id
        self._clock = resources.clock
        self._policy = resources.settings.subscriptions
        self._announced_within_s = resources.settings.announced_within.total_seconds()
        self._records = resources.subscriptions
        self._ownership = ownership
        self._client = ownership.cloud.client
        self._book = book
        self._pool = pool
        self._push = push

    async def create(self, grant: GrantSubscription, users: tuple[UserId, ...]) -> None:
        """Subscribe to these users, unless there is a subscription to adopt."""
        if not grant.is_searched:
            await self.search(grant)
            if grant.standing.held is not None:
                return
        now = self._clock.wall()
        certificate = self._push.certificates.newest
        record = Subscription(
            route_id=new_route(self._tenant_id),
            tenant_id=self._tenant_id,
            account_id=grant.account_id,
            client_state=new_client_state(),
            users=users,
            certificate_id=certificate.certificate_id,
            expires=now + self._policy.life,
            created=now,
        )
        await self._records.put(self._ownership.lease, record)
        self._book.strays[record.route_id] = record
        wanted = graph.SubscriptionRequest(
            users=users,
            notification_url=self._push.url_base + record.route_id,
            client_state=record.client_state,
            certificate=certificate,
            expires=record.expires,
        )
        try:
            # Graph announces for as long as this token is valid.
            found = await graph.create(self._client, self._pool.of(grant.account_id, fresh=True), wanted)
        except (RequestRefused, AccessDenied):
            await self.drop(record)
            raise
        except RelayError:
            grant.is_searched = False  # it may exist: check Graph's list
            raise
        record = replace(record, subscription_id=found.subscription_id, expires=found.expires)
        await self._keep(grant, record)
        grant.standing = rules.created(grant.standing, held(record), self._clock.wall(), self._policy, chance())
        self._begin(grant, "created")
        log.info("subscribed", tenant_id=self._tenant_id, account_id=grant.account_id, users=len(users))

    async def renew(self, grant: GrantSubscription) -> bool:
        """Renew the held subscription; return whether Graph may have failed to announce changes before that."""
        one, record = grant.standing.held, grant.record
        assert one is not None
        assert record is not None
        newest = self._push.certificates.newest
        certificate = newest if record.certificate_id != newest.certificate_id else None
        missed = grant.must_read or grant.standing.failures > 0
        source = self._pool.of(grant.account_id, fresh=True)
        wanted = self._clock.wall() + self._policy.life
        expires = await graph.renew(self._client, source, one.subscription_id, wanted, certificate)
        grant.standing = rules.renewed(grant.standing, expires, self._clock.wall(), self._policy, chance())
        grant.must_read = False
        if missed:
            grant.read.clear()
        STEPS.add(1, "renewed")
        await self._keep(grant, replace(record, expires=expires, certificate_id=newest.certificate_id))
        return missed

    async def delete(self, grant: GrantSubscription) -> None:
        """Delete the held subscription; one that Graph does not delete counts as gone once it has expired."""
        one = grant.standing.held
        assert one is not None
        try:
            await graph.delete(self._client, self._pool.of(grant.account_id), one.subscription_id)
        except (ConsentRequired, RequestRefused, AccessDenied):
            grant.is_searched = False
        except RelayError:
            if one.expires > self._clock.wall():
                raise
        STEPS.add(1, "deleted")
        await self.lose(grant)

    async def search(self, grant: GrantSubscription) -> None:
        """Adopt the subscription that Graph lists for this account, if its record is known; delete any other of ours."""
        source = self._pool.of(grant.account_id)
        for found in await graph.list_all(self._client, source):
            if _PRESENCES not in found.resource or not found.notification_url.startswith(self._push.url_base):
                continue  # another program's: that program would create it again
            record = self._book.strays.get(found.notification_url.removeprefix(self._push.url_base))
            if record is not None and record.account_id == grant.account_id and grant.standing.held is None:
                record = replace(record, subscription_id=found.subscription_id, expires=found.expires)
                await self._records.put(self._ownership.lease, record)
                self.adopt(grant, record)
            else:
                await graph.delete(self._client, source, found.subscription_id)
                STEPS.add(1, "stray_deleted")
        for record in self._book.strays_of(grant):
            await self.drop(record)
        grant.is_searched = True

    async def leave(self, grant: GrantSubscription) -> None:
        """Delete all subscriptions of this account at Graph, because its tenant is leaving."""
        if self._book.strays_of(grant):
            await self.search(grant)
        if (one := grant.standing.held) is not None:
            await graph.delete(self._client, self._pool.of(grant.account_id), one.subscription_id)

    def adopt(self, grant: GrantSubscription, record: Subscription, renewal: timedelta | None = None) -> None:
        """Adopt a subscription of an earlier owner or attempt; `renewal`: see `rules.adopted`."""
        self._book.strays.pop(record.route_id, None)
        grant.record = record
        now = self._clock.wall()
        grant.standing = rules.adopted(grant.standing, held(record), now, self._policy, chance(), renewal)
        self._begin(grant, "adopted")
        log.info("subscription_adopted", tenant_id=self._tenant_id, account_id=grant.account_id)

    async def lose(self, grant: GrantSubscription) -> None:
        """Note that the subscription no longer exists."""
        record, grant.record = grant.record, None
        grant.standing = rules.gone(grant.standing, self._policy)
        self._book.refresh()
        if record is not None:
            await self.drop(record)

    async def drop(self, record: Subscription) -> None:
        """Delete a record whose subscription does not exist."""
        await self._records.drop(self._ownership.lease, self._tenant_id, record.route_id)
        self._book.strays.pop(record.route_id, None)

    async def write_again(self) -> None:
        """Store all records again, because the store lost history and perhaps some of them."""
        for grant in self._book:
            if grant.record is not None:
                await self._records.put(self._ownership.lease, grant.record)

    async def load(self) -> list[Subscription]:
        """Return the tenant's records."""
        return await self._records.of(self._tenant_id)

    async def _keep(self, grant: GrantSubscription, record: Subscription) -> None:
        grant.record = record
        await self._records.put(self._ownership.lease, record)
        self._book.strays.pop(record.route_id, None)

    def _begin(self, grant: GrantSubscription, outcome: str) -> None:
        grant.begin(self._announced_within_s)
        self._book.refresh()
        STEPS.add(1, outcome)


def held(record: Subscription) -> HeldSubscription:
    """Return the held subscription of a record."""
    return HeldSubscription(
        route_id=record.route_id,
        subscription_id=record.subscription_id,
        users=record.users,
        created=record.created,
        renew_at=record.expires,
        expires=record.expires,
    )


def chance() -> float:
    """Return a number from 0 to 1, which spreads renewals and retries."""
    return random.random()  # noqa: S311 - spreads load, guards nothing
