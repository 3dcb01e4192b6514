"""The audit log: what is done and what is told are one step, and it is bounded."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from relay.core.audit import events as audit
from relay.core.audit.events import OPERATOR, Actor, EventKind
from relay.core.audit.export import Form
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.store.custody import audit as store_audit
from relay.store.custody.admissions import AdmissionRequest, Admissions
from relay.store.custody.audit import RETENTION, AuditLog
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.custody.vault import NEW, Grant, Vault, VersionConflict
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store.samples import NOW, TENANT, tenant_in, user
from tests.support.ring import MARKS

RING = KeyRing.from_json(make_ring("k1", now_s=1))
ADA = Actor.account("ada@contoso.com", user(1))
CONTOSO = Tenant(tenant_id=TENANT, name="Contoso", domain="contoso.com", created=NOW, settings={"oof": "yes"})
NEW_TENANT = replace(CONTOSO, state=TenantState.REMOVED)
"""One that an admission begins anew, and tells of."""


@pytest.fixture
async def log(store: Store) -> AuditLog:
    await Tenants(store).put(CONTOSO)
    return AuditLog(store)


async def told(log: AuditLog) -> list[tuple[EventKind, str, str]]:
    """Return the entries of the log, oldest first: kind, actor, subject."""
    return [(each.entry.kind, each.entry.by.name, each.entry.subject_id) async for each in log.all(TENANT)][::-1]


async def admit(store: Store, number: int, by: Actor | None = None) -> None:
    await Admissions(store, RING).admit(
        AdmissionRequest(
            tenant_id=TENANT,
            account_id=user(number),
            upn=f"u{number}",
            token_cache="secret",
            name="",
            domain="",
            settings={},
            by=by,
        )
    )


@pytest.mark.each_topology
async def test_an_admission_tells_of_the_tenant_and_of_the_grant(store: Store) -> None:
    log = AuditLog(store)
    await admit(store, 1)
    await admit(store, 1)
    await admit(store, 2, by=ADA)
    assert await told(log) == [
        (EventKind.TENANT_ADMITTED, "u1", user(1)),
        (EventKind.GRANT_ADDED, "u1", user(1)),
        (EventKind.GRANT_REPLACED, "u1", user(1)),
        (EventKind.GRANT_ADDED, ADA.name, user(2)),
    ]


async def test_grants_that_are_saved_and_withdrawn_are_told_if_somebody_did_it(store: Store, log: AuditLog) -> None:
    vault = Vault(store, RING)
    grant = Grant(tenant_id=TENANT, account_id=user(1), token_cache="secret", created=NOW)
    version = await vault.save(grant, NEW, audit.grant_added(ADA, user(1), "u1"))
    version = await vault.save(grant, version)  # a refreshed token
    await vault.save(grant, version, audit.grant_added(ADA, user(1), "u1"))
    assert await vault.remove(TENANT, user(1), audit.grant_withdrawn(ADA, user(1), "u1"))
    kinds = [kind for kind, _, _ in await told(log)]
    assert kinds == [EventKind.GRANT_ADDED, EventKind.GRANT_REPLACED, EventKind.GRANT_WITHDRAWN]


async def test_what_did_not_happen_is_not_told(store: Store, log: AuditLog) -> None:
    vault = Vault(store, RING)
    assert not await vault.remove(TENANT, user(1), audit.grant_withdrawn(ADA, user(1), "u1"))
    grant = Grant(tenant_id=TENANT, account_id=user(1), token_cache="secret", created=NOW)
    with pytest.raises(VersionConflict):
        await vault.save(grant, 17, audit.grant_added(ADA, user(1), "u1"))
    assert not await SuiteKeys(store, MARKS).revoke("0123456789abcdef", audit.key_revoked(ADA, "0123456789abcdef", ""))
    resumed = audit.tenant(EventKind.TENANT_RESUMED, OPERATOR)
    assert await Tenants(store).happened(TENANT, TenantEvent.RESUMED, resumed) is TenantState.ACTIVE
    assert await told(log) == []


async def test_keys_are_told_of_with_their_ids(store: Store, log: AuditLog) -> None:
    suite_keys = SuiteKeys(store, MARKS)
    key = await suite_keys.issue(TENANT, "desk", audit.key_made(ADA, "desk"))
    newer = await suite_keys.issue(TENANT, "desk", audit.key_rotated(ADA, "desk", key.key_id))
    for _ in range(3):  # a revocation that is repeated is told once
        assert await suite_keys.revoke(key.key_id, audit.key_revoked(OPERATOR, key.key_id, "desk"))
    assert await told(log) == [
        (EventKind.KEY_MADE, ADA.name, key.key_id),
        (EventKind.KEY_ROTATED, ADA.name, newer.key_id),
        (EventKind.KEY_REVOKED, "", key.key_id),
    ]


async def test_a_revocation_that_was_cut_short_is_completed_by_its_repetition(store: Store, log: AuditLog) -> None:
    suite_keys = SuiteKeys(store, MARKS)
    key = await suite_keys.issue(TENANT, "desk")
    await suite_keys.revoke(key.key_id)  # as far as it came: revoked, not told
    await suite_keys.revoke(key.key_id, audit.key_revoked(ADA, key.key_id, "desk"))
    assert await told(log) == [(EventKind.KEY_REVOKED, ADA.name, key.key_id)]


async def test_states_of_the_tenant_are_told_when_they_change(store: Store, log: AuditLog) -> None:
    suspended = audit.tenant(EventKind.TENANT_SUSPENDED, OPERATOR, "unpaid")
    await Tenants(store).happened(TENANT, TenantEvent.SUSPENDED, suspended)
    await Tenants(store).happened(TENANT, TenantEvent.SUSPENDED, suspended)
    page = await log.page(TENANT)
    assert [each.entry.details for each in page.entries] == [{"reason": "unpaid"}]


async def test_of_two_administrators_at_once_neither_undoes_the_others_setting(store: Store, log: AuditLog) -> None:
    tenants = Tenants(store)
    await asyncio.gather(*(tenants.change_settings(TENANT, {f"s{n}": "on"}, ADA, shown={f"s{n}"}) for n in range(10)))
    kept = await tenants.load(TENANT)
    assert kept is not None
    assert kept.settings == {"oof": "yes"} | {f"s{n}": "on" for n in range(10)}
    changes = [dict(each.entry.details) async for each in log.all(TENANT)]
    assert sorted(changes, key=str) == [{f"s{n}": "(none) -> on"} for n in range(10)]
    assert await tenants.change_settings(TENANT, {"oof": ""}, ADA) == {f"s{n}": "on" for n in range(10)}
    assert await tenants.change_settings(tenant_in(1), {"oof": ""}, ADA) is None


@pytest.mark.each_topology
async def test_a_tenant_takes_its_log_with_it_and_nothing_is_told_afterwards(
    store: Store, log: AuditLog, raw: Redis
) -> None:
    await admit(store, 1)
    watch = audit.watched(Actor.suite("k1", "desk"), ["ada@contoso.com"], NOW, NOW)
    await log.append_watches(TENANT, [watch])
    await Tenants(store).remove(TENANT)
    await log.append_watches(TENANT, [watch])
    assert await raw.keys("*audit*") == []


async def test_pages_come_newest_first_and_show_everything_once(store: Store, log: AuditLog) -> None:
    await Tenants(store).put(NEW_TENANT)
    for number in range(7):
        await admit(store, number)
        await log.append_watches(TENANT, [audit.watched(Actor.suite("k1", ""), [f"u{number}"], NOW, NOW)])
    found, after = [], None
    while True:
        page = await log.page(TENANT, after=after, limit=3)
        found += page.entries
        assert len(page.entries) <= 3
        if (after := page.next) is None:
            break
    assert len({each.id for each in found}) == len(found) == 15
    assert [each.time for each in found] == sorted((each.time for each in found), reverse=True)
    deeds = await log.page(TENANT, watches=False, limit=1000)
    assert len(deeds.entries) == 8
    assert await log.page(TENANT, after="nonsense_; DROP", limit=3) == await log.page(TENANT, limit=3)


async def test_entries_are_read_by_time(log: AuditLog, store: Store) -> None:
    await Tenants(store).put(NEW_TENANT)
    await admit(store, 1)
    now = datetime.now(UTC)
    assert len((await log.page(TENANT, since=now - timedelta(minutes=1))).entries) == 2
    assert (await log.page(TENANT, since=now + timedelta(minutes=1))).entries == ()
    assert (await log.page(TENANT, until=now - timedelta(minutes=1))).entries == ()


async def test_entries_older_than_thirty_days_are_neither_shown_nor_kept(
    log: AuditLog, store: Store, raw: Redis
) -> None:
    await Tenants(store).put(NEW_TENANT)
    old = datetime.now(UTC) - RETENTION - timedelta(minutes=1)
    entry = json.loads(store_audit.encoded(audit.contact_changed(ADA)))
    key, entry_id = keys.audit(TENANT), f"{int(old.timestamp() * 1000)}-0"
    await raw.execute_command("XADD", key, entry_id, "k", entry["kind"], "s", "", "e", entry["body"])
    assert (await log.page(TENANT)).entries == ()
    await admit(store, 1)
    assert await raw.xlen(key) == 2
    assert 0 < await raw.pttl(key) <= RETENTION / timedelta(milliseconds=1)


async def test_a_log_is_bounded_and_says_when_that_cut_it(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_audit, "MOST_WATCHES", 200)
    watch = audit.watched(Actor.suite("k1", ""), ["ada"], NOW, NOW)
    await log.append_watches(TENANT, [watch] * 100)
    assert not (await log.page(TENANT)).is_cut
    for _ in range(5):
        await log.append_watches(TENANT, [watch] * 100)
    page = await log.page(TENANT, limit=1000)
    assert page.is_cut
    assert len(page.entries) < 400


async def test_no_secret_is_in_what_is_stored(store: Store, log: AuditLog, raw: Redis) -> None:
    await admit(store, 1)
    key = await SuiteKeys(store, MARKS).issue(TENANT, "desk", audit.key_made(ADA, "desk"))
    stored = str(await raw.xrange(keys.audit(TENANT)))
    assert key.key_id in stored
    assert "secret" not in stored
    assert key.text.split("_", 2)[2] not in stored


async def test_the_log_is_exported(log: AuditLog, store: Store) -> None:
    await Tenants(store).put(NEW_TENANT)
    await admit(store, 1)
    lines = [json.loads(line) async for line in log.export(TENANT, Form.JSON)]
    assert [line["what"] for line in lines] == ["grant-added", "tenant-admitted"]
    assert len([line async for line in log.export(TENANT, Form.CSV)]) == len(lines) + 1
