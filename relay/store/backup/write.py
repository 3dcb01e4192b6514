"""A backup of custody: tenants with their grants, suite keys and settings, their audit logs, and the operators' log.

A tenant is one record, consistent within its partition. Its suite keys, which are outside partitions, are read directly
after it; a key made in between is in the next backup. Sealed values stay sealed. Requests to read for a tenant are not
included: users can send them again. Presence is not included: it can be read again.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from relay.core.presence import TenantId
from relay.store.backup.file import BackupWriter
from relay.store.custody.suite_key_records import read_records
from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import BinaryIO

    from relay.store.backup.file import BackupKey
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

Fields = dict[bytes, bytes]
"""The fields of a Redis hash."""

RESTORING: Final = b"restoring"
"""The field of a tenant's record that says which backup is being restored into it."""
_LOG_ENTRIES: Final = 1000
"""Most entries of a log in one record; at most 4 MB."""

_READ = Script("backup_tenant", reads_only=True)


class TenantRecord(msgspec.Struct, frozen=True, tag="tenant"):
    """All data of one tenant except its audit log."""

    tenant_id: TenantId
    record: Fields
    grants: dict[str, Fields]
    """Account id -> its hash, token cache sealed."""
    suite_keys: dict[str, Fields]
    """Key id -> its hash."""
    managers: Fields = {}
    """Account id -> the stored manager; empty in a backup of a release before managers."""


class LogRecord(msgspec.Struct, frozen=True, tag="audit"):
    """Some entries of a tenant's audit log, oldest first. They precede the tenant's record."""

    tenant_id: TenantId
    is_watches: bool
    entries: list[tuple[bytes, bytes, bytes, bytes]]
    """id, kind, subject, body"""


class AwayRecord(msgspec.Struct, frozen=True, tag="turned-away"):
    """A tenant that the operator removed or refused."""

    tenant_id: TenantId
    mark: bytes
    """In its stored form."""


class ActsRecord(msgspec.Struct, frozen=True, tag="acts"):
    """Some acts of operators, oldest first."""

    acts: list[tuple[bytes, bytes]]
    """id, content"""


BackupRecord = TenantRecord | LogRecord | AwayRecord | ActsRecord


async def back_up(store: Store, file: BinaryIO, key: BackupKey, ring: KeyRing) -> Counter[str]:
    """Write a backup of custody into `file`; return the number of tenants, grants, suite keys and log entries in it.

    The backup is encrypted for `key` and signed with `ring`.

    Raises:
        StoreUnavailable: the file is incomplete and not a valid backup.
    """
    writer, counts = BackupWriter(file, key, ring, datetime.now(UTC)), Counter[str]()
    for partition in range(keys.PARTITIONS):
        for tenant_id in sorted(await store.vault_command("SMEMBERS", keys.tenants(partition))):
            async for record in _records(store, TenantId(tenant_id.decode())):
                writer.write(msgspec.msgpack.encode(record))
                counts += counted(record)
        for away_id, mark in (await store.vault_command("HGETALL", keys.turned_away(partition))).items():
            away = AwayRecord(TenantId(away_id.decode()), mark)
            writer.write(msgspec.msgpack.encode(away))
            counts += counted(away)
    async for acts in _acts(store):
        writer.write(msgspec.msgpack.encode(acts))
        counts += counted(acts)
    writer.end()
    return counts


def counted(record: BackupRecord) -> Counter[str]:
    """Count the contents of a record."""
    if isinstance(record, LogRecord):
        return Counter({"entries of audit logs": len(record.entries)})
    if isinstance(record, AwayRecord):
        return Counter({"tenants turned away": 1})
    if isinstance(record, ActsRecord):
        return Counter({"acts of operators": len(record.acts)})
    return Counter({"tenants": 1, "grants": len(record.grants), "suite keys": len(record.suite_keys)})


async def _records(store: Store, tenant_id: TenantId) -> AsyncIterator[BackupRecord]:
    tenant = await read_tenant(store, tenant_id)
    if tenant is None:
        return
    for log, is_watches in ((keys.audit(tenant_id), False), (keys.audit_watches(tenant_id), True)):
        async for found in _entries(store, log):
            yield LogRecord(tenant_id, is_watches, [_entry(entry_id, fields) for entry_id, fields in found])
    yield tenant


async def _acts(store: Store) -> AsyncIterator[ActsRecord]:
    async for found in _entries(store, keys.OPERATOR_LOG):
        acts = [(entry_id, fields[b"a"]) for entry_id, fields in found if b"a" in fields]
        if acts:
            yield ActsRecord(acts)


async def _entries(store: Store, stream: bytes) -> AsyncIterator[list[tuple[bytes, Fields]]]:
    """Yield the entries of a stream in batches, the oldest first."""
    first = "-"
    while found := await store.vault_command("XRANGE", stream, first, "+", "COUNT", _LOG_ENTRIES):
        yield [(entry_id, _fields(fields) if isinstance(fields, list) else dict(fields)) for entry_id, fields in found]
        first = f"({found[-1][0].decode()}"


async def read_tenant(store: Store, tenant_id: TenantId) -> TenantRecord | None:
    """Return a tenant's record for a backup; None if there is no such tenant."""
    call = _READ(
        tenant=keys.tenant(tenant_id),
        grants=keys.tenant_grants(tenant_id),
        suite_keys=keys.tenant_suite_keys(tenant_id),
        managers=keys.tenant_managers(tenant_id),
        grant_prefix=keys.grant_prefix(tenant_id),
    )
    record, grants, key_ids, managers = await store.vault_run(call)
    fields = _fields(record)
    if b"state" not in fields:
        return None
    fields.pop(RESTORING, None)
    ids = sorted(key_id.decode() for key_id in key_ids)
    hashes = await read_records(store, ids)
    return TenantRecord(
        tenant_id,
        fields,
        {account.decode(): _fields(grant) for account, grant in zip(grants[::2], grants[1::2], strict=True) if grant},
        # Skip ids without a record: making the key was interrupted. Skip provisional keys too: a restore would set
        # their end again, although the key may have become permanent.
        {
            key_id: dict(found)
            for key_id, found in zip(ids, hashes, strict=True)
            if found and b"provisional" not in found
        },
        _fields(managers),
    )


def _fields(flat: Any) -> Fields:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _entry(entry_id: bytes, fields: Fields) -> tuple[bytes, bytes, bytes, bytes]:
    return entry_id, fields[b"k"], fields[b"s"], fields[b"e"]
