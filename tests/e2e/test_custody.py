"""Custody while suites watch: what was lost comes back and works, and keys of the ring change under a running worker."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from emulator.demo import CLIENT_ID
from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import TenantState
from relay.store.backup.file import BackupKey, make_backup_key
from relay.store.backup.restore import Restore, check_backup
from relay.store.backup.write import back_up
from relay.store.custody.reseal import Sealed
from relay.store.custody.vault import Vault
from relay.store.sealing.keyring import KeyRing, make_ring, without
from relay.store.sealing.ring_file import RingFile, write_private
from suite.values import Status
from tests.e2e.conftest import Edges, running
from tests.support.ring import RING
from tests.support.waiting import eventually
from tests.worker.conftest import SETTINGS, Relay

pytestmark = pytest.mark.long

ADA, BEN = "ada@contoso.example", "ben@contoso.example"


async def test_a_tenant_that_was_lost_is_restored_and_its_suite_sees_presence_again(
    relay: Relay, edges: Edges, raw: Redis
):
    relay.vault = Vault(relay.store, RING)
    private, public = (BackupKey.from_json(text) for text in make_backup_key())
    file = io.BytesIO()
    async with running(relay, edges) as tenant:
        key = await edges.key(tenant)
        async with edges.suite(key, ADA) as console:
            await eventually(lambda: console.shows(ADA) == "Available")
        await back_up(relay.store, file, public, RING)
    await raw.flushall()
    relay.microsoft.set_presence(ADA, "Busy")

    assert check_backup(file, private, RING).shut == {}
    assert [one.tenant_id async for one in Restore(relay.store, file, private, RING).restored()] == [tenant]
    async with relay.working(), edges.edge(), edges.suite(key, ADA, BEN) as console:
        await eventually(lambda: console.shows(ADA) == "Busy" and console.shows(BEN) == "Available", timeout=20)


async def test_the_key_ring_is_rotated_under_a_running_worker(relay: Relay, edges: Edges, tmp_path: Path):
    path, old = tmp_path / "ring.json", make_ring("k1", now_s=1)
    both = make_ring("k2", now_s=2, older=old)
    narrow, _ = without(both, ["k1"])
    write_private(path, old)
    relay.vault = Vault(relay.store, RingFile(path, old, every_s=0))
    async with running(relay, edges) as tenant, edges.suite(await edges.key(tenant), ADA) as console:
        await eventually(lambda: console.shows(ADA) == "Available")
        for ring in (both, narrow):
            write_private(path, ring)
            async for progress in Sealed(relay.store).reencrypt(KeyRing.from_json(both)):
                assert not progress.broken
        [grant] = await Vault(relay.store, KeyRing.from_json(narrow)).list(tenant)
        assert not grant.sealed_shut
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: console.shows(ADA) == "Busy")


async def test_a_tenant_whose_key_was_missing_heals_when_the_key_is_back(relay: Relay, edges: Edges, tmp_path: Path):
    path, wrong = tmp_path / "ring.json", make_ring("k0", now_s=1)
    right = make_ring("k1", now_s=2, older=wrong)
    relay.vault = Vault(relay.store, KeyRing.from_json(right))
    tenant = await relay.onboard()
    write_private(path, wrong)
    relay.vault = Vault(relay.store, RingFile(path, wrong, every_s=0))
    async with relay.working(), edges.edge(), edges.suite(await edges.key(tenant), ADA) as console:
        await eventually(lambda: console.shows(ADA) is Status.CONSENT_REQUIRED)
        write_private(path, right)
        await eventually(lambda: console.shows(ADA) == "Available", timeout=20)


async def test_when_the_relays_own_credential_is_refused_no_tenant_is_blamed(relay: Relay, edges: Edges):
    tenant = await relay.onboard()
    application = relay.microsoft.world.application(CLIENT_ID)
    assert application is not None
    often = replace(SETTINGS, grant_refresh=timedelta(milliseconds=50))
    async with relay.working(settings=often), edges.edge(), edges.suite(await edges.key(tenant), ADA) as console:
        await eventually(lambda: console.shows(ADA) == "Available")
        application.secrets.clear()
        await eventually(lambda: len(refusals(relay)) >= 3)
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: console.shows(ADA) == "Busy")
        [grant] = await relay.vault.list(tenant)
        assert (grant.state, grant.error) == (GrantState.HEALTHY, "")
        kept = await relay.tenants.load(tenant)
        assert kept is not None
        assert kept.state is TenantState.ACTIVE


def refusals(relay: Relay) -> list[object]:
    return [line for line in relay.microsoft.journal.search() if line.path.endswith("/token") and line.status == 401]
