"""Rotation of the key ring while everything is in use."""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

import console
import onboarding
import pages
import relay
from relay.core.presence import TenantId
from relay.store.custody.reseal import SEALED_FIELDS, ResealProgress, Sealed
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.custody.vault import NEW, Grant, Vault
from relay.store.sealing import notify_secrets
from relay.store.sealing.keyring import Belonging, KeyRing, SealBroken, make_ring, without
from relay.store.sealing.ring_file import RingFile, new_private, write_private
from relay.store.sealing.ring_users import RingUsers
from relay.store.sealing.short_lived import Flows
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store.samples import NOW, TENANT, user

OLD_RING = make_ring("k1", now_s=1)
NEW_RING = make_ring("k2", now_s=2, older=OLD_RING)
OLD, BOTH = KeyRing.from_json(OLD_RING), KeyRing.from_json(NEW_RING)
NARROW = KeyRing.from_json(without(NEW_RING, ["k1"])[0])
HERE = Belonging(TENANT, user(1))
GRANT = Grant(tenant_id=TENANT, account_id=user(1), token_cache='{"RefreshToken": "0.AAA"}', created=NOW)


async def some_grants(store: Store, ring: KeyRing, count: int = 3) -> list[int]:
    await Tenants(store).put(Tenant(tenant_id=TENANT, created=NOW))
    return [await Vault(store, ring).save(replace(GRANT, account_id=user(n)), NEW) for n in range(count)]


async def reencrypted(store: Store, ring: KeyRing) -> ResealProgress:
    return [progress async for progress in Sealed(store).reencrypt(ring)][-1]


# ---------------------------------------------------------------- the ring and its file


def test_a_key_whose_time_has_not_come_opens_and_does_not_seal() -> None:
    now = 100.0
    ring = KeyRing.from_json(make_ring("k2", now_s=50, older=OLD_RING, used_from_s=200), lambda: now)
    assert ring.newest == "k1"
    assert ring.open(KeyRing(ring.keys, lambda: 1e12).seal("secret", HERE), HERE) == "secret"
    now = 200.0
    assert ring.newest == "k2"


def test_a_ring_of_keys_whose_time_has_not_come_seals_all_the_same() -> None:
    ring = KeyRing.from_json(make_ring("k1", now_s=1, used_from_s=10**12))
    assert ring.open(ring.seal("secret", HERE), HERE) == "secret"


