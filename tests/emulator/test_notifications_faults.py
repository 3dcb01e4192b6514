"""Notifications that go wrong on purpose, and endpoints that are judged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from emulator.notifications.endpoints import Score
from emulator.notifications.faults import TAMPERINGS, TOKEN_FAULTS, NotificationFault
from tests.emulator.receiver import Got, Push, Said, encryption, pushing, verified
from tests.support.waiting import eventually

ADA = "ada@contoso.example"
BEN = "ben@contoso.example"
ADMIN = "admin@contoso.example"


@pytest.fixture
async def push(tmp_path: Path) -> AsyncIterator[Push]:
    async with pushing(tmp_path) as running:
        yield running


def wrong(push: Push, kind: str, **conditions: Any) -> NotificationFault:
    return push.cloud.add_notification_fault(NotificationFault(kind=kind, **conditions))  # type: ignore[arg-type]


def activities(items: list[dict[str, Any]]) -> list[str]:
    return [encryption().opened(item)["activity"] for item in items]


async def test_a_subscription_can_fall_silent_while_another_is_told(push: Push) -> None:
    silent = await push.subscribe(ADA, lifecycleNotificationUrl=f"{push.receiver.url}/lifecycle")
    told = await push.subscribe(ADA, account=ADMIN)
    fault = wrong(push, "silence", subscription=silent["id"])

    push.cloud.act(ADA, "call")
    push.cloud.challenge_subscription(silent["id"])
    [item] = await push.receiver.wait_for(1)
    push.cloud.notifications.faults.remove(fault.id)
    push.cloud.act(ADA, "hang_up")
    items = await push.receiver.wait_for(3)

    assert item["subscriptionId"] == told["id"]
    assert {each["subscriptionId"] for each in items[1:]} == {silent["id"], told["id"]}
    assert push.cloud.notifications.log.counts.silenced == 1


async def test_a_tenant_can_fall_silent(push: Push) -> None:
    await push.subscribe(ADA)
    await push.subscribe("mia@fabrikam.example", account="presence-relay@fabrikam.example")
    wrong(push, "silence", tenant=push.cloud.person(ADA).tenant.tenant_id)

    push.cloud.act(ADA, "call")
    push.cloud.act("mia@fabrikam.example", "call")

    [item] = await push.receiver.wait_for(1)
    assert item["tenantId"] == push.cloud.person("mia@fabrikam.example").tenant.tenant_id


async def test_some_notifications_can_be_lost(push: Push) -> None:
    await push.subscribe(ADA)
    wrong(push, "loss", probability=0.5)

    for number in range(40):
        push.cloud.act(ADA, "hang_up" if number % 2 else "call")
    push.cloud.notifications.faults.remove()
    push.cloud.act(ADA, "dnd")
    counts = push.cloud.notifications.log.counts
    items = await push.receiver.wait_for(41 - counts.lost)

    assert 8 < counts.lost < 32
    assert activities(items)[-1] == "DoNotDisturb"


async def test_a_notification_can_come_twice(push: Push) -> None:
    await push.subscribe(ADA)
    wrong(push, "duplicate", count=1)

    push.cloud.act(ADA, "call")
    push.cloud.act(ADA, "hang_up")

    first, second, third = await push.receiver.wait_for(3)
    assert first == second
    assert activities([first, third]) == ["InACall", "Available"]


async def test_a_notification_can_come_after_the_next_one_of_the_same_person(push: Push) -> None:
    await push.subscribe(ADA, BEN)
    wrong(push, "reorder", count=1)

    push.cloud.act(ADA, "call")
    push.cloud.act(BEN, "meeting")
    push.cloud.act(ADA, "hang_up")

    assert activities(await push.receiver.wait_for(3)) == ["InAMeeting", "Available", "InACall"]


async def test_a_notification_without_a_next_one_is_kept_back_for_a_time_only(push: Push) -> None:
    await push.subscribe(ADA)
    wrong(push, "reorder", count=1, delay_s=30)
    push.cloud.act(ADA, "call")

    push.cloud.clock.advance(31)

    assert activities(await push.receiver.wait_for(1)) == ["InACall"]


async def test_notifications_can_come_hours_late(push: Push) -> None:
    await push.subscribe(ADA)
    wrong(push, "delay", delay_s=1800)
    push.cloud.act(ADA, "call")
    push.cloud.clock.advance(1790)
    before = push.cloud.notifications.delivery.waiting

    push.cloud.clock.advance(11)

    assert before == 0
    assert activities(await push.receiver.wait_for(1)) == ["InACall"]


EXPECTED_OF_TOKENS = {
    "expired": jwt.ExpiredSignatureError,
    "not_yet_valid": jwt.ImmatureSignatureError,
    "unknown_signer": LookupError,
    "alg_none": LookupError,
    "other_audience": jwt.InvalidAudienceError,
}


async def test_validation_tokens_can_be_wrong_in_every_way(push: Push) -> None:
    await push.subscribe(ADA)
    tenant = push.cloud.person(ADA).tenant.tenant_id

    for count, how in enumerate(TOKEN_FAULTS, 1):
        wrong(push, "token", how=how, count=1)
        push.cloud.act(ADA, "call" if count % 2 else "hang_up")
        await push.receiver.wait_for(count)
        tokens = push.receiver.posts[-1].json.get("validationTokens", [])

        if how == "missing":
            assert tokens == []
        elif how in EXPECTED_OF_TOKENS:
            with pytest.raises(EXPECTED_OF_TOKENS[how]):
                await verified(push, tokens[0])
        else:
            claims = await verified(push, tokens[0])
            good = (claims["appid"] == "0bf30f3b-4a52-48df-9a82-234910c4a086", claims["tid"] == tenant)
            assert good == (how != "other_publisher", how != "other_tenant")


async def test_notifications_can_be_tampered_with_in_every_way(push: Push) -> None:
    await push.subscribe(ADA)

    for count, how in enumerate(TAMPERINGS, 1):
        wrong(push, "tamper", how=how, count=1)
        push.cloud.act(ADA, "call" if count % 2 else "hang_up")
        item = (await push.receiver.wait_for(count))[-1]

        if how == "client_state":
            assert item["clientState"] != "a secret of ours"
        elif how == "certificate_id":
            assert item["encryptedContent"]["encryptionCertificateId"] != "first"
        else:
            with pytest.raises(ValueError, match=how if how in {"thumbprint", "signature"} else None):
                encryption().opened(item)
    push.cloud.act(ADA, "dnd")
    assert activities((await push.receiver.wait_for(count + 1))[-1:]) == ["DoNotDisturb"]


async def test_faults_are_put_in_force_listed_and_removed_by_control(push: Push) -> None:
    path = "/_emulator/notifications/faults"
    put = await push.client.post(path, json={"kind": "loss", "probability": 0.5})
    unknown_way = await push.client.post(path, json={"kind": "token", "how": "ugly"})
    unknown = await push.client.post(path, json={"kind": "loss", "typo": 1})
    listed = (await push.client.get(path)).json()["faults"]
    removed = await push.client.delete(f"{path}/{put.json()['id']}")

    assert [answer.status_code for answer in (put, unknown_way, unknown, removed)] == [200, 400, 400, 204]
    assert "expired, not_yet_valid" in unknown_way.text
    assert [each["kind"] for each in listed] == ["loss"]
    assert (await push.client.get(path)).json()["faults"] == []


async def test_every_post_is_found_with_its_outcome(push: Push) -> None:
    made = await push.subscribe(ADA)
    push.cloud.act(ADA, "call")
    await eventually(lambda: push.cloud.notifications.log.counts.delivered == 1)

    found = (await push.client.get(f"/_emulator/notifications?subscription={made['id']}")).json()
    handshakes = (await push.client.get("/_emulator/notifications?kind=validation")).json()["posts"]
    cleared = await push.client.delete("/_emulator/notifications")

    [post] = found["posts"]
    assert (post["outcome"], post["status"], post["items"], post["attempt"]) == ("delivered", 202, 1, 1)
    assert post["tenants"] == [push.cloud.person(ADA).tenant.tenant_id]
    assert (found["counts"]["announced"], found["counts"]["delivered"], found["total"]) == (1, 1, 2)
    assert found["endpoints"] == {push.receiver.url: "normal"}
    assert [each["outcome"] for each in handshakes] == ["delivered"]
    assert cleared.status_code == 204
    assert (await push.client.get("/_emulator/notifications")).json()["total"] == 0


# Endpoints that are judged


async def test_a_slow_endpoint_gets_its_notifications_ten_minutes_later(tmp_path: Path) -> None:
    async with pushing(tmp_path, notification_timeout_s=0.3, endpoint_scored_after=1) as push:
        await push.subscribe(ADA)
        await slow_once(push)
        push.cloud.act(ADA, "hang_up")
        push.cloud.clock.advance(590)
        before = push.cloud.notifications.log.counts.delayed, activities(push.receiver.items).count("Available")

        push.cloud.clock.advance(11)

        await eventually(lambda: "Available" in activities(push.receiver.items))
        assert before == (1, 0)


async def test_an_endpoint_in_the_drop_state_loses_its_notifications_for_ten_minutes(tmp_path: Path) -> None:
    quick = {"notification_timeout_s": 0.3, "notification_retry_timeout_s": 0.3, "endpoint_scored_after": 1}
    async with pushing(tmp_path, **quick) as push:
        await push.subscribe(ADA)
        await slow_once(push)
        push.cloud.act(ADA, "hang_up")
        report = (await push.client.get("/_emulator/notifications")).json()
        push.cloud.clock.advance(1200)
        push.cloud.act(ADA, "dnd")

        await eventually(lambda: "DoNotDisturb" in activities(push.receiver.items))
        assert report["endpoints"] == {push.receiver.url: "drop"}
        assert report["counts"]["dropped"] == 1
        assert "Available" not in activities(push.receiver.items)


async def slow_once(push: Push) -> None:
    """Have one notification answered too late; later ones are answered at once."""
    stalled = asyncio.Event()

    async def say(_: Got) -> Said:
        await stalled.wait()
        return Said()

    push.receiver.say = say
    push.cloud.act(ADA, "call")
    await eventually(lambda: push.cloud.notifications.log.search()[-1].outcome == "timeout")
    stalled.set()


@pytest.mark.parametrize(
    ("slow", "very_slow", "state"),
    [(10, 0, "normal"), (11, 0, "slow"), (20, 15, "slow"), (20, 16, "drop"), (0, 0, "normal")],
)
def test_more_than_a_tenth_slow_is_slow_and_more_than_15_percent_slower_still_is_dropped(
    slow: int, very_slow: int, state: str
) -> None:
    score = Score()
    for number in range(100):
        score.note(float(number), slow=number < slow, very_slow=number < very_slow, least=100)

    assert score.state(100.0, 100) == state


def test_nobody_is_judged_by_fewer_than_a_hundred_answers_or_by_old_ones() -> None:
    few, old = Score(), Score()
    for number in range(99):
        few.note(float(number), slow=True, very_slow=True, least=100)
        old.note(float(number), slow=True, very_slow=True, least=100)
    old.note(1000.0, slow=True, very_slow=True, least=100)

    assert (few.state(99.0, 100), old.state(1000.0, 100)) == ("normal", "normal")


def test_a_state_holds_for_ten_minutes_and_is_judged_anew() -> None:
    score = Score()
    for _ in range(10):
        score.note(0.0, slow=True, very_slow=False, least=10)
    states = [score.state(599.0, 10)]
    for _ in range(10):
        score.note(599.0, slow=True, very_slow=False, least=10)
    states += [score.state(601.0, 10), score.state(1202.0, 10)]

    assert states == ["slow", "slow", "normal"]


# A day


@pytest.mark.long
async def test_after_a_lively_day_a_webhook_knows_what_everybody_shows(tmp_path: Path) -> None:
    async with pushing(tmp_path, day=True, speed=0, notification_delay_s=(8, 60), endpoint_scored_after=0) as push:
        tenant = push.cloud.person(ADA).tenant
        who = [person.upn for person in tenant.people.values() if person.licensed]
        made = await push.subscribe(*who)
        counts, delivery = push.cloud.notifications.log.counts, push.cloud.notifications.delivery
        for _ in range(16):
            push.cloud.clock.advance(1800)
            await push.patch(made["id"], expirationDateTime=push.body(minutes=59)["expirationDateTime"])
        for person in tenant.people.values():
            person.living = False
        push.cloud.set_switches(notification_delay_s=(0, 0))
        push.cloud.clock.advance(61)
        shown = {person.oid: list(person.shown) for person in tenant.people.values() if person.licensed}
        await eventually(lambda: not delivery.waiting and not delivery.under_way)

    known: dict[str, list[str]] = {}
    for item in push.receiver.items:
        opened = encryption().opened(item)
        known[opened["id"]] = [opened["availability"], opened["activity"]]
    assert counts.announced == counts.delivered == len(push.receiver.items) > 100
    assert known == shown
    assert len(push.receiver.posts) < len(push.receiver.items)
