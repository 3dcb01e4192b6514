"""Microsoft's clock and ours differ by ten minutes, one way or the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from relay.core.presence import Source
from relay.core.push.subscription import SubscriptionPolicy
from relay.store.presence.subscriptions import Subscriptions
from tests.support.waiting import eventually
from tests.worker.conftest import Relay, WebhookTls
from tests.worker.test_push import ADA, BEN, POLICY, hooked

pytestmark = pytest.mark.long

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_clocks_that_differ_by_ten_minutes_cost_no_notification_and_no_renewal(
    relay: Relay, webhook_tls: WebhookTls, minutes: int
):
    cloud = relay.microsoft
    often = timedelta(milliseconds=500)
    async with hooked(relay, webhook_tls, subscriptions=replace(POLICY, renew_least=often, renew_most=often)) as push:
        tenant = await relay.onboard()  # first, for an id token that is ten minutes off is not trusted
        cloud.clock.ahead_s = minutes * 60.0
        async with relay.working(settings=push.settings):
            await relay.watch(tenant, ADA, BEN)
            await push.covers(tenant, 2)
            cloud.act(ADA, "call")
            assert (await push.shows(tenant, ADA, "Busy")).source is Source.NOTIFICATION
            await eventually(lambda: [event.what for event in push.lives[0].events].count("renewed") >= 2)
            cloud.act(BEN, "call")
            assert (await push.shows(tenant, BEN, "Busy")).source is Source.NOTIFICATION
            assert len(push.lives) == 1
            refused = [each for each in cloud.journal if "/subscriptions" in each.path and each.status >= 400]
            assert refused == []


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_with_clocks_that_differ_the_usual_renewal_comes_well_before_both_clocks_end(
    relay: Relay, webhook_tls: WebhookTls, minutes: int
):
    cloud = relay.microsoft
    usual = SubscriptionPolicy()
    async with hooked(relay, webhook_tls) as push:
        tenant = await relay.onboard()  # first, for an id token that is ten minutes off is not trusted
        cloud.clock.ahead_s = minutes * 60.0
        async with relay.working(settings=push.settings):
            await relay.watch(tenant, ADA)
            await push.covers(tenant, 1)
            [record] = await Subscriptions(relay.store).of(tenant)
            [life] = push.live
            # What Microsoft's side really does, and what ours believes.
            really = timedelta(seconds=life.expires_s - cloud.clock.now())
            assert really > usual.renew_most + 10 * MINUTE
            assert record.expires - datetime.now(UTC) > usual.renew_most + 10 * MINUTE
