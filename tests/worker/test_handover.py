"""A partition whose owner ends in order costs neither suites nor Graph anything: the next owner goes on where that one stopped."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace as replace_page
from redis.asyncio import Redis

from emulator import Fault
from relay.core.audit.events import OPERATOR
from relay.core.presence import Status, TenantId
from relay.core.shares import PartitionLoad
from relay.ops.clock import SYSTEM
from relay.store.presence.entries import TenantContact, render_contact
from relay.store.presence.handovers import Handover
from relay.store.presence.hints import Notified
from relay.store.presence.leases import Leases
from relay.store.presence.pipes import Inbox, InboxEntry
from relay.store.presence.subscriptions import new_route
from relay.store.server import keys
from relay.worker.cloud import Cloud
from relay.worker.context import Resources
from relay.worker.ownership import Ownership
from relay.worker.partition import OwnedPartition
from relay.worker.tenure import Tenure
from tests.graph.conftest import settings_for
from tests.support.waiting import eventually
from tests.worker.conftest import SETTINGS, SOON_STALE, Relay, WebhookTls
from tests.worker.test_push import Push, hooked
from tests.worker.test_takeover import said as reported

ADA, BEN, CHLOE = "ada@contoso.example", "ben@contoso.example", "chloe@contoso.example"
HOUR = timedelta(hours=1)
SELDOM = replace(SETTINGS, poll_interval=HOUR)
"""So that whoever is read, is read for another reason than that time has passed."""


@pytest.fixture
async def push(relay: Relay, webhook_tls: WebhookTls) -> AsyncIterator[Push]:
    async with hooked(relay, webhook_tls, poll_interval=HOUR) as push:
        yield push


def reads(relay: Relay, since: int = 0) -> list[set[str]]:
    """Return the users of each bulk read after so many requests."""
    relay.microsoft.journal.keep_ids = True
    return [set(one.ids or ()) for one in relay.microsoft.journal if "getPresences" in one.path and one.number > since]


def ids(relay: Relay, *names: str) -> set[str]:
    return {relay.microsoft.person(name).oid for name in names}


async def left_in_order(relay: Relay, *names: str) -> tuple[TenantId, int]:
    """Return a tenant whose owner has read these users and stopped in order, and the number of requests until then."""
    tenant = await relay.onboard()
    async with relay.working("former", SELDOM):
        await relay.watch(tenant, *names)
        for name in names:
            await eventually(lambda name=name: relay.sees(tenant, name, "Available"))
    return tenant, relay.microsoft.journal.total


async def read_next(relay: Relay, tenant: TenantId, since: int) -> list[set[str]]:
    """Return the reads of the next owner until it has read somebody new."""
    async with relay.working("next", SELDOM):
        await relay.watch(tenant, CHLOE)
        await eventually(lambda: any(ids(relay, CHLOE) <= each for each in reads(relay, since)))
        return reads(relay, since)


async def test_the_next_owner_reads_only_who_is_new(relay: Relay) -> None:
    relay.microsoft.journal.keep_ids = True
    tenant, since = await left_in_order(relay, ADA, BEN)
    assert await read_next(relay, tenant, since) == [ids(relay, CHLOE)]


async def test_the_next_owner_reads_as_soon_as_the_former_would_have(relay: Relay) -> None:
    relay.microsoft.journal.keep_ids = True
    tenant, since = await left_in_order(relay, ADA)
    async with relay.working("next", replace(SELDOM, poll_interval=timedelta(seconds=2))):
        await eventually(lambda: reads(relay, since) == [ids(relay, ADA)])
    assert await relay.sees(tenant, ADA, "Available")


async def test_after_an_owner_that_was_killed_everybody_is_read(relay: Relay) -> None:
    relay.microsoft.journal.keep_ids = True
    tenant, since = await left_in_order(relay, ADA, BEN)
    await relay.died(tenant)
    assert ids(relay, ADA, BEN) <= set().union(*await read_next(relay, tenant, since))


async def test_after_another_owner_in_between_everybody_is_read(relay: Relay, raw: Redis) -> None:
    relay.microsoft.journal.keep_ids = True
    tenant, since = await left_in_order(relay, ADA, BEN)
    await raw.incr(keys.fence(keys.partition_of(tenant)))  # one that was killed before it could read
    assert ids(relay, ADA, BEN) <= set().union(*await read_next(relay, tenant, since))


async def test_what_is_handed_over_is_not_believed_when_history_was_lost(relay: Relay, raw: Redis) -> None:
    relay.microsoft.journal.keep_ids = True
    tenant, since = await left_in_order(relay, ADA, BEN)
    await raw.set(keys.epoch(keys.partition_of(tenant)), "another.history")
    assert ids(relay, ADA, BEN) <= set().union(*await read_next(relay, tenant, since))


@pytest.mark.long
@pytest.mark.parametrize("value", [b"", b"\xff\xff", b"\x90", b"\x93\x01\xa1a\x91\x91\x00"])
async def test_what_no_release_has_handed_over_is_as_nothing(relay: Relay, raw: Redis, value: bytes) -> None:
    relay.microsoft.journal.keep_ids = True
    tenant, since = await left_in_order(relay, ADA, BEN)
    await raw.hset(keys.handover(keys.partition_of(tenant)), tenant, value)
    assert ids(relay, ADA, BEN) <= set().union(*await read_next(relay, tenant, since))


@pytest.mark.long
async def test_whoever_is_being_read_when_the_owner_ends_is_read_by_the_next(relay: Relay) -> None:
    relay.microsoft.journal.keep_ids = True
    tenant = await relay.onboard()
    async with relay.working("former", SELDOM):
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.add_fault(Fault(path="/v1.0/communications", latency_ms=60_000))
        await relay.watch(tenant, BEN)
        await eventually(lambda: relay.answer(tenant, BEN))  # it has a name, and is to be read
        await asyncio.sleep(0)
    relay.microsoft.faults.remove()
    since = relay.microsoft.journal.total
    found = await read_next(relay, tenant, since)
    assert set().union(*found) == ids(relay, BEN, CHLOE)


async def test_presence_handed_over_long_ago_is_called_stale_until_graph_confirms_it(relay: Relay, raw: Redis) -> None:
    tenant, _ = await left_in_order(relay, ADA)
    contact_ms = await made_older(raw, tenant, 40_000)
    relay.microsoft.add_fault(Fault(path="/v1.0/communications", latency_ms=3000))
    async with relay.working("next", SOON_STALE):
        said = await reported(relay, raw, tenant)
        assert (said.contact_ms, said.status) == (contact_ms, Status.STALE)
        assert await relay.sees(tenant, ADA, "Available")  # as it was: the tenant is stale, and not the user

        async def is_confirmed() -> bool:
            contact = await relay.presences.contact_of(tenant)
            return contact is not None and contact.contact_ms > contact_ms and contact.status is Status.NONE

        await eventually(is_confirmed)


async def test_contact_that_has_not_moved_seems_not_to_by_a_handover(relay: Relay, raw: Redis) -> None:
    tenant, _ = await left_in_order(relay, ADA)
    before = await relay.presences.contact_of(tenant)
    async with relay.working("next", SELDOM):
        said = await reported(relay, raw, tenant)
        assert before is not None
        assert (said.contact_ms, said.status) == (before.contact_ms, Status.NONE)


async def made_older(raw: Redis, tenant: TenantId, by_ms: int) -> int:
    """Make it as if the owner had stopped so much earlier, with intervals of 300 ms; returns the contact time."""
    key, codec = keys.handover(keys.partition_of(tenant)), msgspec.msgpack
    left = codec.decode(await raw.hget(key, tenant), type=Handover)
    pages = [
        replace_page(each, confirmed_ms=each.confirmed_ms - by_ms, due_ms=each.due_ms - by_ms) for each in left.pages
    ]
    await raw.hset(key, tenant, codec.encode(replace_page(left, pages=tuple(pages))))
    contact_ms = int(time.time() * 1000) - by_ms
    contact = TenantContact(tenant, contact_ms, 300, Status.NONE, 5000)
    await raw.set(keys.tenant_contact(tenant), render_contact(contact))
    return contact_ms


async def test_settings_that_changed_in_between_are_in_force_at_once(relay: Relay) -> None:
    relay.microsoft.journal.keep_ids = True
    tenant, since = await left_in_order(relay, ADA, BEN)
    await relay.tenants.change_settings(tenant, {"pass_out_of_office": "on"}, OPERATOR)
    assert ids(relay, ADA, BEN) <= set().union(*await read_next(relay, tenant, since))


async def test_a_change_announced_while_nobody_owns_the_partition_is_told(push: Push) -> None:
    relay = push.relay
    tenant = await relay.onboard()
    async with relay.working("former", push.settings):
        await relay.watch(tenant, ADA, BEN)
        await push.covers(tenant, 2)
    before = await Inbox(relay.store).last(keys.partition_of(tenant))
    relay.microsoft.act(ADA, "call")

    async def is_announced() -> bool:
        return await Inbox(relay.store).last(keys.partition_of(tenant)) != before

    await eventually(is_announced)
    since = relay.microsoft.journal.total
    async with relay.working("next", push.settings):
        await push.shows(tenant, ADA, "Busy")
        assert all(ids(relay, BEN).isdisjoint(each) for each in reads(relay, since))


async def test_a_change_announced_before_the_tenant_is_taken_up_is_told(push: Push) -> None:
    relay = push.relay
    tenant = await relay.onboard()
    async with relay.working("former", push.settings):
        await relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
    partition = keys.partition_of(tenant)
    async with Cloud(settings_for(relay.microsoft), relay.vault) as cloud:
        [taken] = (await Leases(relay.store).take([partition], "next", SETTINGS.lease)).taken
        assert taken.handed_over is not None
        assert taken.epoch is not None
        resources = Resources.of(relay.store, relay.vault, push.settings, "next", SYSTEM, wake_alerts=lambda: None)
        ownership = Ownership(resources, Tenure(taken.lease, time.monotonic(), SETTINGS.tenure), taken.epoch, cloud)
        roster = (await relay.tenants.rosters([partition]))[partition]
        owned = OwnedPartition(resources, ownership, taken.handed_over, roster, PartitionLoad(), taken.lease.fence - 1)
        running = asyncio.create_task(owned.run())
        await asyncio.sleep(0)  # it begins: its tenants are being loaded
        item = json.dumps({"resourceData": {"id": relay.microsoft.person(ADA).oid}}).encode()
        before = push.reads_of(ADA)
        owned.hint(InboxEntry(partition, b"9-9", Notified(tenant, new_route(tenant), (item,)), gap=False))
        await eventually(lambda: push.reads_of(ADA) > before)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_subscription_goes_on_without_being_asked_for(push: Push) -> None:
    relay = push.relay
    tenant = await relay.onboard()
    async with relay.working("former", push.settings):
        await relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
    since = relay.microsoft.journal.total
    async with relay.working("next", push.settings):
        await push.covers(tenant, 1)
        relay.microsoft.act(ADA, "call")
        await push.shows(tenant, ADA, "Busy")
        asked = [one for one in relay.microsoft.journal if one.number > since and "subscriptions" in one.path]
        assert not asked
    assert len(push.lives) == 1