def test_a_ring_follows_its_file(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    write_private(path, OLD_RING)
    ring = RingFile(path, OLD_RING, every_s=0)
    assert ring.newest == "k1"
    ring.reload_if_changed()
    assert ring.generation == 0
    write_private(path, NEW_RING)
    assert BOTH.open(ring.seal("secret", HERE), HERE) == "secret"
    assert (ring.newest, ring.generation) == ("k2", 1)


def test_a_key_that_is_missing_is_looked_for_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    write_private(path, OLD_RING)
    ring = RingFile(path, OLD_RING, every_s=3600)
    ring.reload_if_changed()
    write_private(path, NEW_RING)
    assert ring.open(BOTH.seal("secret", HERE), HERE) == "secret"


@pytest.mark.parametrize("content", ["", "garbage", '{"keys": []}', "{" * 100_000])
def test_a_file_that_broke_leaves_the_ring_as_it_was(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ring.json"
    write_private(path, OLD_RING)
    ring = RingFile(path, OLD_RING, every_s=0)
    path.write_text(content)
    assert OLD.open(ring.seal("secret", HERE), HERE) == "secret"
    path.unlink()
    assert OLD.open(ring.seal("secret", HERE), HERE) == "secret"


def test_a_private_file_is_replaced_whole_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["ring.json"]


def test_a_private_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "ring.json"
    target.mkdir()
    with pytest.raises(OSError):
        write_private(target, "new")
    assert [file.name for file in tmp_path.iterdir()] == ["ring.json"]


# ---------------------------------------------------------------- re-encryption


@pytest.mark.each_topology
async def test_grants_and_flows_move_to_the_key_in_use_and_versions_stay(store: Store) -> None:
    versions = await some_grants(store, OLD)
    await Flows(store, OLD).put("a" * 43, "a flow")
    progress = await reencrypted(store, BOTH)
    assert (progress.seen, progress.rewritten, progress.broken) == (4, 4, [])
    assert (await reencrypted(store, BOTH)).rewritten == 0
    grants = await Vault(store, NARROW).list(TENANT)
    assert [(grant.token_cache, grant.version) for grant in grants] == [(GRANT.token_cache, v) for v in versions]
    flow = await Flows(store, NARROW).load("a" * 43)
    assert flow is not None
    assert flow.content == "a flow"


async def test_the_secret_of_a_tenants_notices_is_reencrypted_among_its_settings(store: Store) -> None:
    await some_grants(store, NARROW, 1)
    kept = {"language": "it", notify_secrets.SETTING: notify_secrets.seal(OLD, TENANT, "a-long-random-secret")}
    await Tenants(store).put(Tenant(tenant_id=TENANT, created=NOW, settings=kept))
    assert (await Sealed(store).census()).under("k1") == {"secrets of notices": 1}
    assert (await reencrypted(store, BOTH)).rewritten == 1
    tenant = await Tenants(store).load(TENANT)
    assert tenant is not None
    assert tenant.settings["language"] == "it"
    assert notify_secrets.opened(NARROW, TENANT, tenant.settings[notify_secrets.SETTING]) == "a-long-random-secret"
    assert not (await Sealed(store).census()).under("k1")


def test_a_secret_of_another_tenant_does_not_open() -> None:
    other = TenantId("00000000-0000-4000-8000-0000000000ff")
    with pytest.raises(SealBroken):
        notify_secrets.opened(OLD, other, notify_secrets.seal(OLD, TENANT, "a-long-random-secret"))


async def test_a_flow_that_is_reencrypted_expires_as_it_would_have(store: Store, raw: Redis) -> None:
    await Flows(store, OLD).put("a" * 43, "a flow")
    await reencrypted(store, BOTH)
    [key] = await raw.keys("flow:*")
    assert 0 < await raw.pttl(key) <= 15 * 60 * 1000


async def test_a_step_of_a_flow_goes_on_although_it_was_reencrypted_meanwhile(store: Store) -> None:
    flows = Flows(store, BOTH)
    await Flows(store, OLD).put("a" * 43, "a flow")
    read = await flows.load("a" * 43)
    assert read is not None
    await reencrypted(store, BOTH)
    assert await flows.replace(read, "the next step") is not None
    assert await flows.replace(read, "a second click") is None


async def test_what_does_not_open_is_named_and_the_rest_is_rewritten(store: Store, raw: Redis) -> None:
    await some_grants(store, OLD)
    await raw.hset(keys.grant(TENANT, user(1)), "token_cache", "garbage")
    progress = await reencrypted(store, BOTH)
    assert progress.broken == [keys.grant(TENANT, user(1)).decode()]
    census = await Sealed(store).census()
    assert census.under("k2") == {"grants": 2}
    assert census.under("") == {"grants": 1}


@pytest.mark.each_topology
async def test_a_reencryption_gives_way_to_a_write_and_loses_none(store: Store) -> None:
    [version] = await some_grants(store, OLD, 1)
    vault, written = Vault(store, BOTH), version

    async def write() -> None:
        nonlocal written
        for n in range(50):
            written = await vault.save(replace(GRANT, account_id=user(0), token_cache=f'{{"n": {n}}}'), written)

    async def rotate() -> None:
        for ring in (BOTH, OLD) * 10:
            await reencrypted(store, ring)

    await asyncio.gather(write(), rotate())
    kept = await vault.load(TENANT, user(0))
    assert kept is not None
    assert (kept.token_cache, kept.version) == ('{"n": 49}', written)


async def test_processes_with_two_rings_rotate_without_a_gap(store: Store) -> None:
    """One has the wider ring and the other not yet; once the key's time has come, both know it and both open everything."""
    now = 100.0
    wider = KeyRing.from_json(make_ring("k2", now_s=50, older=OLD_RING, used_from_s=200), lambda: now)
    [version] = await some_grants(store, OLD, 1)
    grant = replace(GRANT, account_id=user(0))
    version = await Vault(store, wider).save(grant, version)
    assert not (await Vault(store, OLD).list(TENANT))[0].sealed_shut
    now = 200.0
    await Vault(store, wider).save(grant, version)
    with pytest.raises(SealBroken):
        OLD.open((await store.vault_command("HGET", keys.grant(TENANT, user(0)), "token_cache")).decode(), HERE)
    assert not (await Vault(store, KeyRing(wider.keys)).list(TENANT))[0].sealed_shut


def test_whatever_seals_is_known_to_the_rotation() -> None:
    """A module that seals something new must have a row in PLACES, or a retired key would take that with it."""
    roots = [Path(package.__file__).parent for package in (relay, pages, onboarding, console) if package.__file__]
    found = {path.name for root in roots for path in root.rglob("*.py") if re.search(r"ring\.seal\(", path.read_text())}
    others = {"access_requests.py", "short_lived.py", "invitations.py", "notify_secrets.py"}
    assert found == {"vault.py", "admissions.py", "reseal.py", *others}
    assert len(SEALED_FIELDS) == 5


@pytest.mark.each_topology
async def test_processes_say_what_they_seal_with(store: Store) -> None:
    users = RingUsers(store)
    await users.announce("a", OLD)
    await users.announce("b", BOTH)
    assert [(u.name, u.seals_with, u.knows) for u in await users.all()] == [
        ("a", "k1", ("k1",)),
        ("b", "k2", ("k2", "k1")),
    ]
    await users.leave("a")
    assert [user.name for user in await users.all()] == ["b"]


@pytest.mark.parametrize("has_nameless", [True, False])
def test_a_new_private_file_is_whole_or_not_there_and_none_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_nameless: bool
) -> None:
    if not has_nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    path = tmp_path / "today.backup"
    with pytest.raises(ZeroDivisionError), new_private(path) as file:
        file.write(b"half"[: 1 // 0])
    assert list(tmp_path.iterdir()) == []
    with new_private(path) as file:
        file.write(b"whole")
    assert path.read_bytes() == b"whole"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError), new_private(path) as file:
        file.write(b"another")
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]
