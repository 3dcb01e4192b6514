"""Change notifications, from a person's device to a suite's console."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from relay.core.presence import TenantId
from suite.events import TenantStatus
from suite.values import Source, Status
from tests.e2e.conftest import Console, Edges
from tests.support.waiting import eventually
from tests.worker.conftest import Relay, WebhookTls
from tests.worker.test_push import Push, hooked

ADA, BEN, CHLOE = "ada@contoso.example", "ben@contoso.example", "chloe@contoso.example"


@asynccontextmanager
async def watching(
    relay: Relay, edges: Edges, tls: WebhookTls, **settings: Any
) -> AsyncIterator[tuple[Push, TenantId, Console]]:
    """A suite that watches two people whose changes Microsoft announces; polls alone would take an hour."""
    async with hooked(relay, tls, **settings) as push:
        tenant = await relay.onboard()
        async with (
            relay.working(settings=push.settings),
            edges.edge(),
            edges.suite(await edges.key(tenant), ADA, BEN) as console,
        ):
            await eventually(lambda: console.shows(ADA) == console.shows(BEN) == "Available")
            await push.covers(tenant, 2)
            yield push, tenant, console


async def test_a_console_shows_a_change_that_was_announced_and_how_it_came(
    relay: Relay, edges: Edges, webhook_tls: WebhookTls
):
    async with watching(relay, edges, webhook_tls) as (_, _, console):
        relay.microsoft.act(ADA, "call")
        await eventually(lambda: console.shows(ADA) == "Busy")
        assert console.presence(ADA).source is Source.NOTIFICATION


@pytest.mark.parametrize("numbered", [False, True], ids=["without numbers", "with numbers"])
async def test_a_notification_that_arrives_last_does_not_bring_an_older_presence_back(
    relay: Relay, edges: Edges, webhook_tls: WebhookTls, *, numbered: bool
):
    cloud = relay.microsoft
    async with watching(relay, edges, webhook_tls) as (push, _, console):
        cloud.set_switches(notification_sequence_numbers=numbered)
        push.faulty("delay", delay_s=1.0, count=1)
        cloud.act(ADA, "call")
        cloud.act(ADA, "hang_up")

        def delivered() -> int:
            return sum(
                sent.items for sent in cloud.notifications.log if sent.outcome == "delivered" and not sent.reason
            )

        await eventually(lambda: delivered() >= 2)
        cloud.act(BEN, "call")  # what comes after both is shown, so both were dealt with
        await eventually(lambda: console.shows(BEN) == "Busy")
        await eventually(lambda: console.shows(ADA) == "Available")
        assert console.saw(ADA)[-1] == "Available"


@pytest.mark.long
async def test_lost_notifications_cost_one_interval_and_no_subscription(
    relay: Relay, edges: Edges, webhook_tls: WebhookTls
):
    cloud = relay.microsoft
    quick = {"reconcile_interval": timedelta(seconds=1)}
    async with watching(relay, edges, webhook_tls, **quick) as (push, _, console):
        push.faulty("loss", probability=0.3)
        for action, raw in [("call", "Busy"), ("hang_up", "Available")] * 6:
            cloud.act(ADA, action)
            cloud.act(BEN, action)
            await eventually(lambda raw=raw: console.shows(ADA) == console.shows(BEN) == raw)  # type: ignore[misc]
        assert len(push.lives) == 1


@pytest.mark.long
async def test_no_grant_ever_has_two_subscriptions_and_a_tenant_that_leaves_none(
    relay: Relay, edges: Edges, webhook_tls: WebhookTls
):
    async with hooked(relay, webhook_tls, subscription_size=2) as push, relay.working(settings=push.settings):
        tenant = await relay.onboard()
        async with edges.edge(), edges.suite(await edges.key(tenant), ADA, BEN) as console:
            await push.covers(tenant, 2)
            await console.client.subscribe([CHLOE])
            await relay.onboard(BEN)  # a second grant
            await push.covers(tenant, 3)
            await console.client.unsubscribe([BEN])
            relay.microsoft.act(CHLOE, "call")
            await eventually(lambda: console.shows(CHLOE) == "Busy")
        await relay.tenants.remove(tenant)
        await eventually(lambda: not push.live)
    creators = {life.creator for life in push.lives}
    assert len(creators) == 2
    for creator in creators:
        own = sorted((life for life in push.lives if life.creator == creator), key=lambda life: life.created_s)
        for first, second in pairwise(own):
            assert first.ended_s is not None
            assert first.ended_s <= second.created_s


@pytest.mark.long
async def test_when_every_worker_is_gone_suites_are_told_soon_although_users_are_read_seldom(
    relay: Relay, edges: Edges, webhook_tls: WebhookTls
):
    edges.settings = replace(edges.settings, stale_grace=timedelta(milliseconds=500))
    beat = timedelta(milliseconds=300)
    async with hooked(relay, webhook_tls, heartbeat=beat) as push, edges.edge():
        tenant = await relay.onboard()
        async with edges.suite(await edges.key(tenant), ADA) as console:
            async with relay.working(settings=push.settings):
                await push.covers(tenant, 1)
                await eventually(lambda: console.shows(ADA) == "Available")
                await asyncio.sleep(4 * beat.total_seconds())  # for longer than a silence may last
                assert not _told(console, Status.STALE)
            await eventually(lambda: _told(console, Status.STALE))
            async with relay.working(settings=push.settings):
                await eventually(lambda: _told(console, Status.NONE))


def _told(console: Console, status: Status) -> bool:
    told = [event.status for event in console.events if isinstance(event, TenantStatus)]
    return bool(told) and told[-1] is status
