"""Restoring from a backup. All checks precede the first write; repeating an interrupted restore completes it.

The steps for each tenant, which make a crash in between harmless:

    1  audit log     expires after at most 30 days, and is not shown while the tenant does not exist
    2  tenant        its record, grants and ids of suite keys in one step, with the mark `restoring` of this backup
    3  suite keys    one by one; each is already listed, so a removal of the tenant finds it
    4  end           removes the mark and records the restore in the audit log

An existing tenant is newer than any backup and does not change, unless the operator requests it. A tenant with the mark
of this backup continues at step 3. A suite key that was revoked after the backup always stays revoked. Acts of
operators are merged into the log, which keeps its newer acts.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from relay.core.audit import events as audit
from relay.core.audit.events import EventKind
from relay.core.presence import TenantId
from relay.core.watching import permission
from relay.store.backup.file import BackupInvalid, BackupReader
from relay.store.backup.write import ActsRecord, AwayRecord, BackupRecord, LogRecord, TenantRecord, counted, read_tenant
from relay.store.custody import managers, operator_log
from relay.store.custody import writes as custody
from relay.store.custody.audit import RETENTION
from relay.store.custody.suite_keys import TOLD
from relay.store.presence import hints
from relay.store.presence.enforcement import Enforcement
from relay.store.sealing.keyring import Belonging, SealBroken, kid_of
from relay.store.sealing.marks import FIELD, MarkVerdict, RingMarks, Vouched
from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import BinaryIO

    from relay.store.backup.file import BackupKey, Manifest
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store
    from relay.store.server.scripting import Arg

_AUDIT = Script("restore_audit")
_TENANT = Script("restore_tenant")
_SUITE_KEY = Script("restore_suite_key")
_FINISH = Script("restore_finish")
_AWAY = Script("restore_away")
_ACTS = Script("restore_acts")

_RECORD_FIELDS: Final = frozenset({b"state", b"created"})
_GRANT_FIELDS: Final = frozenset({b"token_cache", b"version", b"state", b"upn", b"error", b"created", b"last_refresh"})
_INCIDENTAL: Final = frozenset({FIELD, *(name.encode() for name in TOLD)})
"""Fields of a suite key that the comparison of records ignores."""
_KEY_FIELDS: Final = frozenset({b"tenant", b"hash", b"label", b"created"})


class RestoreOutcome(enum.StrEnum):
    """The result of a restore for one tenant."""

    RESTORED = "restored"
    COMPLETED = "completed"
    """An interrupted earlier restore was completed."""
    OVERWRITTEN = "overwritten"
    SAME = "unchanged"
    """The tenant exists and is the same as in the backup."""
    AWAY = "turned away"
    """The operator removed or refused the tenant after the backup; run `tenants lift` first."""
    LEFT = "left as it is"
    """The tenant exists and differs: the relay's record is newer."""


@dataclass(slots=True)
class CheckedBackup:
    """The content of a backup, after a complete read."""

    manifest: Manifest
    counts: Counter[str] = field(default_factory=Counter)
    shut: Counter[str] = field(default_factory=Counter)
    """Key id -> number of grants that the ring cannot open; the empty id is for grants that no key opens."""
    unmarked: Counter[MarkVerdict] = field(default_factory=Counter)
    """Suite keys in force without a genuine mark: they are restored like that, and suites that use them are refused."""


@dataclass(frozen=True, slots=True)
class TenantRestored:
    """The result of a restore for one tenant, with details."""

    tenant_id: TenantId
    outcome: RestoreOutcome
    keys_written: int = 0
    keys_revoked: int = 0
    """Number of suite keys that stay revoked, because they were revoked after the backup."""
    managers_back: tuple[str, ...] = ()
    """Names of restored managers that the existing tenant did not have: their right may have ended after the backup."""


def check_backup(file: BinaryIO, key: BackupKey, ring: KeyRing, *, unsigned: bool = False) -> CheckedBackup:
    """Read and decrypt a whole backup, without writing. The result lists grants that the ring cannot open.

    Raises:
        BackupUnsigned: its signature is missing or unknown, and `unsigned` is False.
        BackupInvalid: it is incomplete, forged, or of another release.
    """
    found: CheckedBackup | None = None
    marks = RingMarks(ring)
    file.seek(0)
    for manifest, record in _records(BackupReader(file, key, ring, unsigned=unsigned)):
        found = found or CheckedBackup(manifest)
        found.counts += counted(record)
        if isinstance(record, TenantRecord):
            for account_id, grant in record.grants.items():
                shut = _shut_under(ring, record.tenant_id, account_id, grant[b"token_cache"])
                if shut is not None:
                    found.shut[shut] += 1
            for key_id, fields in record.suite_keys.items():
                standing = _standing(marks, key_id, fields)
                if standing is not MarkVerdict.GENUINE and b"revoked" not in fields:
                    found.unmarked[standing] += 1
    file.seek(0)
    return found or CheckedBackup(BackupReader(file, key, ring, unsigned=unsigned).manifest)


