"""Marks that are made once, made anew, and carried through a backup: what is genuine stays so, and nothing else becomes so."""

from __future__ import annotations

import io

import pytest
from redis.asyncio import Redis

from relay.errors import SuiteKeyUnknown
from relay.store.backup.file import BackupKey, make_backup_key
from relay.store.backup.restore import Restore, check_backup
from relay.store.backup.write import back_up
from relay.store.custody.marking import Marking
from relay.store.custody.suite_key_records import IssuedKey
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.sealing.marks import MarkVerdict, PublicMarks, RingMarks
from relay.store.sealing.signing import Purpose, public_set
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store.samples import NOW, TENANT
from tests.support.ring import MARKS, RING, RING_JSON

BOTH_JSON = make_ring("new", now_s=1, older=RING_JSON)
BOTH = KeyRing.from_json(BOTH_JSON)
NEW_ONLY = PublicMarks(public_set(KeyRing(BOTH.keys[:1]), Purpose.SUITE_KEY))
"""Return the marks of an edge once the old key was retired."""
PRIVATE, PUBLIC = (BackupKey.from_json(text) for text in make_backup_key())


@pytest.fixture
async def issued(store: Store) -> list[IssuedKey]:
    """Five suite keys, marked with the old key of the ring."""
    await Tenants(store).put(Tenant(tenant_id=TENANT, created=NOW))
    return [await SuiteKeys(store, MARKS).issue(TENANT, f"desk {number}") for number in range(5)]


async def taken(store: Store, given: list[IssuedKey]) -> int:
    """Count the keys that an edge takes that knows the new ring key alone."""
    number = 0
    for key in given:
        try:
            await SuiteKeys(store, NEW_ONLY).verify(key.text)
        except SuiteKeyUnknown:
            continue
        number += 1
    return number


@pytest.mark.each_topology
async def test_marking_anew_goes_on_where_it_was_interrupted(store: Store, issued: list[IssuedKey]):
    marking = Marking(store, RingMarks(BOTH))
    assert await taken(store, issued) == 0
    async for is_new in marking.renew():
        assert is_new
        break
    assert await taken(store, issued) == 1
    assert sum([is_new async for is_new in marking.renew()]) == 4
    assert await taken(store, issued) == 5
    assert sum([is_new async for is_new in marking.renew()]) == 0
    assert dict((await marking.census()).by_kid) == {"new": 5}


async def test_marking_anew_makes_nothing_genuine(store: Store, issued: list[IssuedKey], raw: Redis):
    bare, changed, *others = issued
    await raw.hdel(keys.suite_key(bare.key_id), "mark")
    await raw.hset(keys.suite_key(changed.key_id), "hash", bytes(32))
    marking = Marking(store, RingMarks(BOTH))
    assert sum([is_new async for is_new in marking.renew()]) == 3
    census = await marking.census()
    assert (dict(census.by_kid), dict(census.others)) == ({"new": 3}, {MarkVerdict.MISSING: 1, MarkVerdict.FALSE: 1})
    assert await taken(store, issued) == len(others)


async def test_a_key_that_changes_between_the_look_and_the_mark_gets_none(
    store: Store, issued: list[IssuedKey], raw: Redis
):
    """Only the record that the operator saw is marked: not another secret, another tenant, or a key revoked meanwhile."""
    marking = Marking(store, MARKS)
    for key in issued:
        await raw.hdel(keys.suite_key(key.key_id), "mark")
    seen = {key.record.key_id: key async for key in marking.in_force()}
    secret, tenant, revoked, gone, same = issued
    await raw.hset(keys.suite_key(secret.key_id), "hash", bytes(32))
    await raw.hset(keys.suite_key(tenant.key_id), "tenant", "99999999-9999-4999-8999-999999999999")
    await SuiteKeys(store).revoke(revoked.key_id)
    await raw.delete(keys.suite_key(gone.key_id))
    assert [await marking.mark(seen[key.key_id]) for key in issued] == [False, False, False, False, True]
    assert [await raw.hexists(keys.suite_key(key.key_id), "mark") for key in issued] == [False] * 4 + [True]
    assert (await SuiteKeys(store, MARKS).verify(same.text)).tenant_id == TENANT


@pytest.mark.each_topology
async def test_a_restore_makes_genuine_marks_anew_and_no_others(store: Store, issued: list[IssuedKey], raw: Redis):
    """From a backup under a retired key, which the operator put into the ring again. One record was planted before the backup."""
    planted = issued[0]
    await raw.hdel(keys.suite_key(planted.key_id), "mark")
    file = io.BytesIO()
    await back_up(store, file, PUBLIC, RING)
    await raw.flushall()

    assert check_backup(file, PRIVATE, BOTH).unmarked == {MarkVerdict.MISSING: 1}
    assert [one.keys_written async for one in Restore(store, file, PRIVATE, BOTH).restored()] == [5]
    assert await taken(store, issued) == 4
    with pytest.raises(SuiteKeyUnknown):
        await SuiteKeys(store, RingMarks(BOTH)).verify(planted.text)
