"""A relay's worker at work: real Valkey, the local Microsoft cloud, a grant obtained by the real consent flow."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from redis.asyncio import Redis

from emulator import Cloud as Microsoft
from emulator import Config, Emulator
from relay.core.consent.tenant import TenantState
from relay.core.names import normalise
from relay.core.presence import Name, Presence, Status, TenantId, UserId
from relay.graph.push.certificates import Certificates, make
from relay.ops.clock import SYSTEM, Clock
from relay.store.custody.admissions import AdmissionRequest, Admissions
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.custody.vault import NEW, Grant, Vault, VersionConflict
from relay.store.presence.interest import Interest
from relay.store.presence.presences import Presences
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client
from relay.wire.encode import decode
from relay.worker.cloud import Cloud
from relay.worker.settings import WorkerSettings
from relay.worker.worker import Worker
from tests.graph.conftest import settings_for
from tests.graph.consents import consent_at_once
from tests.support.valkey import ValkeyServer, as_role

SETTINGS = WorkerSettings(
    poll_interval=timedelta(milliseconds=300),
    lease=timedelta(seconds=10),
    lease_renewal=timedelta(milliseconds=300),
    watch_linger=timedelta(seconds=1),
    stale_after_intervals=100,
)
"""A busy machine may hold renewals and reads up: a lease outlives that, and presence is not stale for it, which few tests mean."""
SHORT_LEASES = replace(SETTINGS, lease=timedelta(seconds=2))
"""For tests that wait until leases are over."""
SOON_STALE = replace(SETTINGS, stale_after_intervals=3)
"""For tests of presence that nothing confirms any more."""
EDGE = "edge-1"
PATIENCE_S = 30.0
"""How long a test waits for what takes a moment: on a busy machine moments are long."""


class Relay:
    """A worker and what stands around it."""

    def __init__(self, store: Store, vault: Vault, microsoft: Microsoft) -> None:
        self.store = store
        self.vault = vault
        self.microsoft = microsoft
        self.presences = Presences(store)
        self.interest = Interest(store)
        self.tenants = Tenants(store)
        self.workers: set[Worker] = set()  # those at work

    async def onboard(self, who: str = "presence-relay@contoso.example") -> TenantId:
        """Consent, and keep what came of it."""
        new = consent_at_once(self.microsoft, settings_for(self.microsoft), who)
        now = datetime.now(UTC)
        if await self.tenants.load(new.tenant_id) is None:
            await self.tenants.put(Tenant(tenant_id=new.tenant_id, state=TenantState.ACTIVE, created=now))
        account = UserId(new.account_id)
        grant = Grant(
            tenant_id=new.tenant_id, account_id=account, upn=new.upn, token_cache=new.token_cache, created=now
        )
        while True:  # a worker may write the grant meanwhile
            known = await self.vault.load(new.tenant_id, account)
            with contextlib.suppress(VersionConflict):
                await self.vault.save(grant, known.version if known else NEW)
                return new.tenant_id

    async def onboard_again(self, who: str = "presence-relay@contoso.example") -> TenantId:
        """Consent anew, as the pages keep it."""
        new = consent_at_once(self.microsoft, settings_for(self.microsoft), who)
        await Admissions(self.store, self.vault.ring).admit(
            AdmissionRequest(
                tenant_id=new.tenant_id,
                account_id=new.account_id,
                upn=new.upn,
                token_cache=new.token_cache,
                name="",
                domain="",
                settings={},
            )
        )
        return new.tenant_id

    @asynccontextmanager
    async def working(
        self,
        worker_id: str = "worker-1",
        settings: WorkerSettings = SETTINGS,
        store_type: type[Store] = Store,
        through: int | None = None,
        clock: Clock = SYSTEM,
        **graph: object,
    ) -> AsyncIterator[Worker]:
        """A worker at work. `through`: the port of a way to the store that is not the straight one; `graph`: settings of Graph's."""
        where = as_role(self.store.settings, Client.WORKER)
        if through is not None:
            where = replace(where, url=where.url.replace(f":{urlsplit(where.url).port}", f":{through}"))
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(store_type(where))
            vault = Vault(store, self.vault.ring)
            cloud = await stack.enter_async_context(Cloud(settings_for(self.microsoft, **graph), vault))
            worker = Worker(store, vault, cloud, settings, worker_id, clock)
            task = asyncio.create_task(worker.run())
            self.workers.add(worker)
            try:
                yield worker
            finally:
                self.workers.discard(worker)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def died(self, tenant_id: TenantId) -> None:
        """Make it as if the last owner had been killed: one that is leaves nothing behind."""
        await self.store.command("DEL", keys.handover(keys.partition_of(tenant_id)))

    async def watch(self, tenant_id: TenantId, *names: str, edge: str = EDGE) -> list[Name]:
        wanted = [name for spelling in names if (name := normalise(spelling))]
        await self.interest.add(tenant_id, edge, wanted)
        return wanted

    async def answers(self, tenant_id: TenantId, *names: str) -> dict[str, Presence | Status | None]:
        """What suites are told now, by name."""
        wanted = {name: spelling for spelling in names if (name := normalise(spelling))}
        snapshot = await self.presences.snapshot(tenant_id, list(wanted))
        found: dict[str, Presence | Status | None] = {}
        for name, spelling in wanted.items():
            meaning = snapshot.names.get(name)
            if meaning is None or isinstance(meaning, Status):
                found[spelling] = meaning
            else:
                stored = snapshot.answers.get(meaning)
                found[spelling] = decode(stored[1]) if stored else None
        return found

    async def answer(self, tenant_id: TenantId, name: str) -> Presence | Status | None:
        return (await self.answers(tenant_id, name))[name]

    async def sees(self, tenant_id: TenantId, name: str, raw: str) -> bool:
        answer = await self.answer(tenant_id, name)
        return isinstance(answer, Presence) and answer.raw_availability == raw


@dataclass(frozen=True)
class WebhookTls:
    """The webhook's certificate, whose authority the local cloud trusts, and what notifications are encrypted for."""

    ca: Path
    chain: bytes
    key: bytes
    certificates: Certificates


@pytest.fixture(scope="session")
def webhook_tls(tmp_path_factory: pytest.TempPathFactory) -> WebhookTls:
    folder = tmp_path_factory.mktemp("webhook")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.crt")
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    (folder / "today.pem").write_bytes(make("today", datetime.now(UTC) - timedelta(minutes=1)))
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return WebhookTls(folder / "ca.crt", chain, leaf.private_key_pem.bytes(), Certificates.load(folder))


@pytest.fixture
async def relay(valkey: ValkeyServer, raw: Redis, webhook_tls: WebhookTls) -> AsyncIterator[Relay]:
    async with AsyncExitStack() as stack:
        config = Config(notification_ca=webhook_tls.ca)
        microsoft = await stack.enter_async_context(Emulator.start(config))
        store = await stack.enter_async_context(Store(StoreSettings(url=valkey.url)))
        yield Relay(store, Vault(store, KeyRing.from_json(make_ring("test", now_s=0))), microsoft)
