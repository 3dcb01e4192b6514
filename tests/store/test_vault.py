from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from relay.core.consent.grants import GrantState
from relay.core.consent.microsoft_error import MicrosoftError, RefusalRecord
from relay.errors import NotSaved, TenantRemoved
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.custody.vault import NEW, Grant, Vault, VersionConflict
from relay.store.presence import hints
from relay.store.presence.pipes import Inbox
from relay.store.sealing.keyring import Belonging, KeyRing, KeyRingInvalid, SealBroken, make_ring
from relay.store.server import keys
from relay.store.server.blocking import START_ID
from relay.store.server.connection import Store, StoreSettings
from tests.store.samples import NOW, TENANT, tenant_in, user
from tests.support.valkey import ValkeyServer

P = keys.partition_of(TENANT)
OLD_RING = make_ring("k1", now_s=1)
NEW_RING = make_ring("k2", now_s=2, older=OLD_RING)
HERE = Belonging(TENANT, user(1))
GRANT = Grant(
    tenant_id=TENANT, account_id=user(1), upn="ada@contoso.com", token_cache='{"RefreshToken": "0.AAA"}', created=NOW
)


@pytest.fixture
async def vault(store: Store) -> Vault:
    await Tenants(store).put(Tenant(tenant_id=TENANT, created=NOW))
    return Vault(store, KeyRing.from_json(OLD_RING))


# --------------------------------------------------------------- key ring


@pytest.mark.parametrize("value", ["", "x", "ü€", "x" * 500_000])
def test_what_was_sealed_opens(value: str) -> None:
    ring = KeyRing.from_json(OLD_RING)
    sealed = ring.seal(value, HERE)
    assert ring.open(sealed, HERE) == value
    assert sealed != ring.seal(value, HERE)


@pytest.mark.parametrize(
    "elsewhere", [Belonging(tenant_in(1), user(1)), Belonging(TENANT, user(2)), Belonging(TENANT, user(1), "other")]
)
def test_a_value_that_was_moved_does_not_open(elsewhere: Belonging) -> None:
    ring = KeyRing.from_json(OLD_RING)
    with pytest.raises(SealBroken):
        ring.open(ring.seal("secret", HERE), elsewhere)


def test_a_value_under_another_header_does_not_open() -> None:
    ring = KeyRing.from_json(NEW_RING)
    head, *rest = ring.seal("secret", Belonging(TENANT, user(2))).split(".")
    claims = json.loads(base64.urlsafe_b64decode(head + "=="))
    for forged in (
        {**claims, "oid": user(1)},
        {**claims, "oid": user(1), "kid": "k1"},
        {**claims, "alg": "A256KW"},
        {},
    ):
        other = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()
        with pytest.raises(SealBroken):
            ring.open(".".join([other, *rest]), HERE)


@given(place=st.integers(0, 10_000), char=st.characters(max_codepoint=0x7F))
def test_a_changed_value_does_not_open(place: int, char: str) -> None:
    ring = KeyRing.from_json(OLD_RING)
    sealed = ring.seal("secret", HERE)
    place %= len(sealed)
    changed = sealed[:place] + char + sealed[place + 1 :]
    if changed != sealed:
        try:
            opened = ring.open(changed, HERE)
        except SealBroken as broken:
            opened = str(broken)
        # The last character of a part has bits that do not count.
        harmless = place + 1 == len(sealed) or sealed[place + 1] == "."
        assert harmless or "secret" not in opened


@pytest.mark.parametrize("garbage", ["", ".", "....", "a.b.c.d.e", "é", "x" * 100_000])
def test_garbage_does_not_open(garbage: str) -> None:
    with pytest.raises(SealBroken):
        KeyRing.from_json(OLD_RING).open(garbage, HERE)


