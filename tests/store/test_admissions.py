"""Admission: tenant and grant come together, and what is there stays."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from relay.core.audit.events import Actor
from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import TRANSITIONS, TenantEvent, TenantState
from relay.core.presence import UserId
from relay.store.custody.admissions import AdmissionRequest, Admissions, ReplacedGrant
from relay.store.custody.audit import AuditLog
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.custody.vault import Vault, VersionConflict
from relay.store.presence import hints
from relay.store.presence.pipes import Inbox
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server import keys
from relay.store.server.blocking import START_ID
from relay.store.server.connection import Store
from tests.store.samples import NOW, TENANT, user
from tests.support.valkey import ValkeyServer

RING = KeyRing.from_json(make_ring("test", now_s=0))


async def admit(store: Store, account: UserId, cache: str = "cache", **changes: object) -> TenantState:
    given = {"upn": "a@b.de", "name": "Contoso", "domain": "b.de", "settings": {"contact_name": "Ada"}, **changes}
    taken = await Admissions(store, RING).admit(
        AdmissionRequest(tenant_id=TENANT, account_id=account, token_cache=cache, **given)
    )  # type: ignore[arg-type]
    return taken.state


@pytest.mark.each_topology
async def test_a_new_tenant_comes_with_its_grant(store: Store):
    assert await admit(store, user(1)) is TenantState.ACTIVE
    tenant = await Tenants(store).load(TENANT)
    assert tenant is not None
    assert (tenant.name, tenant.domain, tenant.state) == ("Contoso", "b.de", TenantState.ACTIVE)
    assert dict(tenant.settings) == {"contact_name": "Ada"}
    assert (await Tenants(store).rosters([keys.partition_of(TENANT)]))[keys.partition_of(TENANT)].tenants == {TENANT}
    (grant,) = await Vault(store, RING).list(TENANT)
    assert (grant.account_id, grant.upn, grant.token_cache) == (user(1), "a@b.de", "cache")
    assert grant.last_refresh is not None
    assert abs((grant.created - tenant.created).total_seconds()) < 2


@pytest.mark.each_topology
async def test_the_worker_is_told(store: Store):
    await admit(store, user(1))
    inbox = Inbox(store)
    (entry,) = await inbox.read({keys.partition_of(TENANT): START_ID})
    await inbox.aclose()
    assert entry.hint == hints.GrantChanged(TENANT, user(1))


async def test_another_account_adds_a_grant_and_changes_nothing_else(store: Store):
    await admit(store, user(1))
    vault, tenant = Vault(store, RING), await Tenants(store).load(TENANT)
    first = await vault.load(TENANT, user(1))
    await admit(store, user(2), name="Other", domain="other.de", settings={"contact_name": "Ben"})
    assert await Tenants(store).load(TENANT) == tenant
    assert await vault.load(TENANT, user(1)) == first
    assert len(await vault.list(TENANT)) == 2


async def test_the_same_account_renews_its_grant(store: Store):
    await admit(store, user(1))
    vault = Vault(store, RING)
    (old,) = await vault.list(TENANT)
    await vault.set_state(TENANT, user(1), old.version, GrantState.DEAD, "invalid_grant")
    await admit(store, user(1), "newer")
    (new,) = await vault.list(TENANT)
    assert (new.token_cache, new.state, new.error, new.created) == ("newer", GrantState.HEALTHY, "", old.created)
    with pytest.raises(VersionConflict):
        await vault.save(old, old.version)


async def test_what_was_empty_is_filled_in(store: Store):
    await Tenants(store).put(Tenant(tenant_id=TENANT, domain="kept.de", state=TenantState.PENDING, created=NOW))
    await admit(store, user(1))
    tenant = await Tenants(store).load(TENANT)
    assert tenant is not None
    assert (tenant.name, tenant.domain, tenant.created) == ("Contoso", "kept.de", NOW)
    assert dict(tenant.settings) == {"contact_name": "Ada"}


@pytest.mark.parametrize("before", [state for state in TenantState if state is not TenantState.REMOVED])
async def test_the_state_follows_the_rules_of_the_core(store: Store, before: TenantState):
    await Tenants(store).put(Tenant(tenant_id=TENANT, state=before, created=NOW))
    expected = TRANSITIONS.get((before, TenantEvent.CONSENTED), before)
    assert await admit(store, user(1)) is expected
    tenant = await Tenants(store).load(TENANT)
    assert tenant is not None
    assert tenant.state is expected


async def test_a_tenant_that_left_can_come_back(store: Store):
    await admit(store, user(1))
    (old,) = await Vault(store, RING).list(TENANT)
    await Tenants(store).remove(TENANT, Actor.account("a@b.de", user(1)))
    assert await admit(store, user(2), name="Again") is TenantState.ACTIVE
    (grant,) = await Vault(store, RING).list(TENANT)
    assert grant.account_id == user(2)
    assert grant.version > old.version
    tenant = await Tenants(store).load(TENANT)
    assert tenant is not None
    assert tenant.name == "Again"


async def test_many_at_once_lose_no_grant(store: Store):
    await asyncio.gather(*(admit(store, user(number)) for number in range(20)))
    assert len(await Vault(store, RING).list(TENANT)) == 20


async def test_what_was_admitted_survives_a_crash_and_is_sealed(store: Store, raw: Redis, valkey: ValkeyServer):
    await admit(store, user(1), "the-token-cache")
    assert b"the-token-cache" not in str(await raw.hgetall(keys.grant(TENANT, user(1)))).encode()
    valkey.kill()
    valkey.start()
    async with Store(store.settings) as fresh:
        (grant,) = await Vault(fresh, RING).list(TENANT)
    assert grant.token_cache == "the-token-cache"


@pytest.mark.each_topology
async def test_one_account_takes_anothers_place_in_one_step_and_both_are_told(store: Store):
    await admit(store, user(1))
    await admit(store, user(2), replaces=ReplacedGrant(user(1), "old@contoso.example"))
    (grant,) = await Vault(store, RING).list(TENANT)
    assert grant.account_id == user(2)
    told = [
        (entry.entry.kind.value, entry.entry.subject_id) for entry in (await AuditLog(store).page(TENANT)).entries[:2]
    ]
    assert sorted(told) == [("grant-added", user(2)), ("grant-withdrawn", user(1))]


async def test_an_account_that_takes_its_own_place_is_renewed(store: Store):
    await admit(store, user(1))
    await admit(store, user(1), "newer", replaces=ReplacedGrant(user(1), "same@contoso.example"))
    (grant,) = await Vault(store, RING).list(TENANT)
    assert (grant.account_id, grant.token_cache) == (user(1), "newer")


async def test_the_place_of_a_grant_that_is_gone_can_be_taken(store: Store):
    await admit(store, user(1))
    await admit(store, user(2), replaces=ReplacedGrant(user(9), "gone@contoso.example"))
    assert len(await Vault(store, RING).list(TENANT)) == 2
