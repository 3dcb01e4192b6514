"""Backup and restore: whole or refused, and the way back leads to what was there."""

from __future__ import annotations

import io
import random
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.core.audit import events as audit
from relay.core.audit.events import OPERATOR, Actor, EventKind
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.errors import SuiteKeyRevoked
from relay.store.backup import file as backup_file
from relay.store.backup.file import (
    BackupInvalid,
    BackupKey,
    BackupReader,
    BackupUnsigned,
    BackupWriter,
    make_backup_key,
)
from relay.store.backup.restore import Restore, RestoreOutcome, TenantRestored, check_backup
from relay.store.backup.write import back_up
from relay.store.custody import operator_log
from relay.store.custody.admissions import AdmissionRequest, Admissions
from relay.store.custody.audit import AuditLog
from relay.store.custody.managers import Managers
from relay.store.custody.operator_log import ActKind, OperatorAct, OperatorLog
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.custody.turned_away import TurnedAway
from relay.store.custody.vault import Vault
from relay.store.presence.pipes import Inbox
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.sealing.marks import MarkVerdict
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store.samples import NOW, TENANT, tenant_in, user
from tests.support.ring import MARKS, RING

PRIVATE, PUBLIC = (BackupKey.from_json(text) for text in make_backup_key())
ADA = Actor.account("ada@contoso.com", user(1))
OTHER = tenant_in(7)


async def fill(store: Store) -> dict[str, str]:
    """Two tenants; returns the suite key of each."""
    texts = {}
    for tenant_id in (TENANT, OTHER):
        for number in (1, 2):
            await Admissions(store, RING).admit(AdmissionRequest(tenant_id=tenant_id, account_id=user(number), upn=f"u{number}", token_cache=f"secret of {tenant_id} {number}", name="Contoso", domain="contoso.com", settings={"contact_email": "ada@contoso.com"}))  # fmt: skip
        texts[tenant_id] = (await SuiteKeys(store, MARKS).issue(tenant_id, "desk", audit.key_made(ADA, "desk"))).text
    watch = audit.watched(Actor.suite("k1", "desk"), ["ada"], NOW, NOW)
    await AuditLog(store).append_watches(TENANT, [watch] * 2500)
    return texts


async def backed_up(store: Store) -> io.BytesIO:
    file = io.BytesIO()
    await back_up(store, file, PUBLIC, RING)
    file.seek(0)
    return file


async def restored(store: Store, file: io.BytesIO, **options: bool) -> list[TenantRestored]:
    check_backup(file, PRIVATE, RING)
    return [one async for one in Restore(store, file, PRIVATE, RING, **options).restored()]


def outcomes(told: list[TenantRestored]) -> Counter[RestoreOutcome]:
    return Counter(one.outcome for one in told)


async def everything(raw: Redis) -> dict[bytes, object]:
    """All that custody has, as it is."""
    found: dict[bytes, object] = {}
    for name in sorted(await raw.keys("*")):
        kind = await raw.type(name)
        if any(part in name for part in (b":inbox", b":changes", b":cursor")):
            continue
        read = {b"hash": raw.hgetall, b"set": raw.smembers, b"stream": raw.xrange, b"string": raw.get}[kind]
        found[name] = await read(name)
    return found


# ---------------------------------------------------------------- there and back


@pytest.mark.each_topology
async def test_what_was_lost_comes_back_as_it_was(store: Store, raw: Redis) -> None:
    texts = await fill(store)
    before = await everything(raw)
    file = await backed_up(store)
    await raw.flushall()

    assert outcomes(await restored(store, file)) == {RestoreOutcome.RESTORED: 2}
    after = await everything(raw)
    for tenant_id in (TENANT, OTHER):  # that it was restored is told too
        log = keys.audit(tenant_id)
        assert after[log][:-1] == before[log]  # type: ignore[index]
        assert after[log][-1][1][b"k"] == b"tenant-restored"  # type: ignore[index]
        del before[log], after[log]
    assert after == before
    for tenant_id, text in texts.items():
        assert (await SuiteKeys(store, MARKS).verify(text)).tenant_id == tenant_id
        grants = await Vault(store, RING).list(tenant_id)
        assert [grant.token_cache for grant in grants] == [f"secret of {tenant_id} {n}" for n in (1, 2)]


async def test_the_worker_is_told_of_a_tenant_that_came_back(store: Store, raw: Redis) -> None:
    await fill(store)
    file = await backed_up(store)
    await raw.flushall()
    await restored(store, file)
    inbox = Inbox(store)
    assert await raw.xlen(keys.inbox(keys.partition_of(TENANT))) > 0
    await inbox.aclose()


