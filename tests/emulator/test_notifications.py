"""What a webhook gets when a presence changes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emulator.demo import CLIENT_ID
from tests.emulator.driver import RELAY
from tests.emulator.receiver import Got, Push, Said, encryption, pushing, soon, verified
from tests.support.waiting import eventually

ADA = "ada@contoso.example"
BEN = "ben@contoso.example"
CHLOE = "chloe@contoso.example"
MIA = "mia@fabrikam.example"
ADMIN = "admin@contoso.example"
PUBLISHER = "0bf30f3b-4a52-48df-9a82-234910c4a086"


@pytest.fixture
async def push(tmp_path: Path) -> AsyncIterator[Push]:
    async with pushing(tmp_path) as running:
        yield running


async def test_a_change_is_announced_with_what_is_documented_and_nothing_else(push: Push) -> None:
    made = await push.subscribe(ADA)
    ada = push.cloud.person(ADA)
    tenant = ada.tenant.tenant_id

    push.cloud.act(ADA, "call")
    [item] = await push.receiver.wait_for(1)

    opened = encryption().opened(item)
    content = item.pop("encryptedContent")
    assert item == {
        "subscriptionId": made["id"],
        "clientState": "a secret of ours",
        "changeType": "updated",
        "tenantId": tenant,
        "organizationId": tenant,
        "resource": f"communications/presences/{ada.oid}",
        "subscriptionExpirationDateTime": item["subscriptionExpirationDateTime"],
        "resourceData": {
            "@odata.id": f"users/{ada.oid}/presence",
            "@odata.type": "#microsoft.graph.presence",
            "id": ada.oid,
        },
    }
    assert set(content) == {
        "data",
        "dataSignature",
        "dataKey",
        "encryptionCertificateId",
        "encryptionCertificateThumbprint",
    }
    assert opened == {
        "@odata.id": f"users/{ada.oid}/presence",
        "@odata.type": "#microsoft.graph.presence",
        "id": ada.oid,
        "availability": "Busy",
        "activity": "InACall",
    }


async def test_a_rich_notification_comes_with_a_validation_token_of_microsofts_publisher(push: Push) -> None:
    await push.subscribe(ADA)
    tenant = push.cloud.person(ADA).tenant.tenant_id

    push.cloud.act(ADA, "call")
    await push.receiver.wait_for(1)

    [token] = push.receiver.posts[0].json["validationTokens"]
    claims = await verified(push, token, keys="/common/discovery/keys")
    assert (claims["ver"], claims["appid"], claims["aud"], claims["tid"], claims["iss"]) == (
        "1.0",
        PUBLISHER,
        CLIENT_ID,
        tenant,
        f"https://sts.windows.net/{tenant}/",
    )


async def test_validation_tokens_can_have_their_second_form(push: Push) -> None:
    push.cloud.set_switches(validation_token_version="2.0")
    await push.subscribe(ADA)
    tenant = push.cloud.person(ADA).tenant.tenant_id

    push.cloud.act(ADA, "call")
    await push.receiver.wait_for(1)

    claims = await verified(push, push.receiver.posts[0].json["validationTokens"][0])
    assert (claims["ver"], claims["azp"], claims["tid"], claims["iss"]) == (
        "2.0",
        PUBLISHER,
        tenant,
        f"{push.cloud.url}/{tenant}/v2.0",
    )
    assert "appid" not in claims


async def test_whoever_subscribes_under_microsofts_host_name_gets_tokens_of_microsofts_issuer(push: Push) -> None:
    push.cloud.set_switches(validation_token_version="2.0")
    headers = {**push.bearer(), "host": "graph.microsoft.com"}
    made = await push.client.post("/v1.0/subscriptions", json=push.body(ADA), headers=headers)

    push.cloud.act(ADA, "call")
    await push.receiver.wait_for(1)

    claims = await verified(push, push.receiver.posts[0].json["validationTokens"][0])
    assert made.json()["@odata.context"] == "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity"
    assert claims["iss"] == f"https://login.microsoftonline.com/{claims['tid']}/v2.0"


async def test_both_forms_of_validation_tokens_can_come_by_turns(push: Push) -> None:
    push.cloud.set_switches(validation_token_version="mixed")
    await push.subscribe(ADA)

    for count, action in enumerate(("call", "hang_up"), 1):
        push.cloud.act(ADA, action)
        await push.receiver.wait_for(count)

    tokens = [token for post in push.receiver.posts for token in post.json["validationTokens"]]
    assert {(await verified(push, token))["ver"] for token in tokens} == {"1.0", "2.0"}


async def test_a_basic_notification_says_only_who_changed(push: Push) -> None:
    await push.subscribe(ADA, includeResourceData=None, encryptionCertificate=None, encryptionCertificateId=None)

    push.cloud.act(ADA, "call")
    [item] = await push.receiver.wait_for(1)

    assert list(push.receiver.posts[0].json) == ["value"]
    assert set(item) == {
        "subscriptionId", "clientState", "changeType", "tenantId", "organizationId", "resource",
        "subscriptionExpirationDateTime", "resourceData",
    }  # fmt: skip


async def test_what_is_encrypted_and_how_the_resource_is_called_can_be_switched(push: Push) -> None:
    made = await push.subscribe(ADA)
    ada = push.cloud.person(ADA)
    wanted = [
        ({"notification_sequence_numbers": True}, {"sequenceNumber"}, f"communications/presences/{ada.oid}"),
        ({"notification_content": "presence"}, {"sequenceNumber", "statusMessage", "outOfOfficeSettings"}, None),
        ({"notification_resource": "user"}, set(), f"users/{ada.oid}/presence"),
        ({"notification_resource": "filter"}, set(), made["resource"]),
    ]

    for count, (switches, fields, resource) in enumerate(wanted, 1):
        push.cloud.set_switches(**switches)
        push.cloud.act(ADA, "call" if count % 2 else "hang_up")
        item = (await push.receiver.wait_for(count))[-1]
        opened = encryption().opened(item)
        assert set(opened) >= {"@odata.id", "@odata.type", "id", "availability", "activity"} | fields
        assert fields == set() or opened["sequenceNumber"] == ada.sequence
        assert resource in {None, item["resource"]}


async def test_only_what_others_see_otherwise_is_announced_and_only_of_those_subscribed_to(push: Push) -> None:
    push.cloud.set_switches(idle_values=False)
    await push.subscribe(ADA)

    push.cloud.act(BEN, "call")
    push.cloud.act(ADA, "status_message", text="back at 5")
    push.cloud.act(ADA, "available")
    push.cloud.set_presence(ADA, "AvailableIdle", "Inactive")
    push.cloud.set_presence(ADA, "Available", "Available")
    push.cloud.act(ADA, "call")

    [item] = await push.receiver.wait_for(1)
    assert encryption().opened(item)["activity"] == "InACall"
    assert push.cloud.notifications.log.counts.announced == 1


async def test_every_subscription_that_holds_a_person_is_told(push: Push) -> None:
    made = [await push.subscribe(ADA, BEN, account=account) for account in (RELAY, ADMIN)]

    push.cloud.act(ADA, "call")

    items = await push.receiver.wait_for(2)
    assert {item["subscriptionId"] for item in items} == {each["id"] for each in made}


async def test_one_post_holds_notifications_of_several_tenants_with_a_token_for_each(push: Push) -> None:
    push.cloud.set_switches(notification_gather_ms=50)
    await push.subscribe(ADA, BEN)
    await push.subscribe(MIA, account="presence-relay@fabrikam.example")

    for who in (ADA, BEN, MIA):
        push.cloud.act(who, "call")
    items = await push.receiver.wait_for(3)

    [post] = push.receiver.posts
    tenants = {push.cloud.person(each).tenant.tenant_id for each in (ADA, MIA)}
    assert {item["tenantId"] for item in items} == tenants
    assert {(await verified(push, token))["tid"] for token in post.json["validationTokens"]} == tenants
    assert len(post.json["validationTokens"]) == 2


async def test_a_post_holds_no_more_notifications_than_the_switch_says(push: Push) -> None:
    push.cloud.set_switches(notification_items=2, notification_gather_ms=50)
    await push.subscribe(ADA, BEN, CHLOE)

    for who in (ADA, BEN, CHLOE):
        push.cloud.act(who, "call")
    await push.receiver.wait_for(3)

    assert sorted(len(post.items) for post in push.receiver.posts) == [1, 2]


async def test_notifications_come_within_a_minute_and_within_ten_seconds_on_average(tmp_path: Path) -> None:
    async with pushing(tmp_path, speed=0, notification_delay_s=(8, 60), notification_items=1000) as push:
        ids = [f"00000000-0000-0000-0000-{number:012}" for number in range(400)]
        tenant = push.cloud.person(ADA).tenant.tenant_id
        for number, oid in enumerate(ids):
            push.cloud.add_person(tenant, oid, f"p{number}@contoso.example", "P")
        await push.subscribe(*ids, includeResourceData=None)
        for oid in ids:
            push.cloud.act(oid, "call")
        counts = []
        for seconds in (8, 52):
            push.cloud.clock.advance(seconds)
            counts.append(push.cloud.notifications.delivery.waiting)
        await push.receiver.wait_for(400)

    assert counts[1] == 400
    assert 400 * 0.5 < counts[0] < 400 * 0.75  # of an exponential distribution 63 % is below its mean


async def test_the_notifications_of_a_person_stay_in_order(tmp_path: Path) -> None:
    async with pushing(tmp_path, speed=0, notification_delay_s=(8, 60)) as push:
        await push.subscribe(ADA)
        actions = ["call", "hang_up", "meeting", "present", "focus", "brb", "dnd", "available"]
        seen = [list(push.cloud.act(ADA, action).shown) for action in actions]

        push.cloud.clock.advance(60)

        items = await push.receiver.wait_for(len(actions))
    opened = [encryption().opened(item) for item in items]
    assert [[each["availability"], each["activity"]] for each in opened] == seen


# Delivery


async def test_what_is_not_accepted_is_repeated_until_it_is(push: Push) -> None:
    await push.subscribe(ADA)
    push.receiver.answers(503)
    push.cloud.act(ADA, "call")
    await push.receiver.wait_for(1)
    await eventually(lambda: len(push.cloud.notifications.log) == 2)
    push.receiver.answers(202)
    push.cloud.act(ADA, "hang_up")
    await push.receiver.wait_for(2)

    push.cloud.clock.advance(13)
    items = await push.receiver.wait_for(3)

    activities = [encryption().opened(item)["activity"] for item in items]
    assert activities == ["InACall", "Available", "InACall"]
    assert items[0] == items[2]
    await eventually(
        lambda: len(push.cloud.notifications.log) == 4
    )  # written after the answer, and one of them is the validation
    sent = push.cloud.notifications.log.search(kind="notification")
    assert [(each.attempt, each.status, each.outcome) for each in sent] == [
        (1, 503, "refused"),
        (1, 202, "delivered"),
        (2, 202, "delivered"),
    ]


async def test_after_four_hours_a_notification_is_given_up(push: Push) -> None:
    made = await push.subscribe(ADA)
    push.receiver.answers(500)
    began = push.cloud.clock.now()
    push.cloud.act(ADA, "call")
    notifications = push.cloud.notifications

    while push.cloud.clock.now() < began + 5 * 3600:
        await eventually(lambda: not notifications.delivery.under_way)
        await push.patch(made["id"], expirationDateTime=soon(59))
        for _ in range(180):
            push.cloud.clock.advance(10)
            await eventually(lambda: not notifications.delivery.under_way)

    times = [each.at_s for each in notifications.log.search(kind="notification")]
    waits = [after - before for before, after in itertools.pairwise(times)]
    assert (notifications.log.counts.given_up, notifications.log.counts.delivered) == (1, 0)
    assert 3 * 3600 < times[-1] - began < 4 * 3600 + 60
    assert waits[0] < 30 < waits[3] < 200 < max(waits) < 2300


async def test_an_endpoint_that_answers_too_late_gets_the_notification_again(push: Push) -> None:
    push.cloud.set_switches(notification_timeout_s=0.3)
    await push.subscribe(ADA)
    stalled = asyncio.Event()

    async def say(_: Got) -> Said:
        await stalled.wait()
        return Said()

    push.receiver.say = say
    push.cloud.act(ADA, "call")
    await eventually(lambda: len(push.cloud.notifications.log) == 2)
    stalled.set()
    push.cloud.clock.advance(13)

    first, again = await push.receiver.wait_for(2)
    await eventually(lambda: len(push.cloud.notifications.log) == 3)
    assert first == again
    assert [each.outcome for each in push.cloud.notifications.log.search(kind="notification")] == [
        "timeout",
        "delivered",
    ]


async def test_nothing_is_repeated_for_a_subscription_that_has_ended(push: Push) -> None:
    made = await push.subscribe(ADA)
    push.receiver.answers(500)
    push.cloud.act(ADA, "call")
    await eventually(lambda: len(push.cloud.notifications.log) == 2)

    await push.delete(made["id"])
    push.cloud.clock.advance(13)
    await eventually(lambda: push.cloud.notifications.log.counts.ended == 1)

    assert len(push.receiver.posts) == 1


async def test_a_webhook_that_cannot_be_reached_is_tried_again(push: Push) -> None:
    made = await push.subscribe(ADA)
    subscription = push.cloud.notifications.subscriptions.find(made["id"])
    assert subscription is not None
    subscription.notification_url = "https://127.0.0.1:1/away"
    log = push.cloud.notifications.log

    push.cloud.act(ADA, "call")
    await eventually(lambda: len(log) == 2)
    push.cloud.clock.advance(13)
    await eventually(lambda: len(log) == 3)

    assert [(each.attempt, each.outcome) for each in log.search(kind="notification")] == [
        (1, "unreachable"),
        (2, "unreachable"),
    ]


# The token that Graph remembers


@pytest.mark.parametrize("how", ["reauthorize", "renew"])
async def test_while_the_token_is_over_notifications_wait_for_another(push: Push, how: str) -> None:
    made = await push.subscribe_for(600, ADA)
    push.cloud.clock.advance(601)
    push.cloud.act(ADA, "call")
    push.cloud.act(ADA, "hang_up")
    push.cloud.clock.advance(1200)
    held = push.cloud.notifications.log.counts.held

    answer = await (
        push.reauthorize(made["id"]) if how == "reauthorize" else push.patch(made["id"], expirationDateTime=soon(50))
    )

    items = await push.receiver.wait_for(2)
    assert (held, answer.is_success) == (2, True)
    assert [encryption().opened(item)["activity"] for item in items] == ["InACall", "Available"]
    expires = push.cloud.subscriptions()[0].expires_s - push.cloud.clock.now()
    assert (expires > 2400) == (how == "renew")


async def test_while_the_token_is_over_notifications_can_be_lost(push: Push) -> None:
    push.cloud.set_switches(unauthorised_notifications="lost")
    made = await push.subscribe_for(600, ADA)
    push.cloud.clock.advance(601)
    push.cloud.act(ADA, "call")
    await push.reauthorize(made["id"])
    push.cloud.act(ADA, "hang_up")

    [item] = await push.receiver.wait_for(1)
    assert encryption().opened(item)["activity"] == "Available"


async def test_with_a_revoked_access_token_delivery_pauses(push: Push) -> None:
    made = await push.subscribe(ADA)
    push.cloud.directory.revoke(RELAY, access_tokens=True)
    push.cloud.act(ADA, "call")
    held = push.cloud.notifications.log.counts.held
    push.cloud.directory.restore(RELAY)

    await push.reauthorize(made["id"])

    await push.receiver.wait_for(1)
    assert held == 1


async def test_before_the_token_ends_reauthorisation_is_asked_for_again_and_again(push: Push) -> None:
    made = await push.subscribe_for(1800, ADA, lifecycleNotificationUrl=f"{push.receiver.url}/lifecycle?x=1")
    asked = []
    for _ in range(9):  # 45 minutes
        push.cloud.clock.advance(300)
        await eventually(
            lambda: not push.cloud.notifications.delivery.waiting + push.cloud.notifications.delivery.under_way
        )
        asked.append(len(push.receiver.items))

    first = push.receiver.posts[0]
    assert asked == [0, 0, 0, 1, 1, 1, 2, 2, 2] or asked == [0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert (first.path, first.query) == ("/lifecycle", "x=1")
    assert first.json == {
        "value": [
            {
                "subscriptionId": made["id"],
                "subscriptionExpirationDateTime": first.items[0]["subscriptionExpirationDateTime"],
                "tenantId": push.cloud.person(ADA).tenant.tenant_id,
                "clientState": "a secret of ours",
                "lifecycleEvent": "reauthorizationRequired",
            }
        ]
    }


async def test_whoever_renews_in_time_is_not_asked_to(push: Push) -> None:
    made = await push.subscribe(ADA, lifecycleNotificationUrl=f"{push.receiver.url}/lifecycle")
    for _ in range(4):
        push.cloud.clock.advance(28 * 60)
        await push.patch(made["id"], expirationDateTime=soon(59))

    push.cloud.act(ADA, "call")

    [item] = await push.receiver.wait_for(1)
    assert "lifecycleEvent" not in item


async def test_a_subscription_without_a_lifecycle_url_is_not_asked(push: Push) -> None:
    made = await push.subscribe_for(600, ADA)
    push.cloud.clock.advance(1200)
    await push.reauthorize(made["id"])

    push.cloud.act(ADA, "call")

    [item] = await push.receiver.wait_for(1)
    assert "lifecycleEvent" not in item


async def test_when_a_grant_is_revoked_reauthorisation_is_asked_for_at_once(push: Push) -> None:
    await push.subscribe(ADA, lifecycleNotificationUrl=f"{push.receiver.url}/lifecycle")
    await push.subscribe(ADA, account=ADMIN, lifecycleNotificationUrl=f"{push.receiver.url}/lifecycle")

    push.cloud.directory.revoke(RELAY, "consent_removed")

    [item] = await push.receiver.wait_for(1)
    assert item["lifecycleEvent"] == "reauthorizationRequired"
    assert "validationTokens" not in push.receiver.posts[0].json


async def test_lifecycle_notifications_can_carry_validation_tokens(push: Push) -> None:
    push.cloud.set_switches(lifecycle_validation_tokens=True)
    made = await push.subscribe(ADA, lifecycleNotificationUrl=f"{push.receiver.url}/lifecycle")

    answer = await push.client.post(f"/_emulator/subscriptions/{made['id']}/challenge")

    await push.receiver.wait_for(1)
    assert answer.status_code == 204
    assert await verified(push, push.receiver.posts[0].json["validationTokens"][0])
