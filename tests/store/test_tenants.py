from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.core.audit.events import OPERATOR
from relay.core.consent.microsoft_error import MicrosoftError, RefusalRecord
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.core.revision import START
from relay.errors import NotSaved, SuiteKeyRevoked, SuiteKeyUnknown, TenantRemoved
from relay.store.custody.suite_key_records import parse
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import SettingsConflict, Tenant, Tenants
from relay.store.custody.vault import NEW, Grant, Vault
from relay.store.presence import hints
from relay.store.presence.entries import EndedAccess
from relay.store.presence.pipes import ChangesReader, Inbox
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server import keys
from relay.store.server.blocking import START_ID
from relay.store.server.connection import Store, StoreSettings
from tests.store.samples import NOW, TENANT, tenant_in, user
from tests.support.ring import MARKS
from tests.support.valkey import ValkeyServer

P = keys.partition_of(TENANT)
CONTOSO = Tenant(tenant_id=TENANT, name="Contosö", domain="contoso.com", created=NOW, settings={"oof": "yes"})


@pytest.fixture
async def tenants(store: Store) -> Tenants:
    tenants = Tenants(store)
    await tenants.put(CONTOSO)
    return tenants


async def ended(store: Store) -> list:
    reader = ChangesReader(store)
    reader.set(P, START)
    found = []
    while entries := await reader.read():
        found += [entry for _, entry in entries]
    await reader.aclose()
    return [(entry.tenant_id, entry.key_id) for entry in found if isinstance(entry, EndedAccess)]


# ---------------------------------------------------------------- tenants


async def test_a_tenant_comes_back_as_it_was_put(tenants: Tenants) -> None:
    assert await tenants.load(TENANT) == CONTOSO
    assert (await tenants.rosters([P]))[P].tenants == {TENANT}
    assert await tenants.load(tenant_in(1)) is None


async def test_putting_a_tenant_again_updates_it_and_keeps_when_it_was_created(tenants: Tenants) -> None:
    await tenants.put(replace(CONTOSO, name="New", created=NOW + timedelta(days=1)))
    assert await tenants.load(TENANT) == replace(CONTOSO, name="New")
    assert len(await tenants.list()) == 1


@pytest.mark.each_topology
async def test_all_tenants_are_listed_whatever_their_partition(store: Store) -> None:
    tenants = Tenants(store)
    ids = sorted(tenant_in(partition) for partition in range(0, 64, 7))
    for tenant_id in ids:
        await tenants.put(replace(CONTOSO, tenant_id=tenant_id))
    assert [tenant.tenant_id for tenant in await tenants.list()] == ids


@pytest.mark.each_topology
async def test_events_at_once_do_not_undo_each_other(store: Store, tenants: Tenants) -> None:
    await asyncio.gather(*(store.ping() for _ in range(4)))  # so that the two do not wait for connections in turn
    for _ in range(10):
        await tenants.put(replace(CONTOSO, state=TenantState.ACTIVE))
        await asyncio.gather(
            tenants.happened(TENANT, TenantEvent.SUSPENDED), tenants.happened(TENANT, TenantEvent.LAST_GRANT_DIED)
        )
        tenant = await tenants.load(TENANT)
        assert tenant
        assert tenant.state is TenantState.SUSPENDED
    assert await tenants.happened(tenant_in(1), TenantEvent.CONSENTED) is None


@pytest.mark.each_topology
async def test_the_worker_hears_of_every_change_of_a_tenant(store: Store, tenants: Tenants) -> None:
    await tenants.happened(TENANT, TenantEvent.SUSPENDED)
    await tenants.happened(TENANT, TenantEvent.SUSPENDED)  # changes nothing
    await tenants.remove(TENANT)
    inbox = Inbox(store)
    entries = await inbox.read({P: START_ID}, timedelta(milliseconds=20))
    assert [entry.hint for entry in entries] == [hints.TenantChanged(TENANT)] * 3
    await inbox.aclose()