def _standing(marks: RingMarks, key_id: str, fields: dict[bytes, bytes]) -> MarkVerdict:
    return marks.judge(_vouched(key_id, fields), fields.get(FIELD))


def _vouched(key_id: str, fields: dict[bytes, bytes]) -> Vouched:
    return Vouched(key_id, TenantId(fields[b"tenant"].decode()), fields[b"hash"])


def _shut_under(ring: KeyRing, tenant_id: TenantId, account_id: str, sealed: bytes) -> str | None:
    """Return the id of the missing key of a grant, empty if it is damaged; None if the grant opens."""
    try:
        text = sealed.decode()
        ring.open(text, Belonging(tenant_id, account_id))
    except (SealBroken, UnicodeDecodeError):
        try:
            kid = kid_of(text)
        except (SealBroken, UnboundLocalError):
            return ""
        return "" if kid in {key.kid for key in ring.keys} else kid
    return None


def _records(reader: BackupReader) -> Iterator[tuple[Manifest, BackupRecord]]:
    for line in reader:
        try:
            record: BackupRecord = msgspec.msgpack.decode(line, type=BackupRecord)
        except msgspec.DecodeError:
            raise BackupInvalid("This backup contains records that this release does not know") from None
        _check(record)
        yield reader.manifest, record


def _check(record: BackupRecord) -> None:
    if isinstance(record, LogRecord | AwayRecord | ActsRecord):
        return
    whole = record.record.keys() >= _RECORD_FIELDS
    whole = whole and all(grant.keys() >= _GRANT_FIELDS for grant in record.grants.values())
    whole = whole and all(suite_key.keys() >= _KEY_FIELDS for suite_key in record.suite_keys.values())
    belongs = all(
        suite_key[b"tenant"].decode() == record.tenant_id for suite_key in record.suite_keys.values() if whole
    )
    if not (whole and belongs):
        raise BackupInvalid(f"The record of {record.tenant_id} in this backup is incomplete")


