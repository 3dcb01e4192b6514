"""The local cloud notifies the webhook over TLS: handshake, changes, lifecycle, and its forgeries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trustme

from emulator import Config, Emulator, Switches
from emulator.notifications.faults import TAMPERINGS, TOKEN_FAULTS, NotificationFault
from relay.core.presence import TenantId, UserId
from relay.graph.client import GraphClient
from relay.graph.push import subscriptions
from relay.graph.push.certificates import Certificates
from relay.graph.push.notifications import NotOpened, decrypt_notification
from relay.graph.push.subscriptions import SubscriptionRequest
from relay.http.paths import NOTIFICATIONS
from relay.store.presence import hints
from relay.store.presence.subscriptions import Subscription
from relay.store.server.connection import Store
from tests.graph.conftest import RELAY, Tokens, ids, settings_for
from tests.support.waiting import eventually
from tests.webhook.conftest import PATIENT, Hook, hooked

UNSEEN_BY_THE_WEBHOOK = {"signature", "data", "key", "padding", "thumbprint", "certificate_id"}


@dataclass(slots=True)
class Subscribed:
    """A hook that the cloud notifies of Ada."""

    hook: Hook
    subscription: Subscription

    async def changes(self, availability: str) -> None:
        self.hook.cloud.set_presence("ada@contoso.example", availability)

    async def opened(self) -> list[str]:
        found = []
        for hint in await self.hook.inbox(self.subscription.tenant_id):
            for item in hint.items if isinstance(hint, hints.Notified) else ():
                try:
                    found.append(decrypt_notification(item, self.hook.certificates).availability)
                except NotOpened as error:
                    found.append(error.reason)
        return found


@asynccontextmanager
async def subscribed(
    folder: Path, store: Store, certificates: Certificates, **switches: object
) -> AsyncIterator[Subscribed]:
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    tls = replace(
        PATIENT,
        tls_cert_pem=b"".join(blob.bytes() for blob in leaf.cert_chain_pems),
        tls_key_pem=leaf.private_key_pem.bytes(),
    )
    wanted = Switches().changed(**{"notification_delay_s": (0, 0), "notification_gather_ms": 0, **switches})
    config = Config(notification_ca=folder / "ca.pem", switches=wanted)
    async with Emulator.start(config) as cloud, hooked(store, cloud, certificates, tls) as hook:
        hook.url = hook.url.replace("http:", "https:")
        tenant = TenantId(cloud.person(RELAY).tenant.tenant_id)
        record = await hook.subscribed(tenant, subscription_id="")
        async with GraphClient(settings_for(cloud)) as client:
            made = await subscriptions.create(
                client,
                Tokens(cloud),
                SubscriptionRequest(
                    users=tuple(ids(cloud, "ada")),
                    notification_url=f"{hook.url}{NOTIFICATIONS}{record.route_id}",
                    client_state=record.client_state,
                    certificate=certificates.newest,
                    expires=datetime.now(UTC) + timedelta(minutes=55),
                ),
            )
            yield Subscribed(hook, await _known(hook, replace(record, subscription_id=made.subscription_id)))


async def _known(hook: Hook, record: Subscription) -> Subscription:
    changes = {name: getattr(record, name) for name in ("route_id", "client_state", "subscription_id")}
    return await hook.subscribed(record.tenant_id, **changes)


@pytest.mark.parametrize(
    "switches",
    [
        {"validation_token_version": "mixed", "notification_content": "presence"},
        {"notification_resource": "filter", "notification_items": 1},
        {"lifecycle_validation_tokens": True, "notification_gather_ms": 50},
    ],
)
async def test_changes_arrive_in_every_form_that_microsoft_may_mean(
    tmp_path: Path, store: Store, certificates: Certificates, switches: dict[str, object]
):
    async with subscribed(tmp_path, store, certificates, **switches) as found:
        expected = []
        for availability in ("Busy", "Away", "DoNotDisturb"):
            await found.changes(availability)
            expected.append(availability)

            async def all_there() -> bool:
                return await found.opened() == expected

            await eventually(all_there)
        found.hook.cloud.challenge_subscription(found.subscription.subscription_id)

        async def asked() -> bool:
            told = await found.hook.inbox(found.subscription.tenant_id)
            return told[-1] == hints.Reauthorize(found.subscription.tenant_id, found.subscription.route_id)

        await eventually(asked)


async def test_what_the_cloud_forges_is_not_accepted_and_what_follows_is(
    tmp_path: Path, store: Store, certificates: Certificates
):
    async with subscribed(tmp_path, store, certificates) as found:
        cloud = found.hook.cloud
        faults = [("token", how) for how in TOKEN_FAULTS] + [("tamper", how) for how in TAMPERINGS]
        for kind, how in faults:
            cloud.add_notification_fault(NotificationFault(kind=kind, how=how, count=1))  # type: ignore[arg-type]
            for availability in ("Away", "Busy"):  # the fault is over at the second
                before = cloud.notifications.log.total
                await found.changes(availability)

                async def sent(before: int = before) -> bool:
                    return cloud.notifications.log.total > before

                await eventually(sent)
        told = await found.opened()
        assert "Away" not in told
        assert told.count("Busy") == len(faults)
        assert len(told) == len(faults) + len(UNSEEN_BY_THE_WEBHOOK)


async def test_the_webhook_speaks_tls_alone_when_it_has_a_certificate(
    tmp_path: Path, store: Store, certificates: Certificates
):
    async with subscribed(tmp_path, store, certificates) as found:
        async with httpx.AsyncClient(verify=False, trust_env=False) as http:
            with pytest.raises(httpx.HTTPError):
                await http.post(found.hook.url.replace("https:", "http:"))
        assert UserId(found.subscription.account_id)
