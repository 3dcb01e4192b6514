"""Records of subscriptions: what the worker writes down and the webhook looks up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.core.presence import TenantId
from relay.errors import Bug, LeaseLost
from relay.store.presence import hints
from relay.store.presence.leases import Lease, Leases
from relay.store.presence.pipes import Inbox
from relay.store.presence.presences import Presences
from relay.store.presence.subscriptions import Route, Subscription, Subscriptions, new_client_state, new_route
from relay.store.server import keys
from relay.store.server.blocking import START_ID
from relay.store.server.connection import Store
from tests.store.samples import NOW, TENANT, tenant_in, user

P = keys.partition_of(TENANT)


def subscription(tenant: TenantId = TENANT, **changes: object) -> Subscription:
    made = Subscription(
        route_id=new_route(tenant),
        tenant_id=tenant,
        account_id=user(0),
        client_state=new_client_state(),
        users=tuple(user(n) for n in range(650)),
        certificate_id="2026-11",
        expires=NOW + timedelta(minutes=60),
        created=NOW,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


async def test_a_subscription_is_read_as_it_was_written(store: Store, lease: Lease) -> None:
    subscriptions, wanted = Subscriptions(store), subscription()
    await subscriptions.put(lease, wanted)
    assert await subscriptions.load(wanted.route_id) == wanted
    made = replace(wanted, subscription_id="graph's", expires=NOW + timedelta(minutes=90, milliseconds=7))
    await subscriptions.put(lease, made)
    assert await subscriptions.load(wanted.route_id) == made
    assert await subscriptions.of(TENANT) == [made]


async def test_a_tenants_subscriptions_are_listed_oldest_first_and_nobody_elses(store: Store, lease: Lease) -> None:
    subscriptions = Subscriptions(store)
    neighbour = next(other for skip in range(3) if (other := tenant_in(P, skip)) != TENANT)
    second, first = subscription(created=NOW + timedelta(seconds=1)), subscription()
    for one in (second, first, subscription(neighbour)):
        await subscriptions.put(lease, one)
    assert await subscriptions.of(TENANT) == [first, second]
    assert len(await subscriptions.of(neighbour)) == 1
    assert await subscriptions.of(tenant_in((P + 1) % 64)) == []


@pytest.mark.each_topology
async def test_the_webhook_finds_a_route_without_knowing_the_tenant(store: Store, lease: Lease) -> None:
    subscriptions, made = Subscriptions(store), subscription(subscription_id="graph's")
    await subscriptions.put(lease, made)
    expected = Route(
        route_id=made.route_id, tenant_id=TENANT, subscription_id="graph's", client_state=made.client_state
    )
    assert await subscriptions.route(made.route_id) == expected
    assert await subscriptions.routes(TENANT) == [expected]
    assert made.client_state not in repr(expected) + repr(made)


@pytest.mark.parametrize(
    "text", ["", "x", "07", "64-" + "a" * 32, "07-" + "A" * 32, "07-" + "a" * 31, "07-*", "٠٧-" + "a" * 32]
)
async def test_a_text_that_is_no_route_finds_nothing(store: Store, text: str) -> None:
    subscriptions = Subscriptions(store)
    assert await subscriptions.route(text) is None
    assert await subscriptions.load(text) is None
    with pytest.raises(ValueError, match="route"):
        keys.subscription(text)


def test_routes_are_all_different_and_name_their_partition() -> None:
    routes = {new_route(TENANT) for _ in range(100)}
    assert len(routes) == 100
    assert {keys.partition_of_route(route) for route in routes} == {P}


async def test_only_the_owner_of_the_partition_writes(store: Store, lease: Lease) -> None:
    subscriptions, made = Subscriptions(store), subscription()
    await subscriptions.put(lease, made)
    late = replace(lease, nonce="another")
    for attempt in (
        subscriptions.put(late, replace(made, subscription_id="x")),
        subscriptions.drop(late, TENANT, made.route_id),
    ):
        with pytest.raises(LeaseLost):
            await attempt
    assert await subscriptions.load(made.route_id) == made
    elsewhere = await Leases(store).acquire((P + 1) % 64, "worker-1", timedelta(minutes=1))
    assert elsewhere is not None
    with pytest.raises(LeaseLost):
        await subscriptions.put(elsewhere, made)
    with pytest.raises(Bug):
        await subscriptions.put(lease, replace(made, route_id=new_route(tenant_in((P + 1) % 64))))


async def test_a_dropped_one_is_gone_and_may_be_dropped_again(store: Store, lease: Lease, raw: Redis) -> None:
    subscriptions, made, other = Subscriptions(store), subscription(), subscription()
    await subscriptions.put(lease, made)
    await subscriptions.put(lease, other)
    for _ in range(2):
        await subscriptions.drop(lease, TENANT, made.route_id)
    assert await subscriptions.of(TENANT) == [other]
    assert not await raw.exists(keys.subscription(made.route_id))


@pytest.mark.each_topology
async def test_a_tenant_that_left_leaves_none_behind(store: Store, lease: Lease, raw: Redis) -> None:
    subscriptions = Subscriptions(store)
    neighbour = next(other for skip in range(3) if (other := tenant_in(P, skip)) != TENANT)
    for one in (subscription(), subscription(), subscription(neighbour)):
        await subscriptions.put(lease, one)
    await Presences(store).drop(lease, TENANT)
    assert await subscriptions.of(TENANT) == []
    assert len(await subscriptions.of(neighbour)) == 1
    assert len(await raw.keys("*subscription*")) == 2


async def test_certificates_in_use_are_counted(store: Store, lease: Lease) -> None:
    subscriptions = Subscriptions(store)
    for name in ("old", "new", "new"):
        await subscriptions.put(lease, subscription(certificate_id=name))
    assert await subscriptions.certificates_in_use([TENANT, tenant_in((P + 1) % 64)]) == {"old": 1, "new": 2}


async def test_notifications_beyond_a_tenants_share_are_left_out_and_the_worker_learns_of_it(
    store: Store, lease: Lease
) -> None:
    inbox = Inbox(store)
    many = hints.Notified(TENANT, "07-route", (b"{}",) * 600)
    await inbox.append(many, many)
    found = await inbox.read({P: START_ID}, timedelta(milliseconds=20))
    assert [entry.hint for entry in found] == [many]
    assert await inbox.save(lease, found[-1].position) == {TENANT}
    await inbox.append(many)
    assert len(await inbox.read({P: found[-1].position}, timedelta(milliseconds=20))) == 1
    await inbox.aclose()