async def test_a_restore_may_be_repeated_and_changes_nothing_then(store: Store, raw: Redis) -> None:
    await fill(store)
    file = await backed_up(store)
    await raw.flushall()
    await restored(store, file)
    first = await everything(raw)
    assert outcomes(await restored(store, file)) == {RestoreOutcome.SAME: 2}
    assert outcomes(await restored(store, file, overwrite=True)) == {RestoreOutcome.SAME: 2}
    assert await everything(raw) == first


async def test_what_is_newer_is_left_unless_told(store: Store, raw: Redis) -> None:
    await fill(store)
    file = await backed_up(store)
    vault = Vault(store, RING)
    [grant, _] = await vault.list(TENANT)
    newer = await vault.save(replace(grant, token_cache="newer"), grant.version)
    await Tenants(store).happened(TENANT, TenantEvent.SUSPENDED)
    now = await everything(raw)

    assert outcomes(await restored(store, file)) == {RestoreOutcome.LEFT: 1, RestoreOutcome.SAME: 1}
    assert await everything(raw) == now

    assert outcomes(await restored(store, file, overwrite=True)) == {
        RestoreOutcome.OVERWRITTEN: 1,
        RestoreOutcome.SAME: 1,
    }
    kept = await vault.load(TENANT, grant.account_id)
    assert kept is not None
    assert kept.token_cache == grant.token_cache
    assert kept.version > newer  # whoever holds the newer one must see that this is another
    tenant = await Tenants(store).load(TENANT)
    assert tenant is not None
    assert tenant.state is TenantState.ACTIVE
    assert outcomes(await restored(store, file, overwrite=True)) == {RestoreOutcome.SAME: 2}


async def test_a_withdrawn_grant_does_not_come_back_by_itself(store: Store) -> None:
    await fill(store)
    file = await backed_up(store)
    await Vault(store, RING).remove(TENANT, user(1))
    assert RestoreOutcome.LEFT in outcomes(await restored(store, file))
    assert await Vault(store, RING).load(TENANT, user(1)) is None


@pytest.mark.each_topology
async def test_a_tenant_that_the_operator_removed_since_stays_away_and_its_mark_is_in_a_backup(
    store: Store, raw: Redis
) -> None:
    await fill(store)
    before = await backed_up(store)
    await Tenants(store).remove(TENANT, reason="unpaid")
    assert {one.tenant_id: one.outcome for one in await restored(store, before)}[TENANT] is RestoreOutcome.AWAY
    after = await backed_up(store)
    await raw.flushall()
    await restored(store, after)
    assert await Tenants(store).load(TENANT) is None
    mark = await TurnedAway(store).load(TENANT)
    assert mark is not None
    assert mark.reason == "unpaid"
    assert {one.tenant_id: one.outcome for one in await restored(store, before, overwrite=True)}[
        TENANT
    ] is RestoreOutcome.RESTORED
    assert await TurnedAway(store).load(TENANT) is None


@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_suite_key_that_was_revoked_stays_so_whatever_is_told(store: Store, overwrite: bool) -> None:
    texts = await fill(store)
    file = await backed_up(store)
    await Tenants(store).remove(TENANT, Actor.account("ada@contoso.com", user(1)))  # revokes them
    told = {one.tenant_id: one for one in await restored(store, file, overwrite=overwrite)}
    assert (told[TENANT].outcome, told[TENANT].keys_written, told[TENANT].keys_revoked) == (
        RestoreOutcome.RESTORED,
        0,
        1,
    )
    with pytest.raises(SuiteKeyRevoked):
        await SuiteKeys(store, MARKS).verify(texts[TENANT])


async def test_a_suite_key_that_was_shown_since_does_not_end_by_a_restore(store: Store) -> None:
    await fill(store)
    key = await SuiteKeys(store, MARKS).issue(TENANT, "new", provisional=True)
    file = await backed_up(store)
    await SuiteKeys(store, MARKS).keep(TENANT, key.key_id, audit.key_made(ADA, "new"))
    await restored(store, file, overwrite=True)
    assert (await SuiteKeys(store, MARKS).verify(key.text)).expires is None


async def test_whoever_looks_after_a_tenant_again_by_a_restore_is_told(store: Store) -> None:
    """Their right may have been ended for a reason since."""
    await fill(store)
    managers = Managers(store)
    for account, upn in ((user(1), "ada@b.de"), (user(2), "ben@b.de")):
        await managers.add(TENANT, account, upn, OPERATOR)
    file = await backed_up(store)
    ben = next(one for one in await managers.list(TENANT) if one.account_id == user(2))
    await managers.remove(TENANT, ben, OPERATOR)
    assert {one.managers_back for one in await restored(store, file)} == {()}
    told = {one.tenant_id: one.managers_back for one in await restored(store, file, overwrite=True)}
    assert told[TENANT] == ("ben@b.de",)


