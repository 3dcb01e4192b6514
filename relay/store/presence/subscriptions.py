"""The relay's subscriptions at Graph: route, secret and users of each. The record precedes the request to Graph.

A notification arrives at a *route*, the last part of the address that the relay registered at Graph. Each subscription
keeps its own route. The route contains the partition, so the webhook finds the record without knowing the tenant.
Client state and tenant of a route never change: a subscription with other values has another route.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from relay.core.presence import TenantId, UserId
from relay.errors import Bug, LeaseLost
from relay.store.server import keys
from relay.store.server.keys import new_route
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relay.store.presence.leases import Lease
    from relay.store.server.connection import Store

__all__ = ["Route", "Subscription", "Subscriptions", "new_client_state", "new_route"]

_PUT = Script("subscription_put")
_DROP = Script("subscription_drop")

_SECRET_BYTES: Final = 32


def new_client_state() -> str:
    """Return the secret of a new subscription, 43 characters; Graph allows 128."""
    return secrets.token_urlsafe(_SECRET_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One subscription as the relay wants it or has it.

    Attributes:
        route_id: the route, from `new_route`.
        tenant_id: the tenant of its users.
        account_id: the account whose grant created it.
        client_state: the secret that Graph repeats in each notification, from `new_client_state`.
        users: the users that it covers.
        subscription_id: Graph's id; empty until Graph has answered.
        certificate_id: id of the certificate that its notifications are encrypted for.
        expires: when Graph ends it unless it is renewed.
        created: when it was requested.
    """

    route_id: str
    tenant_id: TenantId
    account_id: UserId
    client_state: str = field(repr=False)
    users: tuple[UserId, ...] = field(repr=False)
    subscription_id: str = ""
    certificate_id: str
    expires: datetime
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The part of a subscription that the webhook needs; see `Subscription`."""

    route_id: str
    tenant_id: TenantId
    subscription_id: str
    client_state: str = field(repr=False)


class Subscriptions:
    """Records of subscriptions. They are presence, not custody: Graph's list still shows one without a record.

    Writes need the lease of the tenant's partition; LeaseLost means that nothing was written. All calls can be
    repeated. Records do not expire: the worker deletes them when their subscriptions end.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, lease: Lease, subscription: Subscription) -> None:
        """Save a subscription, new or changed."""
        route_id, tenant_id = subscription.route_id, subscription.tenant_id
        _demand(lease, tenant_id, route_id)
        await self._store.run(
            _PUT(
                *_fields(subscription),
                lease=keys.lease(lease.partition),
                subscription=keys.subscription(route_id),
                routes=keys.tenant_subscriptions(tenant_id),
                lease_value=lease.value,
                route=route_id,
            )
        )

    async def load(self, route_id: str) -> Subscription | None:
        """Return the subscription of a route; None when there is none, or the text is not a route."""
        if keys.partition_of_route(route_id) is None:
            return None
        return _subscription(route_id, await self._store.command("HGETALL", keys.subscription(route_id)))

    async def of(self, tenant_id: TenantId) -> list[Subscription]:
        """List the subscriptions of a tenant, oldest first; not a consistent snapshot."""
        routes = await self._routes(tenant_id)
        records = await self._store.many([("HGETALL", keys.subscription(route_id)) for route_id in routes])
        found = [_subscription(route_id, record) for route_id, record in zip(routes, records, strict=True)]
        return sorted((one for one in found if one is not None), key=lambda one: (one.created, one.route_id))

    async def route(self, route_id: str) -> Route | None:
        """Return the part of a subscription that the webhook needs; None when the route has none."""
        if keys.partition_of_route(route_id) is None:
            return None
        return _route(route_id, await self._store.command("HMGET", keys.subscription(route_id), *_ROUTE_FIELDS))

    async def routes(self, tenant_id: TenantId) -> list[Route]:
        """List the routes of all subscriptions of a tenant."""
        routes = await self._routes(tenant_id)
        values = await self._store.many([("HMGET", keys.subscription(one), *_ROUTE_FIELDS) for one in routes])
        found = [_route(route_id, value) for route_id, value in zip(routes, values, strict=True)]
        return [one for one in found if one is not None]

    async def certificates_in_use(self, tenant_ids: Iterable[TenantId]) -> Counter[str]:
        """Count the subscriptions of these tenants by the id of the certificate that they are encrypted for."""
        used: Counter[str] = Counter()
        for tenant_id in tenant_ids:
            routes = await self._routes(tenant_id)
            found = await self._store.many([("HGET", keys.subscription(one), "certificate") for one in routes])
            used.update(certificate.decode() for certificate in found if certificate)
        return used

    async def drop(self, lease: Lease, tenant_id: TenantId, route_id: str) -> None:
        """Delete the record of a subscription, if any. (`Presences.drop` deletes all of a tenant that left.)"""
        _demand(lease, tenant_id, route_id)
        await self._store.run(
            _DROP(
                lease=keys.lease(lease.partition),
                subscription=keys.subscription(route_id),
                routes=keys.tenant_subscriptions(tenant_id),
                lease_value=lease.value,
                route=route_id,
            )
        )

    async def _routes(self, tenant_id: TenantId) -> list[str]:
        found = await self._store.command("SMEMBERS", keys.tenant_subscriptions(tenant_id))
        return [route_id.decode() for route_id in found]


_ROUTE_FIELDS: Final = ("tenant", "subscription", "client_state")


def _demand(lease: Lease, tenant_id: TenantId, route_id: str) -> None:
    """Raise LeaseLost for a lease of another partition: it is not valid for this tenant."""
    partition = keys.partition_of(tenant_id)
    if partition != lease.partition:
        raise LeaseLost("The lease is not of this tenant's partition")
    if keys.partition_of_route(route_id) != partition:
        raise Bug("a route of another partition would never be found")


def _fields(subscription: Subscription) -> list[str]:
    record = {
        "tenant": subscription.tenant_id,
        "account": subscription.account_id,
        "client_state": subscription.client_state,
        "users": " ".join(subscription.users),
        "subscription": subscription.subscription_id,
        "certificate": subscription.certificate_id,
        "expires": _ms(subscription.expires),
        "created": _ms(subscription.created),
    }
    return [part for pair in record.items() for part in pair]


def _subscription(route_id: str, record: Mapping[bytes, bytes]) -> Subscription | None:
    if not record:
        return None
    text: dict[str, Any] = {name.decode(): value.decode() for name, value in record.items()}
    return Subscription(
        route_id=route_id,
        tenant_id=TenantId(text["tenant"]),
        account_id=UserId(text["account"]),
        client_state=text["client_state"],
        users=tuple(UserId(user_id) for user_id in text["users"].split()),
        subscription_id=text["subscription"],
        certificate_id=text["certificate"],
        expires=_instant(text["expires"]),
        created=_instant(text["created"]),
    )


def _route(route_id: str, values: list[bytes | None]) -> Route | None:
    tenant, subscription, client_state = values
    if tenant is None or client_state is None:
        return None
    return Route(
        route_id=route_id,
        tenant_id=TenantId(tenant.decode()),
        subscription_id=(subscription or b"").decode(),
        client_state=client_state.decode(),
    )


def _ms(instant: datetime) -> str:
    return str(round(instant.timestamp() * 1000))


def _instant(ms: str) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, tz=UTC)