def test_the_newest_key_seals_and_every_key_opens() -> None:
    old, new = KeyRing.from_json(OLD_RING), KeyRing.from_json(NEW_RING)
    assert (old.newest, new.newest) == ("k1", "k2")
    assert new.open(old.seal("secret", HERE), HERE) == "secret"
    with pytest.raises(SealBroken, match="lacks the key"):
        old.open(new.seal("secret", HERE), HERE)
    shuffled = json.dumps({"keys": json.loads(NEW_RING)["keys"][::-1]})
    assert KeyRing.from_json(shuffled).newest == "k2"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not a JWK set"),
        ("[]", "not a JWK set"),
        ("{}", "not a JWK set"),
        ('{"keys": []}', "no key"),
        ('{"keys": [{}]}', "not symmetric"),
        ('{"keys": [{"kty": "oct", "kid": "a", "k": "c2hvcnQ"}]}', "256 bits"),
        ('{"keys": [{"kty": "oct", "kid": "", "k": 5}]}', "no kid"),
        ('{"keys": [{"kty": "oct", "kid": "a", "iat": "x", "k": "c2hvcnQ"}]}', "iat"),
    ],
)
def test_an_unusable_ring_says_why_and_shows_no_key(text: str, fault: str) -> None:
    with pytest.raises(KeyRingInvalid, match=fault) as caught:
        KeyRing.from_json(text)
    assert "c2hvcnQ" not in str(caught.value)


def test_two_keys_of_one_name_are_refused_and_a_ring_hides_its_keys() -> None:
    secret = json.loads(OLD_RING)["keys"][0]["k"]
    with pytest.raises(KeyRingInvalid, match="same kid"):
        KeyRing.from_json(make_ring("k1", now_s=2, older=OLD_RING))
    assert secret not in repr(KeyRing.from_json(OLD_RING))


# ----------------------------------------------------------------- grants


@pytest.mark.each_topology
async def test_a_grant_comes_back_as_it_was_saved_and_is_stored_encrypted(vault: Vault, raw: Redis) -> None:
    version = await vault.save(GRANT, NEW)
    assert await vault.load(TENANT, user(1)) == replace(GRANT, version=version)
    assert await vault.list(TENANT) == [replace(GRANT, version=version)]
    assert await vault.load(TENANT, user(2)) is None
    assert b"RefreshToken" not in b"".join((await raw.hgetall(keys.grant(TENANT, user(1)))).values())
    assert "RefreshToken" not in repr(GRANT)