async def test_one_tenant_alone_may_come_back(store: Store, raw: Redis) -> None:
    await fill(store)
    file = await backed_up(store)
    await raw.flushall()
    told = [one async for one in Restore(store, file, PRIVATE, RING).restored(OTHER)]
    assert [(one.tenant_id, one.outcome) for one in told] == [(OTHER, RestoreOutcome.RESTORED)]
    assert [tenant.tenant_id for tenant in await Tenants(store).list()] == [OTHER]


async def test_entries_that_are_too_old_meanwhile_do_not_come_back(store: Store, raw: Redis) -> None:
    await fill(store)
    entry = {"k": "key-made", "s": "", "e": '{"by":["operator","",""]}'}
    old = f"{int((NOW - timedelta(days=300)).timestamp() * 1000)}-0"
    await raw.delete(keys.audit(TENANT))
    await raw.xadd(keys.audit(TENANT), entry, id=old)
    file = await backed_up(store)
    await raw.flushall()
    await restored(store, file)
    kinds = [one.entry.kind async for one in AuditLog(store).all(TENANT) if one.entry.kind is not EventKind.WATCHED]
    assert kinds == [EventKind.TENANT_RESTORED]
    assert await raw.xlen(keys.audit(TENANT)) == 1


def act(about: str, kind: ActKind = ActKind.SUSPENDED) -> OperatorAct:
    return OperatorAct.of(kind, Actor.operator("mia@fabrikam.example", user(9)), tenant_id=TENANT, about=about)


async def abouts(store: Store) -> list[str]:
    """What the acts in the operators' log are about, the newest first."""
    return [one.act.about for one in await OperatorLog(store).recent(10_000)]


@pytest.mark.each_topology
async def test_acts_of_operators_come_back_into_their_places_between_those_since(store: Store, raw: Redis) -> None:
    log = OperatorLog(store)
    for about in ("one", "two", "three"):
        await log.record(act(about))
    before = await log.recent()
    file = await backed_up(store)
    assert check_backup(file, PRIVATE, RING).counts["acts of operators"] == 3
    first, *_, last = [entry_id for entry_id, _ in await raw.xrange(keys.OPERATOR_LOG)]
    await raw.xdel(keys.OPERATOR_LOG, first, last)
    await log.record(act("since"))
    await restored(store, file)
    assert await abouts(store) == ["since", "three", "two", "one"]
    assert (await log.recent())[1:] == before
    restoring = Restore(store, file, PRIVATE, RING)
    assert [one async for one in restoring.restored()] == []
    assert restoring.acts_back == 0  # nothing comes twice
    assert await abouts(store) == ["since", "three", "two", "one"]
    await log.record(act("after"))
    assert (await abouts(store))[0] == "after"


