"""The way of notifications: which reach the inbox, which are dropped, and the answers to Graph."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from relay.graph.push.notifications import decrypt_notification
from relay.store.presence import hints
from relay.store.presence.subscriptions import new_client_state, new_route
from relay.webhook.receiver import ITEMS_PER_HINT
from tests.webhook import graph
from tests.webhook.conftest import ADA, CONTOSO, FABRIKAM, Hook


async def opened_in(hook: Hook, *tenants: str) -> list[str]:
    """Return the users of the notifications in the inboxes, opened as a worker does."""
    notified = [hint for tenant in tenants for hint in await hook.inbox(tenant) if isinstance(hint, hints.Notified)]  # type: ignore[arg-type]
    return [decrypt_notification(item, hook.certificates).user_id for hint in notified for item in hint.items]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
async def test_a_notification_reaches_the_inbox_as_it_came(hook: Hook, version: str):
    subscription = await hook.subscribed()
    body = await hook.genuine(subscription, version)
    assert (await hook.post(subscription.route_id, body)).status_code == 202
    [hint] = await hook.inbox()
    assert isinstance(hint, hints.Notified)
    assert (hint.tenant_id, hint.route_id) == (CONTOSO, subscription.route_id)
    assert [json.loads(item) for item in hint.items] == json.loads(body)["value"]
    found = decrypt_notification(hint.items[0], hook.certificates)
    assert (found.user_id, found.availability, found.activity) == (ADA, "Busy", "InACall")


async def test_notifications_of_two_tenants_in_one_post_reach_both(hook: Hook):
    first, second = await hook.subscribed(CONTOSO), await hook.subscribed(FABRIKAM)
    items = [graph.item(one, ADA, hook.certificates.newest) for one in (first, second, first)]
    tokens = [graph.token(hook.cloud, CONTOSO, "1.0"), graph.token(hook.cloud, FABRIKAM, "2.0")]
    assert (await hook.post(first.route_id, graph.post(*items, tokens=tokens))).status_code == 202
    [told_first] = await hook.inbox(CONTOSO)
    [told_second] = await hook.inbox(FABRIKAM)
    assert isinstance(told_first, hints.Notified)
    assert isinstance(told_second, hints.Notified)
    assert (len(told_first.items), told_first.route_id) == (2, first.route_id)
    assert (len(told_second.items), told_second.route_id) == (1, second.route_id)


async def test_a_tenant_without_a_token_of_its_own_is_left_out(hook: Hook):
    first, second = await hook.subscribed(CONTOSO), await hook.subscribed(FABRIKAM)
    items = [graph.item(one, ADA, hook.certificates.newest) for one in (first, second)]
    body = graph.post(*items, tokens=[graph.token(hook.cloud, CONTOSO)])
    assert (await hook.post(first.route_id, body)).status_code == 202
    assert len(await hook.inbox(CONTOSO)) == 1
    assert await hook.inbox(FABRIKAM) == []


async def test_a_notification_that_comes_before_graph_said_the_subscriptions_id_is_taken(hook: Hook):
    subscription = await hook.subscribed(subscription_id="")
    body = await hook.genuine(replace(subscription, subscription_id="not-known-yet"))
    await hook.post(subscription.route_id, body)
    assert len(await hook.inbox()) == 1


async def test_what_concerns_the_subscription_itself_asks_for_a_fresh_token_once(hook: Hook):
    subscription = await hook.subscribed()
    about = graph.lifecycle(subscription)
    assert (await hook.post(subscription.route_id, graph.post(about, about))).status_code == 202
    assert await hook.inbox() == [hints.Reauthorize(CONTOSO, subscription.route_id)]


async def test_what_concerns_the_subscription_itself_may_carry_a_token(hook: Hook):
    subscription = await hook.subscribed()
    body = graph.post(graph.lifecycle(subscription), tokens=[graph.token(hook.cloud, CONTOSO)])
    await hook.post(subscription.route_id, body)
    assert await hook.inbox() == [hints.Reauthorize(CONTOSO, subscription.route_id)]


async def test_a_post_of_many_comes_in_several_hints_of_which_each_notification_counts(hook: Hook):
    subscription = await hook.subscribed()
    count = 2 * ITEMS_PER_HINT + 1
    one = graph.item(subscription, ADA, hook.certificates.newest)
    body = graph.post(*[one] * count, tokens=[graph.token(hook.cloud, CONTOSO)])
    assert (await hook.post(subscription.route_id, body)).status_code == 202
    found = [len(hint.items) for hint in await hook.inbox() if isinstance(hint, hints.Notified)]
    assert found == [ITEMS_PER_HINT, ITEMS_PER_HINT, 1]


async def test_an_unknown_route_is_answered_as_if_it_were_known(hook: Hook):
    """Graph may go on for a while with a subscription that was deleted, and must not count us as a bad host."""
    subscription = await hook.subscribed()
    body = await hook.genuine(subscription)
    assert (await hook.post(new_route(CONTOSO), body)).status_code == 202
    assert await hook.inbox() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"clientState": new_client_state()},
        {"clientState": None},
        {"clientState": "ä"},
        {"subscriptionId": "another"},
        {"tenantId": FABRIKAM},
        {"tenantId": "nobody"},
        {"subscriptionId": 7},
    ],
)
async def test_an_item_that_is_not_of_the_subscription_is_dropped_and_its_neighbour_is_not(
    hook: Hook, changes: dict[str, object]
):
    subscription = await hook.subscribed()
    good = graph.item(subscription, ADA, hook.certificates.newest)
    tokens = [graph.token(hook.cloud, tenant) for tenant in (CONTOSO, FABRIKAM)]
    body = graph.post({**good, **changes}, good, tokens=tokens)
    assert (await hook.post(subscription.route_id, body)).status_code == 202
    assert await opened_in(hook, CONTOSO, FABRIKAM) == [ADA]


async def test_another_tenants_subscription_with_its_own_token_and_secret_does_not_reach_the_first(hook: Hook):
    """The holder of one tenant's secret can speak for that tenant only."""
    victim, attacker = await hook.subscribed(CONTOSO), await hook.subscribed(FABRIKAM)
    forged = graph.item(victim, ADA, hook.certificates.newest, clientState=attacker.client_state)
    mixed = graph.item(attacker, ADA, hook.certificates.newest, tenantId=CONTOSO)
    tokens = [graph.token(hook.cloud, FABRIKAM), graph.token(hook.cloud, CONTOSO)]
    for route_id in (victim.route_id, attacker.route_id):
        assert (await hook.post(route_id, graph.post(forged, mixed, tokens=tokens))).status_code == 202
    assert await hook.inbox(CONTOSO) == []
    assert await hook.inbox(FABRIKAM) == []


async def test_a_notification_without_any_token_is_dropped(hook: Hook):
    subscription = await hook.subscribed()
    rich = graph.item(subscription, ADA, hook.certificates.newest)
    basic = graph.item(subscription, ADA, None)
    for tokens in (None, []):
        assert (await hook.post(subscription.route_id, graph.post(rich, basic, tokens=tokens))).status_code == 202
    assert await hook.inbox() == []


async def test_a_replay_of_a_genuine_post_only_makes_the_worker_look_again(hook: Hook):
    """Its tokens are valid for hours, so it passes; the rules of order make it harmless."""
    subscription = await hook.subscribed()
    body = await hook.genuine(subscription)
    for _ in range(3):
        await hook.post(subscription.route_id, body)
    assert await opened_in(hook, CONTOSO) == [ADA] * 3
