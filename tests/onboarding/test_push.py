"""The proof tries one real subscription: Microsoft's cloud calls the webhook back, and the subscription is deleted again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from emulator import Cloud, Config, Emulator
from relay.graph.push.certificates import Certificates, make
from relay.graph.push.settings import PushSettings
from relay.http.paths import NOTIFICATIONS
from relay.store.server.connection import Store
from relay.webhook.server import receiving
from relay.webhook.settings import WebhookSettings
from tests.graph.conftest import settings_for
from tests.onboarding.person import Person
from tests.onboarding.site import Site
from tests.support.valkey import free_port

Meet = Callable[..., Awaitable[Person]]
START_SITE = Callable[..., Awaitable[Site]]


@dataclass
class Hooked:
    """A cloud that trusts a webhook's certificate."""

    cloud: Cloud
    push: PushSettings


@pytest.fixture
async def hooked(store: Store, authority: trustme.CA, cert: trustme.LeafCert, tmp_path: Path) -> AsyncIterator[Hooked]:
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / "2026-11.pem").write_bytes(make("2026-11", datetime.now(UTC)))
    settings = WebhookSettings(
        host="127.0.0.1",
        port=0,
        tls_cert_pem=b"".join(pem.bytes() for pem in cert.cert_chain_pems),
        tls_key_pem=cert.private_key_pem.bytes(),
    )
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(Emulator.start(Config(notification_ca=tmp_path / "ca.pem")))
        port = await stack.enter_async_context(receiving(settings, store, settings_for(cloud)))
        yield Hooked(
            cloud,
            PushSettings(url_base=f"https://127.0.0.1:{port}{NOTIFICATIONS}", certificates=Certificates.load(folder)),
        )


async def test_a_subscription_is_made_and_deleted_again(hooked: Hooked, start_site: START_SITE, meet: Meet):
    person = await meet(await start_site(hooked.cloud, push=hooked.push))
    await person.fill()
    await person.authorize()
    await person.confirm()
    assert "We tested this with one subscription and deleted it." in person.text
    lives = hooked.cloud.subscriptions()
    assert len(lives) == 1
    assert lives[0].ended_s is not None, "it was deleted"


async def test_a_webhook_that_microsoft_does_not_reach_stops_nobody(hooked: Hooked, start_site: START_SITE, meet: Meet):
    push = PushSettings(url_base=f"https://127.0.0.1:{free_port()}/", certificates=hooked.push.certificates)
    person = await meet(await start_site(hooked.cloud, push=push))
    await person.fill()
    await person.authorize()
    await person.confirm()
    assert "Microsoft could not reach this relay’s notification address" in person.text
    assert "is connected" in person.heading
