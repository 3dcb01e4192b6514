"""Suite keys that take each other's place, and what is told of their suites."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from relay.core.audit import events as audit
from relay.core.presence import TenantId
from relay.errors import SuiteKeyRevoked, SuiteKeyUnknown, TenantRemoved
from relay.store.custody.audit import AuditLog
from relay.store.custody.suite_keys import MAX_OVERLAP, PROVISIONAL, SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.presence.connected import ConnectedSuites, OpenStreams
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store.samples import NOW, TENANT
from tests.support.ring import MARKS

ELSEWHERE = TenantId("99999999-9999-4999-8999-999999999999")
ADA = audit.Actor.account("ada@contoso.example", "a" * 8)


@pytest.fixture
async def suite_keys(store: Store) -> SuiteKeys:
    await Tenants(store).put(Tenant(tenant_id=TENANT, created=NOW))
    return SuiteKeys(store, MARKS)


async def told(store: Store) -> list[str]:
    return [str(entry.entry.kind) for entry in (await AuditLog(store).page(TENANT)).entries]


async def test_a_provisional_key_works_and_ends_by_itself(suite_keys: SuiteKeys, raw: Redis):
    key = await suite_keys.issue(TENANT, "desk", provisional=True)
    record = await suite_keys.verify(key.text)
    assert record.is_provisional
    assert record.expires is not None
    assert record.expires - record.created == PROVISIONAL
    await raw.hset(keys.suite_key(key.key_id), "expires", 1)
    with pytest.raises(SuiteKeyRevoked):
        await suite_keys.verify(key.text)
    assert not await suite_keys.keep(TENANT, key.key_id, audit.key_made(ADA, "desk"))


@pytest.mark.each_topology
async def test_a_provisional_key_that_is_kept_works_for_good_and_is_told_once(suite_keys: SuiteKeys, store: Store):
    key = await suite_keys.issue(TENANT, "desk", provisional=True)
    assert await told(store) == []
    for _ in range(2):
        assert await suite_keys.keep(TENANT, key.key_id, audit.key_made(ADA, "desk"))
    record = await suite_keys.verify(key.text)
    assert (record.is_provisional, record.expires) == (False, None)
    assert await told(store) == ["key-made"]


async def test_a_revoked_key_is_not_kept(suite_keys: SuiteKeys):
    key = await suite_keys.issue(TENANT, "desk", provisional=True)
    await suite_keys.revoke(key.key_id)
    assert not await suite_keys.keep(TENANT, key.key_id, audit.key_made(ADA, "desk"))


async def test_a_key_ends_after_its_overlap_and_the_first_end_stands(suite_keys: SuiteKeys, raw: Redis):
    key = await suite_keys.issue(TENANT, "desk")
    before = datetime.now(UTC)
    ends = await suite_keys.end_later(TENANT, key.key_id, timedelta(days=1))
    assert ends is not None
    assert timedelta(days=1) <= ends - before + timedelta(milliseconds=1) < timedelta(days=1, seconds=10)
    assert await suite_keys.end_later(TENANT, key.key_id, MAX_OVERLAP) == ends
    assert (await suite_keys.verify(key.text)).expires == ends
    assert await suite_keys.ended([key.key_id]) == set()
    await raw.hset(keys.suite_key(key.key_id), "expires", 1)
    with pytest.raises(SuiteKeyRevoked):
        await suite_keys.verify(key.text)
    assert await suite_keys.ended([key.key_id, "0" * 16]) == {key.key_id, "0" * 16}


async def test_without_an_overlap_a_key_ends_at_once(suite_keys: SuiteKeys):
    key = await suite_keys.issue(TENANT, "desk")
    await suite_keys.end_later(TENANT, key.key_id, timedelta())
    with pytest.raises(SuiteKeyRevoked):
        await suite_keys.verify(key.text)


@pytest.mark.parametrize("overlap", [timedelta(days=7, milliseconds=1), timedelta(days=365), timedelta(seconds=-1)])
async def test_an_overlap_has_bounds(suite_keys: SuiteKeys, overlap: timedelta):
    key = await suite_keys.issue(TENANT, "desk")
    with pytest.raises(ValueError, match="overlap"):
        await suite_keys.end_later(TENANT, key.key_id, overlap)


async def test_another_tenants_key_is_neither_ended_nor_renamed(suite_keys: SuiteKeys):
    key = await suite_keys.issue(TENANT, "desk")
    assert await suite_keys.end_later(ELSEWHERE, key.key_id, timedelta()) is None
    assert not await suite_keys.rename(ELSEWHERE, key.key_id, "mine")
    record = await suite_keys.verify(key.text)
    assert (record.label, record.expires) == ("desk", None)


async def test_a_suite_is_renamed(suite_keys: SuiteKeys, store: Store):
    key = await suite_keys.issue(TENANT, "desk")
    assert await suite_keys.rename(TENANT, key.key_id, "x" * 300, audit.key_renamed(ADA, key.key_id, "desk", "x" * 100))
    assert (await suite_keys.verify(key.text)).label == "x" * 100
    assert await told(store) == ["key-renamed"]


async def test_the_program_is_noted_with_the_key_once_an_hour_and_when_it_changes(suite_keys: SuiteKeys, raw: Redis):
    key = await suite_keys.issue(TENANT, "desk")
    await suite_keys.touch(key.key_id, "console\n<b>", "7.2" + "x" * 500)
    record = await suite_keys.verify(key.text)
    assert (record.client, len(record.client_version)) == ("console <b>", 100)
    await raw.config_resetstat()
    await suite_keys.touch(key.key_id, "console\n<b>", "7.2" + "x" * 500)
    await suite_keys.touch(key.key_id, "console", "7.3")  # not within a minute
    assert "cmdstat_hset" not in await raw.info("commandstats")
    await raw.hset(keys.suite_key_use(key.key_id), "last_used", int((datetime.now(UTC).timestamp() - 61) * 1000))
    await suite_keys.touch(key.key_id, "console", "7.3")
    assert (await suite_keys.verify(key.text)).client_version == "7.3"


@pytest.mark.each_topology
async def test_of_a_tenant_that_left_its_suites_are_told_for_a_month_and_nothing_else_is_kept(
    suite_keys: SuiteKeys, store: Store, raw: Redis
):
    key = await suite_keys.issue(TENANT, "the porter's desk")
    await suite_keys.touch(key.key_id, "console", "7.2")
    await Tenants(store).remove(TENANT)
    with pytest.raises(TenantRemoved):
        await suite_keys.verify(key.text)
    kept = await raw.hgetall(keys.suite_key(key.key_id))
    assert set(kept) == {b"tenant", b"hash", b"created", b"revoked"}
    assert 0 < await raw.pttl(keys.suite_key(key.key_id)) <= 30 * 86_400_000
    await raw.delete(keys.suite_key(key.key_id))
    with pytest.raises(SuiteKeyUnknown):
        await suite_keys.verify(key.text)


@pytest.mark.each_topology
async def test_who_is_connected_is_added_up_over_edges_and_forgotten_when_nobody_says_so(store: Store, raw: Redis):
    connected = ConnectedSuites(store)
    await connected.say("edge-1", {TENANT: {"k1": OpenStreams(1, 10), "k2": OpenStreams(2, 5)}})
    await connected.say("edge-2", {TENANT: {"k1": OpenStreams(1, 7)}, ELSEWHERE: {"k9": OpenStreams(1, 1)}})
    assert await connected.of(TENANT) == {"k1": OpenStreams(2, 17), "k2": OpenStreams(2, 5)}
    assert await connected.of(ELSEWHERE) == {"k9": OpenStreams(1, 1)}
    key = keys.tenant_connected(TENANT)
    assert 0 < await raw.pttl(key) <= 60_000
    await raw.hset(key, "edge-1", b"1000 " + (await raw.hget(key, "edge-1")).split(b" ")[1])  # killed long ago
    assert await connected.of(TENANT) == {"k1": OpenStreams(1, 7)}
    await connected.say("edge-2", {TENANT: {}})
    assert await connected.of(TENANT) == {}
    assert await raw.hkeys(key) == []