class Restore:
    """Restores tenants and the operators' log from a backup that passed `check_backup`."""

    def __init__(
        self,
        store: Store,
        file: BinaryIO,
        key: BackupKey,
        ring: KeyRing,
        *,
        overwrite: bool = False,
        unsigned: bool = False,
    ) -> None:
        self._store = store
        self._file = file
        self._key = key
        self._ring = ring
        self._unsigned = unsigned
        self._marks = RingMarks(ring)
        self._overwrite = "1" if overwrite else ""
        self.acts_back = 0
        """Number of operators' acts that were restored to their log."""

    async def restored(self, only: TenantId | None = None) -> AsyncIterator[TenantRestored]:
        """Restore all tenants and the operators' log, or one tenant; yield each tenant's result when it is on disk.

        Raises (while iterated):
            NotSaved, StoreUnavailable: the restore was interrupted; repeat it.
        """
        self._file.seek(0)
        for manifest, record in _records(BackupReader(self._file, self._key, self._ring, unsigned=self._unsigned)):
            if isinstance(record, ActsRecord):
                if only is None:
                    self.acts_back += await self._acts(record)
                continue
            if only is not None and record.tenant_id != only:
                continue
            if isinstance(record, LogRecord):
                await self._log(record)
            elif isinstance(record, AwayRecord):
                await self._away(record)
            else:
                yield await self._tenant(manifest, record)

    async def _away(self, record: AwayRecord) -> None:
        """Restore the mark of a turned-away tenant, unless the tenant exists or has a newer mark."""
        tenant_id = record.tenant_id
        call = _AWAY(
            tenant=keys.tenant(tenant_id),
            turned_away=keys.turned_away(keys.partition_of(tenant_id)),
            tenant_id=tenant_id,
            mark=record.mark,
        )
        async with self._store.durable() as vault:
            await vault.run(call)
            await vault.confirm()

    async def _acts(self, record: ActsRecord) -> int:
        """Merge acts of operators into their log; return how many were added."""
        oldest = int((datetime.now(UTC) - operator_log.RETENTION).timestamp() * 1000)
        parts = [part for act in record.acts for part in act]
        call = _ACTS(*parts, operator_log=keys.OPERATOR_LOG, oldest_ms=oldest, most=operator_log.MOST)
        async with self._store.durable() as vault:
            back: int = await vault.run(call)
            await vault.confirm()
        return back

    async def _log(self, record: LogRecord) -> None:
        tenant_id = record.tenant_id
        log = keys.audit_watches(tenant_id) if record.is_watches else keys.audit(tenant_id)
        oldest = int((datetime.now(UTC) - RETENTION).timestamp() * 1000)
        await self._store.vault_run(
            _AUDIT(
                *(part for entry in record.entries for part in entry),
                tenant=keys.tenant(tenant_id),
                audit_log=log,
                oldest=f"{oldest}-0",
                ttl_ms=int(RETENTION / timedelta(milliseconds=1)),
            )
        )

    async def _tenant(self, manifest: Manifest, record: TenantRecord) -> TenantRestored:
        tenant_id = record.tenant_id
        present = await read_tenant(self._store, tenant_id)
        is_same = present is not None and _without_versions(present) == _without_versions(record)
        if present is None or (self._overwrite and not is_same):
            await self._hold_answers_back(record)
        reply = await self._write_tenant(manifest, record, is_same=is_same)
        if reply == b"turned away":
            return TenantRestored(tenant_id, RestoreOutcome.AWAY)
        if reply is None or reply == b"there":
            return TenantRestored(tenant_id, RestoreOutcome.SAME if is_same else RestoreOutcome.LEFT)
        replies = Counter([await self._suite_key(key_id, key) for key_id, key in record.suite_keys.items()])
        await self._finish(manifest, tenant_id)
        outcome = _OUTCOMES[reply]
        before = {} if present is None else present.managers
        back = {one: who for one, who in record.managers.items() if present is not None and one not in before}
        names = tuple(one.upn or one.account_id for one in managers.decode(back))
        return TenantRestored(tenant_id, outcome, replies[b"written"], replies[b"revoked"], names)

    async def _write_tenant(self, manifest: Manifest, record: TenantRecord, *, is_same: bool) -> bytes | None:
        """Perform step 2, and return the script's reply; None if there is nothing to do."""
        tenant_id = record.tenant_id
        if is_same and self._overwrite and not await self._is_under_way(manifest, tenant_id):
            return None
        parts: list[Arg] = [*record.suite_keys, *_flat(record.record)]
        for account_id, grant in record.grants.items():
            parts += [account_id, *_flat(grant)]
        partition = keys.partition_of(tenant_id)
        reply: bytes = await custody.write(
            self._store,
            _TENANT,
            hints.TenantChanged(tenant_id),
            None,
            *parts,
            tenant=keys.tenant(tenant_id),
            tenants=keys.tenants(partition),
            grants=keys.tenant_grants(tenant_id),
            suite_keys=keys.tenant_suite_keys(tenant_id),
            turned_away=keys.turned_away(partition),
            managers=keys.tenant_managers(tenant_id),
            backup_id=manifest.backup_id,
            overwrite=self._overwrite,
            grant_prefix=keys.grant_prefix(tenant_id),
            looks_after=msgspec.json.encode({one.decode(): who.decode() for one, who in record.managers.items()}),
            suite_key_count=len(record.suite_keys),
        )
        return reply

    async def _hold_answers_back(self, record: TenantRecord) -> None:
        """Hold stored answers back if the restored settings restrict who can be watched, as in `Tenants.put`."""
        settings = msgspec.json.decode(record.record.get(b"settings", b"{}"), type=dict[str, str])
        if any(settings.get(name) for name in permission.SETTINGS):
            await Enforcement(self._store).begin(record.tenant_id)

    async def _is_under_way(self, manifest: Manifest, tenant_id: TenantId) -> bool:
        mark = await self._store.vault_command("HGET", keys.tenant(tenant_id), "restoring")
        return mark is not None and mark.decode() == manifest.backup_id

    async def _suite_key(self, key_id: str, fields: dict[bytes, bytes]) -> bytes:
        # Renew a genuine mark, because edges may know only the newest key. Never make one for a key without a genuine
        # mark.
        if b"revoked" not in fields and _standing(self._marks, key_id, fields) is MarkVerdict.GENUINE:
            fields = {**fields, FIELD: self._marks.mark(_vouched(key_id, fields))}
        async with self._store.durable() as vault:
            flat = [part for pair in fields.items() for part in pair]
            reply: bytes = await vault.run(
                _SUITE_KEY(*flat, suite_key=keys.suite_key(key_id), overwrite=self._overwrite)
            )
            await vault.confirm()
        return reply

    async def _finish(self, manifest: Manifest, tenant_id: TenantId) -> None:
        told = audit.tenant(
            EventKind.TENANT_RESTORED, audit.OPERATOR, f"from a backup of {manifest.created:%Y-%m-%d %H:%M} UTC"
        )
        hint = hints.TenantChanged(tenant_id)
        tenant = keys.tenant(tenant_id)
        await custody.write(self._store, _FINISH, hint, told, tenant=tenant, backup_id=manifest.backup_id)


def _without_versions(record: TenantRecord) -> TenantRecord:
    """Return a record for comparison, without fields that an overwritten grant or a rotation of the ring changes."""
    grants = {
        account_id: {name: value for name, value in grant.items() if name != b"version"}
        for account_id, grant in record.grants.items()
    }
    suite_keys = {
        key_id: {name: value for name, value in key.items() if name not in _INCIDENTAL}
        for key_id, key in record.suite_keys.items()
    }
    return msgspec.structs.replace(record, grants=grants, suite_keys=suite_keys)


def _flat(fields: dict[bytes, bytes]) -> list[Arg]:
    return [2 * len(fields), *(part for pair in fields.items() for part in pair)]


_OUTCOMES: Final = {
    b"restored": RestoreOutcome.RESTORED,
    b"overwritten": RestoreOutcome.OVERWRITTEN,
    b"under way": RestoreOutcome.COMPLETED,
}