async def test_acts_that_are_too_old_or_too_many_do_not_come_back(
    store: Store, raw: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = OperatorLog(store)
    await log.record(act("one"))
    [(_, fields)] = await raw.xrange(keys.OPERATOR_LOG)
    await raw.delete(keys.OPERATOR_LOG)
    old_ms = int((NOW - timedelta(days=300)).timestamp() * 1000)
    await raw.xadd(keys.OPERATOR_LOG, fields, id=f"{old_ms}-0")
    for about in ("two", "three"):
        await log.record(act(about))
    await raw.xadd(keys.OPERATOR_LOG, fields, id="*")
    file = await backed_up(store)
    await raw.flushall()
    monkeypatch.setattr(operator_log, "MOST", 2)
    await log.record(act("since"))
    await restored(store, file)
    assert await abouts(store) == ["since", "one"]
    assert await raw.xlen(keys.OPERATOR_LOG) == 2


async def test_acts_do_not_come_back_with_one_tenant_alone(store: Store, raw: Redis) -> None:
    await fill(store)
    await OperatorLog(store).record(act("one"))
    file = await backed_up(store)
    await raw.flushall()
    assert [one.tenant_id async for one in Restore(store, file, PRIVATE, RING).restored(TENANT)] == [TENANT]
    assert await abouts(store) == []


@pytest.mark.long
async def test_more_acts_than_a_record_holds_come_back(store: Store, raw: Redis) -> None:
    entry = {"a": '{"kind":"suspended","by":["",""],"about":"x"}'}
    now_ms = int(time.time() * 1000)
    for number in range(1, 1_502):
        await raw.xadd(keys.OPERATOR_LOG, entry, id=f"{now_ms}-{number}")
    before = await raw.xrange(keys.OPERATOR_LOG)
    file = await backed_up(store)
    await raw.flushall()
    await restored(store, file)
    assert await raw.xrange(keys.OPERATOR_LOG) == before


async def test_no_secret_of_the_store_is_in_the_file_and_no_token_even_with_its_key(store: Store) -> None:
    texts = await fill(store)
    file = await backed_up(store)
    content = file.getvalue() + b"".join(BackupReader(file, PRIVATE, RING))
    assert b"contact_email" in content
    assert b"secret of" not in content
    for text in texts.values():
        assert text.split("_", 2)[2].encode() not in content
    assert b"contoso" not in file.getvalue()


async def test_grants_that_the_ring_cannot_open_are_told_before_anything_is_written(store: Store, raw: Redis) -> None:
    await fill(store)
    file = await backed_up(store)
    lost = KeyRing.from_json(make_ring("k2", now_s=2))
    with pytest.raises(BackupUnsigned, match="signed with the key test, which the key ring lacks"):
        check_backup(file, PRIVATE, lost)
    found = check_backup(file, PRIVATE, lost, unsigned=True)
    assert (found.shut, found.unmarked) == ({"test": 4}, {MarkVerdict.KEY_UNKNOWN: 2})
    assert found.counts == {"tenants": 2, "grants": 4, "suite keys": 2, "entries of audit logs": 2508}
    found = check_backup(file, PRIVATE, RING)
    assert (found.shut, found.unmarked) == ({}, {})


# ---------------------------------------------------------------- files that are refused


@pytest.fixture(scope="module")
def whole() -> bytes:
    file = io.BytesIO()
    writer = BackupWriter(file, PUBLIC, RING, NOW)
    for number in range(5):
        writer.write(b"record %d" % number)
    writer.end()
    return file.getvalue()


def read(content: bytes, key: BackupKey = PRIVATE) -> list[bytes]:
    return list(BackupReader(io.BytesIO(content), key, RING))


def test_a_file_is_read_as_it_was_written(whole: bytes) -> None:
    assert read(whole) == [b"record %d" % number for number in range(5)]


@pytest.mark.long
def test_a_file_that_is_cut_off_anywhere_is_refused(whole: bytes) -> None:
    for length in range(len(whole)):
        with pytest.raises(BackupInvalid):
            read(whole[:length])


@pytest.mark.long
def test_a_file_in_which_any_bit_is_flipped_is_refused(whole: bytes) -> None:
    chance = random.Random(1)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        with pytest.raises(BackupInvalid):
            read(bytes(damaged))


def test_lines_that_are_missing_moved_repeated_or_of_another_backup_are_refused(whole: bytes) -> None:
    lines = whole.splitlines(keepends=True)
    another = io.BytesIO()
    writer = BackupWriter(another, PUBLIC, RING, NOW)
    writer.write(b"record 0")
    writer.end()
    for wrong in (
        lines[:2] + lines[3:],
        [*lines[:2], lines[3], lines[2], *lines[4:]],
        [*lines[:2], lines[1], *lines[2:]],
        [lines[0], another.getvalue().splitlines(keepends=True)[1], *lines[2:]],
        [*lines, lines[-1]],
        [*lines[:2], lines[-1]],
    ):
        with pytest.raises(BackupInvalid):
            read(b"".join(wrong))


@pytest.mark.parametrize("content", [b"", b"\n", b"garbage\n", b"{}\n", b"x" * 100_000, b"a.b.c.d.e\n", b"\x00\xff\n"])
def test_what_is_no_backup_is_called_so(content: bytes) -> None:
    with pytest.raises(BackupInvalid, match=r"not a backup|incomplete"):
        read(content)


def test_each_wrong_key_is_refused_with_a_sentence_of_its_own(whole: bytes) -> None:
    stranger = BackupKey.from_json(make_backup_key()[0])
    with pytest.raises(BackupInvalid, match=f"made for the key {PUBLIC.kid}, and this is {stranger.kid}"):
        read(whole, stranger)
    with pytest.raises(BackupInvalid, match="public half"):
        read(whole, PUBLIC)
    for text in ("", "garbage", "[]", "{}", make_ring("k1", now_s=1), '{"kty":"OKP","crv":"X25519","x":"!"}'):
        with pytest.raises(BackupInvalid, match="not a backup key"):
            BackupKey.from_json(text)


def test_a_backup_of_another_version_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    monkeypatch.setattr(backup_file, "VERSION", 3)
    BackupWriter(file, PUBLIC, RING, NOW).end()
    monkeypatch.undo()
    with pytest.raises(BackupInvalid, match="of version 3, and this release reads 2"):
        read(file.getvalue())


def test_nothing_shows_a_private_key() -> None:
    assert "d" not in repr(PRIVATE).replace("BackupKey", "").replace(PRIVATE.kid, "").replace("private", "")
    assert PRIVATE.kid == PUBLIC.kid
    assert not PUBLIC.is_private
