"""Whom suites may watch is held by the worker: who is not permitted is never read, and what is stored is replaced."""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis.asyncio import Redis

from relay.core.audit.events import OPERATOR
from relay.core.presence import Presence, Source, Status, TenantId, UserId
from relay.core.reading.ordering import Order
from relay.core.watching.permission import WATCH_DOMAINS, WATCH_NEVER, WATCH_ONLY
from relay.store.presence.enforcement import Enforcement
from relay.store.server import keys
from relay.worker.worker import Worker
from tests.support.waiting import eventually
from tests.worker.conftest import Relay
from tests.worker.inside import partition_of, parts_of

ADA, BEN, CHLOE = "ada@contoso.example", "ben@contoso.example", "chloe@contoso.example"


async def settle(relay: Relay, tenant: TenantId, **settings: str) -> None:
    """What the tenant's page does when somebody presses SAVE."""
    values = dict.fromkeys((WATCH_DOMAINS, WATCH_ONLY, WATCH_NEVER), "") | settings
    assert await relay.tenants.change_settings(tenant, values, OPERATOR) is not None


@pytest.fixture(autouse=True)
def ids_are_kept(relay: Relay) -> None:
    relay.microsoft.journal.keep_ids = True


async def has(relay: Relay, tenant: TenantId, name: str, status: Status) -> bool:
    return await relay.answer(tenant, name) is status


def read_of(relay: Relay, user: UserId) -> int:
    """In how many bulk reads Microsoft was asked for a user."""
    return sum(user in (entry.ids or ()) for entry in relay.microsoft.journal)


async def test_who_opted_out_is_never_read_by_whatever_name(relay: Relay):
    tenant = await relay.onboard()
    await settle(relay, tenant, **{WATCH_NEVER: ADA.upper()})
    ada = UserId(relay.microsoft.person(ADA).oid)
    async with relay.working():
        await relay.watch(tenant, ada, BEN)
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        await eventually(lambda: has(relay, tenant, ada, Status.NOT_PERMITTED))
        await relay.watch(tenant, f"sip:{ADA}")
        await eventually(lambda: has(relay, tenant, ADA, Status.NOT_PERMITTED))
        ben = UserId(relay.microsoft.person(BEN).oid)
        reads = read_of(relay, ben)
        await eventually(lambda: read_of(relay, ben) > reads + 2)
        assert read_of(relay, ada) == 0


async def test_a_change_takes_effect_both_ways_while_users_are_watched(relay: Relay):
    tenant = await relay.onboard()
    ada = UserId(relay.microsoft.person(ADA).oid)
    async with relay.working():
        await relay.watch(tenant, ADA, BEN, CHLOE)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await settle(relay, tenant, **{WATCH_NEVER: ada})
        await eventually(lambda: has(relay, tenant, ADA, Status.NOT_PERMITTED))
        assert await relay.sees(tenant, BEN, "Available")
        reads = read_of(relay, ada)
        await settle(relay, tenant, **{WATCH_ONLY: BEN})
        await eventually(lambda: has(relay, tenant, CHLOE, Status.NOT_PERMITTED))
        assert await has(relay, tenant, ADA, Status.NOT_PERMITTED)
        assert read_of(relay, ada) == reads
        await settle(relay, tenant, **{WATCH_DOMAINS: "contoso.example"})
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await eventually(lambda: relay.sees(tenant, CHLOE, "Available"))


async def test_a_new_owner_holds_what_was_changed_while_nobody_worked(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working("first"):
        await relay.watch(tenant, ADA, BEN)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
    await settle(relay, tenant, **{WATCH_NEVER: ADA})
    snapshot = await relay.presences.snapshot(tenant, await relay.watch(tenant, ADA, BEN))
    assert snapshot.is_held_back
    assert snapshot.answers == {}
    async with relay.working("second"):
        await eventually(lambda: has(relay, tenant, ADA, Status.NOT_PERMITTED))
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        assert await Enforcement(relay.store).pending(tenant) is None


async def test_other_settings_hold_nothing_back(relay: Relay):
    tenant = await relay.onboard()
    await settle(relay, tenant, pass_out_of_office="on")
    assert await Enforcement(relay.store).pending(tenant) is None


async def test_who_is_not_permitted_stays_so_when_the_consent_dies_and_when_history_is_lost(relay: Relay, raw: Redis):
    tenant = await relay.onboard()
    await settle(relay, tenant, **{WATCH_NEVER: ADA})
    async with relay.working():
        await relay.watch(tenant, ADA, BEN)
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        await eventually(lambda: has(relay, tenant, ADA, Status.NOT_PERMITTED))
        relay.microsoft.directory.revoke("presence-relay@contoso.example", access_tokens=True)
        await eventually(lambda: has(relay, tenant, BEN, Status.CONSENT_REQUIRED))
        assert await has(relay, tenant, ADA, Status.NOT_PERMITTED)
        await relay.onboard()
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        await raw.delete(keys.epoch(keys.partition_of(tenant)), keys.answers(tenant))
        await eventually(lambda: has(relay, tenant, ADA, Status.NOT_PERMITTED))
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        assert await has(relay, tenant, ADA, Status.NOT_PERMITTED)


async def test_an_observation_under_way_cannot_bring_a_presence_back(relay: Relay):
    """The last gate: whatever leads to it, a presence of somebody who is barred is not stored."""
    tenant = await relay.onboard()
    async with relay.working() as worker:
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        presence = await relay.answer(tenant, ADA)
        assert isinstance(presence, Presence)
        await settle(relay, tenant, **{WATCH_NEVER: ADA})
        await eventually(lambda: has(relay, tenant, ADA, Status.NOT_PERMITTED))
        for source in Source:
            refused = await _accept(worker, tenant, replace(presence, sequence_number="9" * 20, source=source))
            assert refused == {presence.user_id}
        assert await has(relay, tenant, ADA, Status.NOT_PERMITTED)


async def _accept(worker: Worker, tenant: TenantId, presence: Presence) -> frozenset[UserId]:
    owned, answers = partition_of(worker, tenant), parts_of(worker, tenant).books.answers
    changed = {presence.user_id: presence}
    order = Order(owned.lease.fence, 10**6)
    return await answers.accept(owned.lease, owned.ownership.epoch, order, changed, presence.source)
