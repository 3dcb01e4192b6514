"""Change notifications from Microsoft's side to the answers, and what happens to subscriptions on the way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from redis.asyncio import Redis

from emulator.notifications.faults import NotificationFault
from emulator.notifications.subscription import SubscriptionLife
from relay.core.consent.tenant import TenantEvent
from relay.core.presence import Presence, Source, Status, TenantId, UserId
from relay.core.push.subscription import PushFault, SubscriptionPolicy
from relay.graph.client import GraphClient
from relay.graph.push import subscriptions as graph
from relay.graph.push.settings import PushSettings
from relay.http.paths import NOTIFICATIONS
from relay.store.presence.hints import Notified
from relay.store.presence.pipes import Inbox
from relay.store.presence.push import PushStatus, PushStatuses
from relay.store.presence.subscriptions import Subscription, Subscriptions, new_client_state, new_route
from relay.store.server import keys
from relay.webhook.server import receiving
from relay.webhook.settings import WebhookSettings
from relay.worker.cloud import Cloud
from relay.worker.grants.pool import GrantPool
from relay.worker.settings import WorkerSettings
from tests.graph.conftest import Tokens, settings_for
from tests.support.waiting import eventually
from tests.worker.conftest import EDGE, SETTINGS, Relay, WebhookTls

pytestmark = pytest.mark.long

ADA, BEN, CHLOE = "ada@contoso.example", "ben@contoso.example", "chloe@contoso.example"
RELAY = "presence-relay@contoso.example"
HOUR = timedelta(hours=1)
POLICY = SubscriptionPolicy(
    gather=timedelta(milliseconds=100),
    remake_soon=timedelta(milliseconds=300),
    remake_late=timedelta(milliseconds=300),
    retry_least=timedelta(milliseconds=300),
    look_after=timedelta(milliseconds=300),
    silent_pause=timedelta(seconds=2),
)


@dataclass
class Push:
    """A webhook that Microsoft reaches, and the settings of a worker that uses it."""

    relay: Relay
    settings: WorkerSettings

    @property
    def lives(self) -> list[SubscriptionLife]:
        return self.relay.microsoft.notifications.subscriptions.lives()

    @property
    def live(self) -> list[SubscriptionLife]:
        return [life for life in self.lives if life.ended_s is None]

    def faulty(self, kind: Any, **how: Any) -> None:
        self.relay.microsoft.notifications.faults.add(NotificationFault(kind=kind, **how))

    def reads_of(self, name: str) -> int:
        oid = self.relay.microsoft.person(name).oid
        return sum("getPresences" in entry.path and oid in (entry.ids or ()) for entry in self.relay.microsoft.journal)

    async def says(self, tenant: TenantId, name: str) -> None:
        """A notification arrives that says only that somebody has changed."""
        item = json.dumps({"resourceData": {"id": self.relay.microsoft.person(name).oid}}).encode()
        await Inbox(self.relay.store).append(Notified(tenant, new_route(tenant), (item,)))

    async def status(self, tenant: TenantId) -> PushStatus:
        return await PushStatuses(self.relay.store).load(tenant) or PushStatus()

    async def covers(self, tenant: TenantId, users: int) -> None:
        """Wait until so many users are covered and no read is due: a worker reads users once more when it has a subscription."""
        await eventually(lambda: self._covers(tenant, users))
        if users:
            await eventually(lambda: self._is_settled(tenant, users))

    def _is_settled(self, tenant: TenantId, users: int) -> bool:
        at_work = (
            part.tenants.get(tenant)
            for worker in self.relay.workers
            for part in worker.statistics().partitions.values()
        )
        return any(found is not None and (found.covered, found.due) == (users, 0) for found in at_work)

    async def _covers(self, tenant: TenantId, users: int) -> bool:
        return (await self.status(tenant)).pushed == users

    async def reason_is(self, tenant: TenantId, trouble: PushFault) -> None:
        async def check() -> bool:
            return (await self.status(tenant)).reason == trouble

        await eventually(check)

    async def status_is(self, tenant: TenantId, expected: PushStatus) -> None:
        async def check() -> bool:
            return await self.status(tenant) == expected

        await eventually(check)

    async def shows(self, tenant: TenantId, name: str, raw: str) -> Presence:
        await eventually(lambda: self.relay.sees(tenant, name, raw))
        answer = await self.relay.answer(tenant, name)
        assert isinstance(answer, Presence)
        return answer


@asynccontextmanager
async def hooked(relay: Relay, tls: WebhookTls, **changes: Any) -> AsyncIterator[Push]:
    webhook = WebhookSettings(host="127.0.0.1", port=0, tls_cert_pem=tls.chain, tls_key_pem=tls.key)
    relay.microsoft.journal.keep_ids = True
    relay.microsoft.set_switches(notification_delay_s=(0.0, 0.0), notification_gather_ms=0.0)
    async with receiving(webhook, relay.store, settings_for(relay.microsoft)) as port:
        push = PushSettings(url_base=f"https://127.0.0.1:{port}{NOTIFICATIONS}", certificates=tls.certificates)
        given = {
            "sweep": timedelta(milliseconds=50),
            "reconcile_interval": HOUR,
            "subscriptions": POLICY,
            "push": push,
            **changes,
        }
        yield Push(relay, replace(SETTINGS, **given))


@pytest.fixture
async def push(relay: Relay, webhook_tls: WebhookTls) -> AsyncIterator[Push]:
    async with hooked(relay, webhook_tls) as push:
        yield push


@pytest.fixture
async def seldom_polled(relay: Relay, webhook_tls: WebhookTls) -> AsyncIterator[Push]:
    """For tests that count reads: a user is read once at first and once when covered, however long it takes until that."""
    async with hooked(relay, webhook_tls, poll_interval=HOUR) as push:
        yield push


Working = Callable[[], Awaitable[Any]]


async def test_a_change_is_announced_and_told_long_before_the_next_poll(push: Push):
    tenant = await push.relay.onboard()
    async with push.relay.working(settings=push.settings):
        await push.relay.watch(tenant, ADA, BEN)
        await push.covers(tenant, 2)
        push.relay.microsoft.act(ADA, "call")
        answer = await push.shows(tenant, ADA, "Busy")
        assert answer.source is Source.NOTIFICATION
        push.relay.microsoft.act(ADA, "hang_up")
        await push.shows(tenant, ADA, "Available")


async def test_covered_users_are_read_seldom_and_suites_are_told_so(push: Push):
    tenant = await push.relay.onboard()
    async with push.relay.working(settings=push.settings):
        await push.relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
        before = push.reads_of(ADA)
        push.relay.microsoft.set_presence(BEN, "Busy")  # not watched: nobody is told, and nobody reads
        await push.relay.watch(tenant, CHLOE)
        await push.covers(tenant, 2)
        # At most what a subscription that is made anew costs: once when it is deleted, and once when it is there.
        assert push.reads_of(ADA) <= before + 3

        async def is_told() -> bool:
            contact = await push.relay.presences.contact_of(tenant)
            return contact is not None and contact.interval_ms == HOUR.total_seconds() * 1000

        await eventually(is_told)


async def test_a_worker_says_again_and_again_that_it_is_there_though_nothing_is_read(
    relay: Relay, webhook_tls: WebhookTls
):
    often = timedelta(milliseconds=100)
    async with hooked(relay, webhook_tls, heartbeat=often, contact_interval=often) as push:
        tenant = await relay.onboard()
        async with relay.working(settings=push.settings):
            await relay.watch(tenant, ADA)
            await push.covers(tenant, 1)
            said = []
            for _ in range(4):
                await relay.store.command("DEL", keys.tenant_contact(tenant))
                said.append(await eventually(lambda: relay.presences.contact_of(tenant)))
            assert said[-2].contact_ms == said[-1].contact_ms  # to the millisecond: a beat is no contact
            assert said[-1].beat_ms == 100


async def test_a_numbered_notification_is_accepted_without_reading(seldom_polled: Push):
    push = seldom_polled
    push.relay.microsoft.set_switches(notification_sequence_numbers=True)
    tenant = await push.relay.onboard()
    async with push.relay.working(settings=push.settings):
        await push.relay.watch(tenant, ADA, BEN)
        await push.covers(tenant, 2)
        before = push.reads_of(ADA)
        for action, raw in [("call", "Busy"), ("hang_up", "Available"), ("brb", "BeRightBack")]:
            push.relay.microsoft.act(ADA, action)
            answer = await push.shows(tenant, ADA, raw)
            assert answer.source is Source.NOTIFICATION
            assert answer.sequence_number
        assert push.reads_of(ADA) == before


async def test_a_notification_of_what_a_read_was_faster_with_is_not_read_again(seldom_polled: Push):
    push = seldom_polled
    push.relay.microsoft.set_switches(notification_sequence_numbers=True)
    tenant = await push.relay.onboard()
    async with push.relay.working(settings=push.settings):
        await push.relay.watch(tenant, ADA, BEN)
        await push.covers(tenant, 2)
        push.faulty("delay", delay_s=0.5)
        push.relay.microsoft.act(ADA, "call")
        await push.says(tenant, ADA)
        await push.shows(tenant, ADA, "Busy")
        before, before_ben = push.reads_of(ADA), push.reads_of(BEN)
        await eventually(lambda: push.relay.microsoft.notifications.log.counts.delivered == 1)
        await push.says(tenant, BEN)  # if hers were read for, it would be together with him
        await eventually(lambda: push.reads_of(BEN) > before_ben)
        assert push.reads_of(ADA) == before


async def test_a_numbered_notification_that_leaves_out_what_the_tenant_passes_on_is_read(push: Push):
    push.relay.microsoft.set_switches(notification_sequence_numbers=True)
    tenant = await push.relay.onboard()
    record = await push.relay.tenants.load(tenant)
    assert record is not None
    await push.relay.tenants.put(replace(record, settings={"pass_status_message": "on"}))
    async with push.relay.working(settings=push.settings):
        await push.relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
        push.relay.microsoft.set_presence(ADA, "Busy", "InACall", status_message="In Rome")
        answer = await push.shows(tenant, ADA, "Busy")
        assert answer.status_message == "In Rome"
        push.relay.microsoft.set_presence(ADA, "Away", "Away", status_message="In Rome")
        answer = await push.shows(tenant, ADA, "Away")
        assert answer.status_message == "In Rome"


async def test_a_notification_without_content_is_read(push: Push):
    tenant = await push.relay.onboard()
    async with push.relay.working(settings=push.settings):
        await push.relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
        push.faulty("silence")
        push.relay.microsoft.act(ADA, "call")
        item = json.dumps({"resourceData": {"id": push.relay.microsoft.person(ADA).oid}}).encode()
        junk = (b"", b"{}", b"[]", b'{"encryptedContent": {}}', b"\xff")
        await Inbox(push.relay.store).append(Notified(tenant, new_route(tenant), (*junk, item)))
        await push.shows(tenant, ADA, "Busy")


async def test_many_notifications_of_one_tenant_are_all_taken_in(push: Push, raw: Redis):
    """The inbox keeps 1,000 of a tenant that it does not know to be dealt with, and leaves out what comes beyond."""
    tenant = await push.relay.onboard()
    async with push.relay.working(settings=push.settings):
        await push.relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
        many = Notified(tenant, new_route(tenant), (b"junk",) * 50)
        pending = keys.inbox_pending(keys.partition_of(tenant))

        async def most_are_dealt_with() -> bool:
            return int(await raw.hget(pending, tenant) or 0) <= 500  # type: ignore[misc]

        for _ in range(12):  # 3,000 of them, as fast as they are dealt with, and faster than the house is kept
            await Inbox(push.relay.store).append(*[many] * 5)
            await eventually(most_are_dealt_with, timeout=3.0)


async def test_delayed_and_repeated_notifications_never_bring_an_older_presence_back(push: Push):
    push.relay.microsoft.set_switches(notification_sequence_numbers=True)
    tenant = await push.relay.onboard()
    async with push.relay.working(settings=push.settings):
        await push.relay.watch(tenant, ADA, BEN)
        await push.covers(tenant, 2)
        push.faulty("duplicate", probability=0.5)
        push.faulty("reorder", probability=0.5, delay_s=0.3)
        for _ in range(5):
            push.relay.microsoft.act(ADA, "call")
            push.relay.microsoft.act(ADA, "hang_up")
        push.relay.microsoft.notifications.faults.remove()
        push.relay.microsoft.act(BEN, "call")
        await push.shows(tenant, BEN, "Busy")
        await push.shows(tenant, ADA, "Available")


async def test_after_an_owner_that_was_killed_the_next_adopts_the_subscription_and_renews_it(push: Push):
    tenant = await push.relay.onboard()
    async with push.relay.working("worker-1", push.settings):
        await push.relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
    await push.relay.died(tenant)
    async with push.relay.working("worker-2", push.settings):
        await eventually(lambda: [event.what for event in push.lives[0].events] == ["created", "renewed"])
        push.relay.microsoft.act(ADA, "call")
        await push.shows(tenant, ADA, "Busy")
        assert len(push.lives) == 1


async def test_a_subscription_whose_making_was_cut_short_is_adopted(push: Push):
    tenant = await _cut_short(push)
    # Found for the users who are watched, however long it takes until they are: not because nobody is.
    policy = replace(push.settings.subscriptions, look_after=timedelta(minutes=1))
    async with push.relay.working(settings=replace(push.settings, subscriptions=policy)):
        await push.relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
        assert len(push.lives) == 1
        push.relay.microsoft.act(ADA, "call")
        await push.shows(tenant, ADA, "Busy")


async def test_a_subscription_whose_making_was_cut_short_is_deleted_when_nobody_watches_any_more(push: Push):
    await _cut_short(push)
    async with push.relay.working(settings=push.settings):
        await eventually(lambda: not push.live)
        assert len(push.lives) == 1


async def test_a_subscription_whose_making_was_cut_short_is_deleted_when_the_tenant_leaves(push: Push):
    tenant = await _cut_short(push)
    async with push.relay.working(settings=replace(push.settings, subscriptions=replace(POLICY, look_after=HOUR))):
        await eventually(lambda: _is_looked_after(push, tenant))
        await push.relay.tenants.remove(tenant)
        await eventually(lambda: not push.live)


async def _cut_short(push: Push) -> TenantId:
    """A worker died after Graph had made its subscription, and before it knew."""
    tenant = await push.relay.onboard()
    record = await _asked_for(push, tenant, UserId(push.relay.microsoft.person(RELAY).oid), ADA)
    async with GraphClient(settings_for(push.relay.microsoft)) as client:
        await graph.create(client, Tokens(push.relay.microsoft), _wanted(push, record))
    return tenant


async def _is_looked_after(push: Push, tenant: TenantId) -> bool:
    return await PushStatuses(push.relay.store).load(tenant) is not None


async def test_a_subscription_of_ours_that_nobody_knows_of_is_deleted_and_another_made(push: Push):
    tenant = await push.relay.onboard()
    account = UserId(push.relay.microsoft.person(RELAY).oid)
    record = await _asked_for(push, tenant, account, BEN, keep=False)
    async with GraphClient(settings_for(push.relay.microsoft)) as client:
        await graph.create(client, Tokens(push.relay.microsoft), _wanted(push, record))
    async with push.relay.working(settings=push.settings):
        await push.relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
        assert [life.ended_s is None for life in push.lives] == [False, True]


async def test_another_programs_subscription_is_left_alone_and_tried_again_until_it_is_gone(push: Push):
    tenant = await push.relay.onboard()
    account = UserId(push.relay.microsoft.person(RELAY).oid)
    record = await _asked_for(push, tenant, account, BEN, keep=False)
    elsewhere = _wanted(push, record).notification_url.replace("127.0.0.1", "localhost")
    async with GraphClient(settings_for(push.relay.microsoft)) as client:
        theirs = replace(_wanted(push, record), notification_url=elsewhere)
        other = await graph.create(client, Tokens(push.relay.microsoft), theirs)
        async with push.relay.working(settings=push.settings):
            await push.relay.watch(tenant, ADA)
            await push.reason_is(tenant, PushFault.TAKEN)
            assert [life.id for life in push.live] == [other.subscription_id]
            push.relay.microsoft.act(ADA, "call")
            assert (await push.shows(tenant, ADA, "Busy")).source is Source.POLL
            await graph.delete(client, Tokens(push.relay.microsoft), other.subscription_id)
            await push.covers(tenant, 1)


async def test_a_webhook_that_is_not_reached_is_said_and_users_are_polled(push: Push):
    nowhere = replace(push.settings.push or _no_push(), url_base="https://127.0.0.1:9/notifications/")
    tenant = await push.relay.onboard()
    async with push.relay.working(settings=replace(push.settings, push=nowhere)):
        await push.relay.watch(tenant, ADA)
        await push.reason_is(tenant, PushFault.WEBHOOK_UNREACHABLE)
        assert (await push.status(tenant)).polled == 1
        push.relay.microsoft.act(ADA, "call")
        await push.shows(tenant, ADA, "Busy")


async def test_silence_is_noticed_and_users_are_read_at_full_speed_until_something_is_announced(
    relay: Relay, webhook_tls: WebhookTls
):
    quick = {"announced_within": timedelta(seconds=1), "reconcile_interval": timedelta(seconds=1)}
    async with hooked(relay, webhook_tls, **quick) as push:
        tenant = await relay.onboard()
        async with relay.working(settings=push.settings):
            await relay.watch(tenant, ADA, BEN)
            await push.covers(tenant, 2)
            push.faulty("silence")
            for who, action, raw in [(ADA, "call", "Busy"), (BEN, "call", "Busy"), (ADA, "hang_up", "Available")]:
                relay.microsoft.act(who, action)
                await push.shows(tenant, who, raw)
            await push.status_is(tenant, PushStatus(0, 2, 2, PushFault.SILENT))
            await eventually(lambda: [life.ended_s is None for life in push.lives] == [False, True])
            push.relay.microsoft.notifications.faults.remove()
            relay.microsoft.act(BEN, "hang_up")
            await push.covers(tenant, 2)


async def test_each_grant_adds_a_subscription(relay: Relay, webhook_tls: WebhookTls):
    async with hooked(relay, webhook_tls, subscription_size=2) as push:
        tenant = await relay.onboard()
        async with relay.working(settings=push.settings):
            await relay.watch(tenant, ADA, BEN, CHLOE)
            await push.covers(tenant, 2)
            await relay.onboard(BEN)
            await push.covers(tenant, 3)
            assert len(push.live) == 2
            assert len({life.creator for life in push.live}) == 2
            for who in (ADA, BEN, CHLOE):
                relay.microsoft.act(who, "call")
                await push.shows(tenant, who, "Busy")


async def test_a_cloud_that_refuses_a_second_subscription_is_told_and_the_rest_is_polled(
    relay: Relay, webhook_tls: WebhookTls
):
    relay.microsoft.set_switches(subscription_scope="tenant", second_subscription="forbidden_403")
    async with hooked(relay, webhook_tls, subscription_size=2) as push:
        tenant = await relay.onboard()
        await relay.onboard(BEN)
        async with relay.working(settings=push.settings):
            await relay.watch(tenant, ADA, BEN, CHLOE)
            await push.reason_is(tenant, PushFault.REFUSED)
            await push.covers(tenant, 2)
            for who in (ADA, BEN, CHLOE):
                relay.microsoft.act(who, "call")
                await push.shows(tenant, who, "Busy")
            assert len(push.live) == 1


async def test_a_subscription_that_ended_unannounced_is_found_at_its_renewal_and_made_anew(
    relay: Relay, webhook_tls: WebhookTls
):
    often = replace(POLICY, renew_least=timedelta(seconds=0.5), renew_most=timedelta(seconds=0.6))
    async with hooked(relay, webhook_tls, subscriptions=often) as push:
        tenant = await relay.onboard()
        async with relay.working(settings=push.settings):
            await relay.watch(tenant, ADA)
            await push.covers(tenant, 1)
            relay.microsoft.end_subscription(push.live[0].id)
            await eventually(lambda: len(push.lives) == 2 and len(push.live) == 1)
            await eventually(lambda: _records(relay, tenant, 1))
            relay.microsoft.act(ADA, "call")
            await push.shows(tenant, ADA, "Busy")


async def test_each_renewal_shows_graph_a_token_that_is_fresh(relay: Relay, webhook_tls: WebhookTls):
    often = replace(POLICY, renew_least=timedelta(seconds=0.2), renew_most=timedelta(seconds=0.3))
    async with hooked(relay, webhook_tls, subscriptions=often) as push:
        tenant = await relay.onboard()
        async with relay.working(settings=push.settings):
            await relay.watch(tenant, ADA)
            await eventually(lambda: push.lives and len(push.lives[0].events) >= 4)
            calls = [
                entry.path
                for entry in relay.microsoft.journal
                if entry.path.endswith("/token") or "/subscriptions/" in entry.path
            ]
            renewals = [number for number, path in enumerate(calls) if "/subscriptions/" in path]
            assert len(renewals) >= 3
            assert all(calls[number - 1].endswith("/token") for number in renewals)


async def test_graph_asking_for_a_fresh_token_gets_it_and_everybody_is_read(push: Push):
    tenant = await push.relay.onboard()
    async with push.relay.working(settings=push.settings):
        await push.relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
        before = push.reads_of(ADA)
        push.relay.microsoft.challenge_subscription(push.live[0].id)
        await eventually(lambda: "renewed" in [event.what for event in push.lives[0].events])
        await eventually(lambda: push.reads_of(ADA) > before)


async def test_a_tenant_that_leaves_has_no_subscription_any_more(push: Push, raw: Redis):
    tenant = await push.relay.onboard()
    async with push.relay.working(settings=push.settings):
        await push.relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
        await push.relay.tenants.remove(tenant)
        await eventually(lambda: not push.live)
        assert push.lives[0].events[-1].what == "deleted"

        async def nothing_is_left() -> bool:
            return not [key for key in await raw.keys() if b"subscription" in key or key == keys.tenant_push(tenant)]

        await eventually(nothing_is_left)


async def test_grants_are_in_memory_until_a_tenant_that_leaves_has_no_subscription(relay: Relay):
    """The tenant may be removed after its record is read and before its grants are."""
    tenant = await relay.onboard()

    async def has_left() -> bool:
        return await relay.tenants.load(tenant) is None

    async with Cloud(settings_for(relay.microsoft), relay.vault) as cloud:
        pool = GrantPool(tenant, relay.vault, cloud, has_left=has_left)
        await pool.load()
        token = await pool()
        await relay.tenants.remove(tenant)
        await pool.load()
        assert await pool() == token


@pytest.mark.parametrize("why", ["nobody watches", "suspended"])
async def test_a_tenant_that_is_not_read_has_no_subscription(push: Push, why: str):
    tenant = await push.relay.onboard()
    async with push.relay.working(settings=push.settings):
        names = await push.relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
        if why == "suspended":
            await push.relay.tenants.happened(tenant, TenantEvent.SUSPENDED)
        else:
            await push.relay.interest.remove(tenant, EDGE, names)
        await eventually(lambda: not push.live)
        await eventually(lambda: _records(push.relay, tenant, 0))


async def test_a_grant_that_dies_leaves_its_users_to_polls_and_a_new_consent_to_push(push: Push):
    tenant = await push.relay.onboard()
    async with push.relay.working(settings=push.settings):
        await push.relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
        push.relay.microsoft.directory.revoke(RELAY, access_tokens=True)
        push.relay.microsoft.challenge_subscription(push.live[0].id)
        await eventually(lambda: _is(push.relay, tenant, ADA, Status.CONSENT_REQUIRED))
        await push.covers(tenant, 0)
        await push.relay.onboard()
        await push.covers(tenant, 1)
        push.relay.microsoft.act(ADA, "call")
        await push.shows(tenant, ADA, "Busy")


async def test_without_a_webhook_nothing_is_subscribed_to_and_operators_can_see_that(push: Push):
    tenant = await push.relay.onboard()
    async with push.relay.working(settings=replace(push.settings, push=None)):
        await push.relay.watch(tenant, ADA)
        await push.shows(tenant, ADA, "Available")
        assert (await push.status(tenant)).is_off
        assert not push.lives


async def test_no_secret_and_no_name_is_in_a_log_of_all_this(push: Push):
    tenant = await push.relay.onboard()
    with structlog.testing.capture_logs() as logs:
        async with push.relay.working(settings=push.settings):
            await push.relay.watch(tenant, ADA)
            await push.covers(tenant, 1)
            [record] = await Subscriptions(push.relay.store).of(tenant)
            await push.relay.tenants.remove(tenant)
            await eventually(lambda: not push.live)
    said = json.dumps(logs, default=str)
    assert "subscribed" in said
    for secret in (record.client_state, record.route_id, ADA, push.relay.microsoft.person(ADA).oid, "Bearer", "eyJ"):
        assert secret not in said


async def _asked_for(push: Push, tenant: TenantId, account: UserId, name: str, *, keep: bool = True) -> Subscription:
    """A subscription that an earlier owner wrote down."""
    now = datetime.now(UTC)
    record = Subscription(
        route_id=new_route(tenant),
        tenant_id=tenant,
        account_id=account,
        client_state=new_client_state(),
        users=(UserId(push.relay.microsoft.person(name).oid),),
        certificate_id="today",
        expires=now + HOUR / 2,
        created=now,
    )
    if keep:
        from relay.store.presence.leases import Leases

        leases = Leases(push.relay.store)
        lease = await leases.acquire(keys.partition_of(tenant), "earlier", timedelta(seconds=10))
        assert lease is not None
        await Subscriptions(push.relay.store).put(lease, record)
        await leases.release(lease)
    return record


def _wanted(push: Push, record: Subscription) -> graph.SubscriptionRequest:
    assert push.settings.push is not None
    return graph.SubscriptionRequest(
        users=record.users,
        notification_url=push.settings.push.url_base + record.route_id,
        client_state=record.client_state,
        certificate=push.settings.push.certificates.newest,
        expires=record.expires,
    )


def _no_push() -> PushSettings:
    raise AssertionError("these settings have push")


async def _records(relay: Relay, tenant: TenantId, count: int) -> bool:
    return len(await Subscriptions(relay.store).of(tenant)) == count


async def _is(relay: Relay, tenant: TenantId, name: str, status: Status) -> bool:
    return await relay.answer(tenant, name) is status