@pytest.mark.each_topology
async def test_a_removed_tenant_leaves_nothing_of_value_and_its_keys_stay_dead(
    store: Store, tenants: Tenants, raw: Redis
) -> None:
    suite_keys = SuiteKeys(store, MARKS)
    vault = Vault(store, KeyRing.from_json(make_ring("k1", now_s=1)))
    key = await suite_keys.issue(TENANT, "front desk")
    await vault.save(Grant(tenant_id=TENANT, account_id=user(1), token_cache="secret", created=NOW), NEW)
    assert await tenants.remove(TENANT)
    assert await tenants.load(TENANT) is None
    assert await tenants.list() == []
    assert await vault.list(TENANT) == []
    assert not await raw.exists(keys.grant(TENANT, user(1)))
    with pytest.raises(TenantRemoved):
        await suite_keys.verify(key.text)
    assert (TENANT, "") in await ended(store)
    assert not await tenants.remove(TENANT)
    await tenants.put(CONTOSO)
    with pytest.raises(SuiteKeyRevoked):
        await suite_keys.verify(key.text)


# ------------------------------------------------------------- suite keys


@pytest.mark.each_topology
async def test_a_suite_key_belongs_to_its_tenant(store: Store, tenants: Tenants, raw: Redis) -> None:
    suite_keys = SuiteKeys(store, MARKS)
    key = await suite_keys.issue(TENANT, "front desk" * 50)
    record = await suite_keys.verify(key.text)
    assert (record.key_id, record.tenant_id, record.label) == (key.key_id, TENANT, ("front desk" * 50)[:100])
    assert await suite_keys.list(TENANT) == [record]
    secret = key.text.split("_", 2)[2].encode()
    for stored in await raw.keys():
        assert secret not in await raw.dump(stored)
    assert key.text not in repr(key)
    assert secret.decode() not in repr(parse(key.text))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text + "\n",
        lambda text: text.upper(),
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: "psk_" + "0" * 16 + text[20:],
        lambda text: text.replace("psk_", "psk-"),
        lambda text: "psk_" + "٠" * 16 + text[20:],
        lambda text: "x" * 1_000_000,
        lambda text: text[:20] + "_" + "\x00" * 43,
    ],
)
async def test_what_is_not_exactly_an_issued_key_is_unknown(store: Store, tenants: Tenants, change) -> None:
    key = await SuiteKeys(store, MARKS).issue(TENANT, "front desk")
    with pytest.raises(SuiteKeyUnknown) as caught:
        await SuiteKeys(store, MARKS).verify(change(key.text))
    assert key.text[21:] not in str(caught.value)


@pytest.mark.each_topology
async def test_a_revoked_key_is_refused_and_its_streams_are_ended(store: Store, tenants: Tenants) -> None:
    suite_keys = SuiteKeys(store, MARKS)
    revoked, other = await suite_keys.issue(TENANT, "old"), await suite_keys.issue(TENANT, "new")
    assert await suite_keys.revoke(revoked.key_id)
    with pytest.raises(SuiteKeyRevoked):
        await suite_keys.verify(revoked.text)
    await suite_keys.verify(other.text)
    first = {record.key_id: record.revoked for record in await suite_keys.list(TENANT)}
    assert await suite_keys.revoke(revoked.key_id)
    assert {record.key_id: record.revoked for record in await suite_keys.list(TENANT)} == first
    assert first[revoked.key_id] is not None
    assert first[other.key_id] is None
    assert set(await ended(store)) == {(TENANT, revoked.key_id)}
    assert not await suite_keys.revoke("0" * 16)


async def test_a_wrong_secret_does_not_tell_that_a_key_was_revoked(store: Store, tenants: Tenants) -> None:
    suite_keys = SuiteKeys(store, MARKS)
    key = await suite_keys.issue(TENANT, "old")
    await suite_keys.revoke(key.key_id)
    with pytest.raises(SuiteKeyUnknown):
        await suite_keys.verify(key.text[:21] + "A" * 43)


async def test_a_key_needs_a_tenant(store: Store) -> None:
    with pytest.raises(TenantRemoved):
        await SuiteKeys(store, MARKS).issue(TENANT, "nobody's")


async def test_use_is_noted_coarsely(store: Store, tenants: Tenants, raw: Redis) -> None:
    suite_keys = SuiteKeys(store, MARKS)
    key = await suite_keys.issue(TENANT, "front desk")
    assert (await suite_keys.verify(key.text)).last_used is None
    await suite_keys.touch(key.key_id)
    first = (await suite_keys.verify(key.text)).last_used
    assert first is not None
    await raw.config_resetstat()
    await suite_keys.touch(key.key_id)
    assert "cmdstat_hset" not in await raw.info("commandstats")
    await suite_keys.touch("0" * 16)
    assert not await raw.exists(keys.suite_key("0" * 16))


# ---------------------------------------------------------------- custody


