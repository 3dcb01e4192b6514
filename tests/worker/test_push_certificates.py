"""The certificates that notifications are encrypted for change while the worker runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relay.core.presence import TenantId
from relay.graph.push.certificates import Certificate, Certificates, make
from relay.store.presence.hints import Notified
from relay.store.presence.pipes import Inbox
from relay.store.presence.subscriptions import Subscription, Subscriptions
from tests.support.waiting import eventually
from tests.webhook import graph
from tests.worker.conftest import Relay, WebhookTls
from tests.worker.test_push import ADA, POLICY, Push, hooked

pytestmark = pytest.mark.long


@dataclass
class Rotating:
    """A worker whose users Graph announces, and the folder that its certificates are in."""

    push: Push
    tenant: TenantId
    folder: Path
    certificates: Certificates

    def put(self, name: str, begins: datetime) -> None:
        (self.folder / f"{name}.pem").write_bytes(make(name, begins))

    def certificate(self, name: str) -> Certificate:
        found = self.certificates.of(name)
        assert found is not None
        return found

    @property
    def in_use(self) -> str:
        """The certificate that Microsoft encrypts for."""
        [life] = self.push.live
        subscription = self.push.relay.microsoft.notifications.subscriptions.find(life.id)
        assert subscription is not None
        assert subscription.certificate is not None
        return subscription.certificate.certificate_id.partition(".")[0]

    async def record(self) -> Subscription:
        [record] = await Subscriptions(self.push.relay.store).of(self.tenant)
        return record


@asynccontextmanager
async def rotating(
    relay: Relay,
    tls: WebhookTls,
    folder: Path,
    *,
    renewed_after: timedelta = timedelta(minutes=25),
    look_every_s: float = 0.05,
) -> AsyncIterator[Rotating]:
    (folder / "first.pem").write_bytes(make("first", datetime.now(UTC) - timedelta(days=300)))
    certificates = Certificates.load(folder, look_every_s=look_every_s)
    policy = replace(POLICY, renew_least=renewed_after, renew_most=renewed_after)
    async with hooked(relay, replace(tls, certificates=certificates), subscriptions=policy) as push:
        tenant = await relay.onboard()
        async with relay.working(settings=push.settings):
            await relay.watch(tenant, ADA)
            await push.covers(tenant, 1)
            yield Rotating(push, tenant, folder, certificates)


async def test_a_renewal_carries_the_newest_certificate_without_a_restart(
    relay: Relay, webhook_tls: WebhookTls, tmp_path: Path
):
    often = timedelta(milliseconds=500)
    async with rotating(relay, webhook_tls, tmp_path, renewed_after=often) as rotation:
        await eventually(lambda: len(rotation.push.lives[0].events) >= 3)
        assert rotation.in_use == "first"  # renewed, and nothing to change
        rotation.put("second", datetime.now(UTC))
        await eventually(lambda: rotation.in_use == "second")
        await eventually(lambda: _is_written_down(rotation, "second"))
        assert len(rotation.push.lives) == 1
        relay.microsoft.act(ADA, "call")
        await rotation.push.shows(rotation.tenant, ADA, "Busy")


@pytest.mark.parametrize("name", ["first", "second"])
async def test_notifications_for_the_old_and_the_new_certificate_are_opened(
    relay: Relay, webhook_tls: WebhookTls, tmp_path: Path, name: str
):
    async with rotating(relay, webhook_tls, tmp_path) as rotation:
        rotation.put("second", datetime.now(UTC))
        await eventually(lambda: rotation.certificates.newest.name == "second")
        rotation.push.faulty("silence")
        relay.microsoft.act(ADA, "call")
        content = graph.presence(relay.microsoft.person(ADA).oid)
        item = json.dumps({"encryptedContent": graph.encrypted(content, rotation.certificate(name))}).encode()
        route_id = (await rotation.record()).route_id
        await Inbox(relay.store).append(Notified(rotation.tenant, route_id, (item,)))
        await rotation.push.shows(rotation.tenant, ADA, "Busy")


async def test_a_certificate_that_another_worker_named_is_looked_for_when_a_notification_names_it(
    relay: Relay, webhook_tls: WebhookTls, tmp_path: Path
):
    async with rotating(relay, webhook_tls, tmp_path, look_every_s=3600.0) as rotation:
        rotation.put("second", datetime.now(UTC))
        second = Certificates.load(tmp_path).newest
        rotation.push.faulty("silence")
        relay.microsoft.act(ADA, "call")
        content = graph.presence(relay.microsoft.person(ADA).oid)
        item = json.dumps({"encryptedContent": graph.encrypted(content, second)}).encode()
        route_id = (await rotation.record()).route_id

        async def told_again() -> bool:
            await Inbox(relay.store).append(Notified(rotation.tenant, route_id, (item,)))
            return await relay.sees(rotation.tenant, ADA, "Busy")

        await eventually(told_again)


async def test_when_a_key_is_taken_away_its_subscription_gets_another_one_at_once_and_its_users_are_read(
    relay: Relay, webhook_tls: WebhookTls, tmp_path: Path
):
    async with rotating(relay, webhook_tls, tmp_path) as rotation:
        rotation.put("second", datetime.now(UTC))
        await eventually(lambda: rotation.certificates.newest.name == "second")
        assert rotation.in_use == "first"
        before = rotation.push.reads_of(ADA)
        (tmp_path / "first.pem").unlink()
        await eventually(lambda: rotation.in_use == "second")
        await eventually(lambda: rotation.push.reads_of(ADA) > before)
        assert len(rotation.push.lives) == 1
        relay.microsoft.act(ADA, "call")
        await rotation.push.shows(rotation.tenant, ADA, "Busy")


async def test_another_certificate_in_the_same_file_is_taken_at_once_and_what_is_on_its_way_is_opened(
    relay: Relay, webhook_tls: WebhookTls, tmp_path: Path
):
    """As cert-manager renews: the key of the file is another one, and the former is nowhere but in the worker's memory."""
    async with rotating(relay, webhook_tls, tmp_path) as rotation:
        former = rotation.certificate("first")
        rotation.push.faulty("silence")
        rotation.put("first", datetime.now(UTC))
        await eventually(lambda: rotation.certificate("first").certificate_id != former.certificate_id)
        await eventually(lambda: _is_written_down(rotation, "first"))
        assert len(rotation.push.lives) == 1
        relay.microsoft.act(ADA, "call")
        item = json.dumps(
            {"encryptedContent": graph.encrypted(graph.presence(relay.microsoft.person(ADA).oid), former)}
        )
        route_id = (await rotation.record()).route_id
        await Inbox(relay.store).append(Notified(rotation.tenant, route_id, (item.encode(),)))
        await rotation.push.shows(rotation.tenant, ADA, "Busy")


async def _is_written_down(rotation: Rotating, name: str) -> bool:
    return (await rotation.record()).certificate_id == rotation.certificate(name).certificate_id
