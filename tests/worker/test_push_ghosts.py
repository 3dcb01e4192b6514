"""Subscriptions that Microsoft says are not there, and that are in the way of new ones all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from relay.core.presence import Source, TenantId
from relay.core.push.subscription import PushFault
from relay.store.presence.subscriptions import Subscriptions
from tests.support.waiting import eventually
from tests.worker.conftest import EDGE, Relay, WebhookTls
from tests.worker.test_push import ADA, POLICY, Push, hooked

pytestmark = pytest.mark.long

REFUSALS = [("conflict_409", 409, PushFault.TAKEN), ("forbidden_403", 403, PushFault.REFUSED)]
RENEWED_AFTER = timedelta(milliseconds=500)


@asynccontextmanager
async def subscribed(
    relay: Relay, tls: WebhookTls, *, renewed_after: timedelta
) -> AsyncIterator[tuple[Push, TenantId]]:
    policy = replace(
        POLICY, renew_least=renewed_after, renew_most=renewed_after, retry_least=timedelta(milliseconds=200)
    )
    async with hooked(relay, tls, subscriptions=policy) as push:
        tenant = await relay.onboard()
        async with relay.working(settings=push.settings):
            await relay.watch(tenant, ADA)
            await push.covers(tenant, 1)
            yield push, tenant


def asked(push: Push, method: str) -> list[tuple[int, float]]:
    """Status and instant of the requests for subscriptions."""
    entries = push.relay.microsoft.journal
    return [(each.status, each.utc) for each in entries if each.method == method and "/subscriptions" in each.path]


async def changes_are_announced(push: Push, tenant: TenantId) -> None:
    """Change a user until a change comes as a notification: the read that follows a new subscription may show the first one."""
    sources = []
    for act, raw in (("call", "Busy"), ("hang_up", "Available")) * 2:
        push.relay.microsoft.act(ADA, act)
        sources.append((await push.shows(tenant, ADA, raw)).source)
        if sources[-1] is Source.NOTIFICATION:
            return
    raise AssertionError(sources)


@pytest.mark.parametrize(("switch", "status", "trouble"), REFUSALS)
async def test_users_of_a_ghost_are_polled_until_it_no_longer_is_in_the_way(
    relay: Relay, webhook_tls: WebhookTls, switch: str, status: int, trouble: PushFault
):
    async with subscribed(relay, webhook_tls, renewed_after=RENEWED_AFTER) as (push, tenant):
        relay.microsoft.set_switches(second_subscription=switch)
        relay.microsoft.end_subscription(push.live[0].id, haunts_s=3600)
        await push.reason_is(tenant, trouble)
        assert 404 in [found for found, _ in asked(push, "PATCH")]
        assert (await push.status(tenant)).polled == 1
        relay.microsoft.act(ADA, "call")
        assert (await push.shows(tenant, ADA, "Busy")).source is Source.POLL
        await eventually(lambda: [found for found, _ in asked(push, "POST")].count(status) >= 3)
        relay.microsoft.release_ghosts()
        await push.covers(tenant, 1)
        assert (await push.status(tenant)).reason == ""
        assert [life.ended_s is None for life in push.lives] == [False, True]

        refused = [at for found, at in asked(push, "POST") if found == status]
        pauses = [after - before for before, after in pairwise(refused)]
        # That each pause is longer than the last is core's rule; on a busy machine the first may come out longer.
        assert min(pauses) >= 0.2

        relay.microsoft.act(ADA, "hang_up")
        await push.shows(tenant, ADA, "Available")
        await changes_are_announced(push, tenant)


async def test_a_ghost_that_nobody_needs_any_more_is_forgotten_and_another_one_made_when_it_can_be(
    relay: Relay, webhook_tls: WebhookTls
):
    async with subscribed(relay, webhook_tls, renewed_after=timedelta(minutes=25)) as (push, tenant):
        relay.microsoft.end_subscription(push.live[0].id, haunts_s=3600)
        names = await relay.watch(tenant, ADA)
        await relay.interest.remove(tenant, EDGE, names)

        async def is_forgotten() -> bool:
            return not await Subscriptions(relay.store).of(tenant)

        await eventually(is_forgotten)
        assert [found for found, _ in asked(push, "DELETE")] == [404]
        await relay.watch(tenant, ADA)
        await push.reason_is(tenant, PushFault.TAKEN)
        relay.microsoft.release_ghosts()
        await push.covers(tenant, 1)
        await changes_are_announced(push, tenant)


async def test_a_subscription_that_ends_without_a_word_is_made_anew_at_its_renewal_and_its_users_read(
    relay: Relay, webhook_tls: WebhookTls
):
    async with subscribed(relay, webhook_tls, renewed_after=RENEWED_AFTER) as (push, tenant):
        push.faulty("silence")  # what happens now is only found by reading
        relay.microsoft.end_subscription(push.live[0].id)
        relay.microsoft.act(ADA, "call")
        await push.shows(tenant, ADA, "Busy")
        await eventually(lambda: [life.ended_s is None for life in push.lives] == [False, True])
        await push.covers(tenant, 1)


async def test_a_renewal_that_is_refused_leaves_the_subscription_and_is_tried_again(
    relay: Relay, webhook_tls: WebhookTls
):
    async with subscribed(relay, webhook_tls, renewed_after=RENEWED_AFTER) as (push, tenant):
        push.faulty("renewal_refused", status=403, count=2)
        await eventually(lambda: [found for found, _ in asked(push, "PATCH")].count(403) == 2)
        await eventually(lambda: [found for found, _ in asked(push, "PATCH")][-1] == 200)
        assert len(push.lives) == 1
        await changes_are_announced(push, tenant)  # perhaps after the read of all that follows a late renewal
