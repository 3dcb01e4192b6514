"""A webhook on a real port with a real Valkey behind it, and the local cloud's Entra for signing keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from emulator import Cloud, Config, Emulator
from emulator.demo import CLIENT_ID
from relay.core.presence import TenantId, UserId
from relay.graph.push.certificates import Certificates, make
from relay.graph.settings import GraphSettings
from relay.http.paths import NOTIFICATIONS
from relay.store.presence import hints
from relay.store.presence.leases import Lease, Leases
from relay.store.presence.pipes import Inbox
from relay.store.presence.subscriptions import Subscription, Subscriptions, new_client_state, new_route
from relay.store.server import keys
from relay.store.server.blocking import START_ID
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client
from relay.webhook.server import receiving
from relay.webhook.settings import WebhookSettings
from tests.support.valkey import ValkeyServer, as_role
from tests.webhook import graph

CONTOSO = TenantId("6b5f4a3e-1111-4222-8333-944445555666")
FABRIKAM = TenantId("7c6a5b4f-1111-4222-8333-944445555777")
ADA = UserId("aaaaaaaa-0000-4000-8000-000000000001")
NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
# Answers must come however busy the machine is; that they come in time is another test's matter.
PATIENT = WebhookSettings(host="127.0.0.1", port=0, deadline=timedelta(seconds=20))


@dataclass(slots=True)
class Hook:
    """A webhook at work, as Graph sees it, and the inbox behind it."""

    url: str
    http: httpx.AsyncClient
    store: Store
    cloud: Cloud
    certificates: Certificates
    leases: dict[int, Lease] = field(default_factory=dict)

    async def post(self, route_id: str, body: bytes, **given: object) -> httpx.Response:
        return await self.http.post(f"{self.url}{NOTIFICATIONS}{route_id}", content=body, **given)  # type: ignore[arg-type]

    async def subscribed(self, tenant: TenantId = CONTOSO, **changes: object) -> Subscription:
        """A subscription of a tenant, written down."""
        subscription = Subscription(
            route_id=new_route(tenant),
            tenant_id=tenant,
            account_id=ADA,
            client_state=new_client_state(),
            users=(ADA,),
            subscription_id=f"sub-{new_client_state()[:8]}",
            certificate_id=self.certificates.newest.certificate_id,
            expires=NOW,
            created=NOW,
        )
        subscription = replace(subscription, **changes)  # type: ignore[arg-type]
        await Subscriptions(self.store).put(await self._lease(tenant), subscription)
        return subscription

    async def _lease(self, tenant: TenantId) -> Lease:
        partition = keys.partition_of(tenant)
        if partition not in self.leases:
            lease = await Leases(self.store).acquire(partition, "worker-1", timedelta(minutes=5))
            assert lease is not None
            self.leases[partition] = lease
        return self.leases[partition]

    async def inbox(self, tenant: TenantId = CONTOSO) -> list[hints.Hint]:
        """All hints in the inbox of a tenant's partition."""
        partition = keys.partition_of(tenant)
        inbox = Inbox(self.store)
        found: list[hints.Hint] = []
        position = START_ID
        while entries := await inbox.read({partition: position}, timedelta(milliseconds=20)):
            found += [entry.hint for entry in entries if entry.hint is not None]
            position = entries[-1].position
        await inbox.aclose()
        return found

    async def genuine(self, subscription: Subscription, version: str = "1.0") -> bytes:
        """A POST of Graph's, of one notification."""
        one = graph.item(subscription, ADA, self.certificates.newest)
        return graph.post(one, tokens=[graph.token(self.cloud, subscription.tenant_id, version)])


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Two: an old one, and the newest."""
    folder: Path = tmp_path_factory.mktemp("certificates")
    (folder / "old.pem").write_bytes(make("old", NOW - timedelta(days=300)))
    (folder / "new.pem").write_bytes(make("new", NOW - timedelta(days=1)))
    return Certificates.load(folder)


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with Emulator.start(Config()) as running:
        yield running


@pytest.fixture
async def store(valkey: ValkeyServer) -> AsyncIterator[Store]:
    async with Store(StoreSettings(url=valkey.url)) as store:
        await store.command("FLUSHALL")
        yield store


def public(cloud: Cloud, **changes: object) -> GraphSettings:
    """All that a webhook knows of Microsoft."""
    given: dict[str, object] = {
        "client_id": CLIENT_ID,
        "anonymous": True,
        "authority_url": cloud.url,
        "graph_url": cloud.url,
        "ca_pem": cloud.ca_pem.decode(),
    }
    return GraphSettings(**{**given, **changes})  # type: ignore[arg-type]


@asynccontextmanager
async def hooked(
    store: Store,
    cloud: Cloud,
    certificates: Certificates,
    settings: WebhookSettings = PATIENT,
    graph_settings: GraphSettings | None = None,
) -> AsyncIterator[Hook]:
    async with (
        Store(as_role(store.settings, Client.WEBHOOK)) as its_store,
        receiving(settings, its_store, graph_settings or public(cloud)) as port,
        httpx.AsyncClient(verify=False, trust_env=False, timeout=30) as http,
    ):
        yield Hook(f"http://127.0.0.1:{port}", http, store, cloud, certificates)


@pytest.fixture
async def hook(store: Store, cloud: Cloud, certificates: Certificates) -> AsyncIterator[Hook]:
    async with hooked(store, cloud, certificates) as running:
        yield running