async def test_tenants_and_keys_survive_kill_9(tmp_path) -> None:
    with ValkeyServer(tmp_path) as server:
        async with Store(StoreSettings(url=server.url)) as store:
            await Tenants(store).put(CONTOSO)
            key = await SuiteKeys(store, MARKS).issue(TENANT, "front desk")
        server.kill()
        server.start()
        async with Store(StoreSettings(url=server.url)) as store:
            assert await Tenants(store).list() == [CONTOSO]
            assert (await SuiteKeys(store, MARKS).verify(key.text)).tenant_id == TENANT


async def test_what_nobody_acknowledged_is_not_saved(valkey: ValkeyServer, raw: Redis) -> None:
    settings = StoreSettings(url=valkey.url, replicas=1, operation_timeout=timedelta(milliseconds=50))
    async with Store(settings) as store:
        with pytest.raises(NotSaved):
            await Tenants(store).put(CONTOSO)
        with pytest.raises(NotSaved):
            await SuiteKeys(store, MARKS).issue(TENANT, "front desk")


async def test_custody_with_a_server_of_its_own_keeps_everything_there_and_tells_the_worker(
    valkey: ValkeyServer, raw: Redis, tmp_path
) -> None:
    with ValkeyServer(tmp_path, appendonly="no") as plain:
        async with Store(StoreSettings(url=plain.url, vault_url=valkey.url)) as store:
            tenants, suite_keys = Tenants(store), SuiteKeys(store, MARKS)
            vault = Vault(store, KeyRing.from_json(make_ring("k1", now_s=1)))
            await tenants.put(CONTOSO)
            key = await suite_keys.issue(TENANT, "front desk")
            await vault.save(Grant(tenant_id=TENANT, account_id=user(1), token_cache="secret", created=NOW), NEW)
            await suite_keys.touch(key.key_id)
            await suite_keys.revoke(key.key_id)
            assert await tenants.happened(TENANT, TenantEvent.SUSPENDED) is TenantState.SUSPENDED
            assert len(await vault.list(TENANT)) == 1
            assert await ended(store) == [(TENANT, key.key_id)]
            inbox = Inbox(store)
            entries = await inbox.read({P: START_ID})
            assert [entry.hint for entry in entries] == [
                hints.TenantChanged(TENANT),
                hints.GrantChanged(TENANT, user(1)),
                hints.TenantChanged(TENANT),
            ]
            await inbox.aclose()
        async with Redis.from_url(plain.url) as presence:
            assert {key.split(b":", 1)[1].split(b":")[0] for key in await presence.keys()} == {b"inbox", b"changes"}
    assert not [key for key in await raw.keys() if b"inbox" in key or b"changes" in key]


async def test_a_tenant_keeps_why_it_needs_consent_and_since_when(store: Store, tenants: Tenants) -> None:
    await tenants.put(replace(CONTOSO, state=TenantState.ACTIVE))
    trouble = RefusalRecord(code="invalid_grant", at=NOW, said=MicrosoftError(number=65001, words="AADSTS65001: None."))
    await tenants.happened(TENANT, TenantEvent.LAST_GRANT_DIED, trouble=trouble)
    dead = await tenants.load(TENANT)
    assert dead
    assert dead.since
    assert dead.trouble == trouble

    await tenants.put(replace(dead, name="Renamed"))
    renamed = await tenants.load(TENANT)
    assert renamed
    assert (renamed.trouble, renamed.since) == (trouble, dead.since)

    await tenants.happened(TENANT, TenantEvent.HEALED, trouble=trouble)
    healed = await tenants.load(TENANT)
    assert healed
    assert healed.since
    assert (healed.trouble, healed.since >= dead.since) == (None, True)


async def test_a_setting_that_somebody_else_changed_since_it_was_seen_is_not_overwritten(tenants: Tenants) -> None:
    await tenants.put(CONTOSO)
    seen = dict(CONTOSO.settings)
    await tenants.change_settings(TENANT, {"language": "it"}, OPERATOR)
    with pytest.raises(SettingsConflict) as conflict:
        await tenants.change_settings(TENANT, {"language": "en"}, OPERATOR, seen={"language": seen.get("language", "")})
    assert conflict.value.names == {"language"}
    kept = await tenants.change_settings(TENANT, {"other": "1"}, OPERATOR, seen={"other": ""})
    assert kept is not None
    assert kept["language"] == "it"
    # Who wishes for what is there already loses nothing.
    assert await tenants.change_settings(TENANT, {"language": "it"}, OPERATOR, seen={"language": ""}) == kept