async def test_of_two_writers_of_one_version_one_wins(vault: Vault) -> None:
    version = await vault.save(GRANT, NEW)
    writes = [vault.save(replace(GRANT, error=f"e{n}"), version) for n in range(5)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    (won,) = [result for result in results if isinstance(result, int)]
    conflicts = [result for result in results if isinstance(result, VersionConflict)]
    assert [conflict.version for conflict in conflicts] == [won] * 4
    assert won > version


async def test_a_grant_that_was_renewed_cannot_be_marked_dead_by_an_old_refusal(vault: Vault) -> None:
    first = await vault.save(GRANT, NEW)
    renewed = await vault.save(replace(GRANT, token_cache="new"), first)
    with pytest.raises(VersionConflict):
        await vault.set_state(TENANT, user(1), first, GrantState.DEAD, "invalid_grant")
    after = await vault.set_state(TENANT, user(1), renewed, GrantState.DEAD, "invalid_grant")
    assert await vault.load(TENANT, user(1)) == replace(
        GRANT, token_cache="new", version=after, state=GrantState.DEAD, error="invalid_grant"
    )


async def test_a_version_never_comes_twice_not_even_after_a_removal(vault: Vault) -> None:
    first = await vault.save(GRANT, NEW)
    assert await vault.remove(TENANT, user(1))
    assert not await vault.remove(TENANT, user(1))
    with pytest.raises(VersionConflict) as caught:
        await vault.save(GRANT, first)
    assert caught.value.version == NEW
    assert await vault.save(GRANT, NEW) > first
    with pytest.raises(VersionConflict):
        await vault.save(GRANT, first)


@pytest.mark.each_topology
async def test_no_grant_outlives_its_tenant(store: Store, vault: Vault) -> None:
    version = await vault.save(GRANT, NEW)
    await Tenants(store).remove(TENANT)
    for expected in (version, NEW):
        with pytest.raises(TenantRemoved):
            await vault.save(GRANT, expected)
    assert await vault.list(TENANT) == []


async def test_the_worker_hears_of_each_version_and_of_no_conflict(store: Store, vault: Vault) -> None:
    version = await vault.save(GRANT, NEW)
    with pytest.raises(VersionConflict):
        await vault.save(GRANT, version + 1)
    await vault.remove(TENANT, user(1))
    inbox = Inbox(store)
    entries = await inbox.read({P: START_ID}, timedelta(milliseconds=20))
    assert [entry.hint for entry in entries][1:] == [hints.GrantChanged(TENANT, user(1))] * 2
    await inbox.aclose()


@pytest.mark.each_topology
async def test_a_grant_that_does_not_open_hides_no_other(store: Store, vault: Vault, raw: Redis) -> None:
    await vault.save(GRANT, NEW)
    await vault.save(replace(GRANT, account_id=user(2), created=NOW + timedelta(days=1)), NEW)
    moved = await raw.hget(keys.grant(TENANT, user(1)), "token_cache")
    await raw.hset(keys.grant(TENANT, user(2)), "token_cache", moved)
    first, second = await vault.list(TENANT)
    assert (first.token_cache, first.sealed_shut) == (GRANT.token_cache, False)
    assert (second.token_cache, second.sealed_shut) == ("", True)


async def test_an_acknowledged_grant_survives_kill_9(tmp_path) -> None:
    ring = KeyRing.from_json(OLD_RING)
    with ValkeyServer(tmp_path) as server:
        async with Store(StoreSettings(url=server.url)) as store:
            await Tenants(store).put(Tenant(tenant_id=TENANT, created=NOW))
            version = NEW
            for n in range(20):
                version = await Vault(store, ring).save(replace(GRANT, error=str(n)), version)
        server.kill()
        server.start()
        async with Store(StoreSettings(url=server.url)) as store:
            assert await Vault(store, ring).load(TENANT, user(1)) == replace(GRANT, error="19", version=version)


async def test_a_grant_that_no_replica_acknowledged_is_not_saved(valkey: ValkeyServer, vault: Vault) -> None:
    settings = StoreSettings(url=valkey.url, replicas=1, operation_timeout=timedelta(milliseconds=50))
    async with Store(settings) as store:
        with pytest.raises(NotSaved):
            await Vault(store, KeyRing.from_json(OLD_RING)).save(GRANT, NEW)


TROUBLE = RefusalRecord(
    code="invalid_grant/bad_token",
    at=NOW,
    said=MicrosoftError(
        number=50173, words="AADSTS50173: It ended.", trace_id="t-1", correlation_id="c-1", time="2026-11-24 09:00Z"
    ),
)


async def test_a_dead_grant_keeps_why_and_since_when_until_long_after_it_works_again(vault: Vault) -> None:
    version = await vault.save(GRANT, NEW)
    before = await vault.load(TENANT, user(1))
    version = await vault.set_state(TENANT, user(1), version, GrantState.DEAD, TROUBLE.code, trouble=TROUBLE)
    dead = await vault.load(TENANT, user(1))
    assert before
    assert dead
    assert before.since
    assert dead.since
    assert (dead.last_error, dead.since >= before.since) == (TROUBLE, True)

    version = await vault.set_state(TENANT, user(1), version, GrantState.DEAD, TROUBLE.code)
    still = await vault.load(TENANT, user(1))
    assert still
    assert (still.last_error, still.since) == (TROUBLE, dead.since), "refused again is not dead anew"

    await vault.save(replace(still, state=GrantState.HEALTHY, error=""), version)
    healthy = await vault.load(TENANT, user(1))
    assert healthy
    assert healthy.since
    assert (healthy.last_error, healthy.since >= dead.since) == (TROUBLE, True)


async def test_the_use_of_a_grant_is_noted_without_a_new_version(vault: Vault) -> None:
    version = await vault.save(GRANT, NEW)
    later = NOW + timedelta(hours=1)
    await vault.touch(TENANT, user(1), used=later, succeeded=None)
    await vault.touch(TENANT, user(1), used=NOW, succeeded=NOW)
    grant = await vault.load(TENANT, user(1))
    assert grant
    assert (grant.version, grant.last_use, grant.last_success) == (version, later, NOW)
    await vault.remove(TENANT, user(1))
    await vault.touch(TENANT, user(1), used=later, succeeded=later)
    assert await vault.load(TENANT, user(1)) is None
