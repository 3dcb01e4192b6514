"""Mallory is on the relay's host, or has the public backup key from elsewhere. She wants `restore` to bring her suite key."""

from __future__ import annotations

import io
import secrets
from datetime import UTC, datetime

import msgspec
import pytest
from joserfc import jwe
from joserfc.jwk import OctKey

from relay.store.backup import file as backup_file
from relay.store.backup.file import (
    BackupInvalid,
    BackupKey,
    BackupReader,
    BackupUnsigned,
    BackupWriter,
    make_backup_key,
)
from relay.store.backup.write import TenantRecord
from relay.store.sealing.keyring import KeyRing, make_ring
from tests.edge.worker import TENANT
from tests.support.ring import RING

PRIVATE, PUBLIC = (BackupKey.from_json(text) for text in make_backup_key())
NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY = {b"tenant": TENANT.encode(), b"hash": bytes(32), b"label": b"desk", b"created": b"1"}
RECORD = msgspec.msgpack.encode(TenantRecord(TENANT, {b"state": b"active", b"created": b"1"}, {}, {"0" * 16: KEY}))


def forged(ring: KeyRing) -> bytes:
    """A backup by the relay's own code, with a ring of hers."""
    file = io.BytesIO()
    writer = BackupWriter(file, PUBLIC, ring, NOW)
    writer.write(RECORD)
    writer.end()
    return file.getvalue()


def of_version_1() -> bytes:
    """A backup as releases before signatures made it; anybody with the public key can."""
    content, backup_id = secrets.token_bytes(32), secrets.token_hex(8)
    head = {"manifest": {"backup_id": backup_id, "created": NOW}, "content_key": content}
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": PUBLIC.kid, "typ": "presence-relay-backup+1"}
    lines = [jwe.encrypt_compact(header, msgspec.msgpack.encode(head), PUBLIC._key, registry=backup_file._registry)]
    for number, plaintext, is_end in ((1, RECORD, False), (2, msgspec.msgpack.encode({"records": 1}), True)):
        header = backup_file._header(backup_id, number, is_end=is_end)
        key = OctKey.import_key(content)
        lines.append(jwe.encrypt_compact(header, plaintext, key, registry=backup_file._registry))
    return "".join(f"{line}\n" for line in lines).encode()


def read(content: bytes, *, unsigned: bool = False) -> list[bytes]:
    return list(BackupReader(io.BytesIO(content), PRIVATE, RING, unsigned=unsigned))


@pytest.mark.finding(18)
def test_a_backup_signed_with_another_ring_of_the_same_key_id_is_called_forged_whatever_is_said():
    hers = KeyRing.from_json(make_ring("test", now_s=0))
    for unsigned in (False, True):
        with pytest.raises(BackupInvalid, match="was not signed with this key ring: it is forged"):
            read(forged(hers), unsigned=unsigned)
    assert read(forged(RING)) == [RECORD]


@pytest.mark.finding(18)
def test_a_backup_signed_with_an_unknown_key_needs_the_operators_word():
    hers = forged(KeyRing.from_json(make_ring("mallory", now_s=0)))
    with pytest.raises(BackupUnsigned, match="signed with the key mallory, which the key ring lacks: it is forged, or"):
        read(hers)
    assert read(hers, unsigned=True) == [RECORD]  # a ring that was lost cannot vouch for anything


@pytest.mark.finding(18)
def test_a_backup_without_signatures_needs_the_operators_word():
    with pytest.raises(BackupUnsigned, match="any holder of the public backup key may have written it"):
        read(of_version_1())
    assert read(of_version_1(), unsigned=True) == [RECORD]


@pytest.mark.finding(18)
def test_records_of_a_genuine_backup_cannot_be_put_into_another():
    """She even knows a genuine backup's content key, and puts its signed lines under a head of her own."""
    first, *lines = forged(RING).splitlines()
    genuine = msgspec.msgpack.decode(PRIVATE.open_head(first), type=backup_file._Head)
    key, registry = OctKey.import_key(genuine.content_key), backup_file._registry
    signed = [jwe.decrypt_compact(line, key, registry=registry).plaintext or b"" for line in lines]
    for manifest in (
        backup_file.Manifest("f" * 16, NOW),
        backup_file.Manifest(genuine.manifest.backup_id, datetime.now(UTC)),  # an old one, shown as of today
    ):
        mine = [PUBLIC.seal_head(msgspec.msgpack.encode(msgspec.structs.replace(genuine, manifest=manifest)))]
        for number, plaintext in enumerate(signed, start=1):
            header = backup_file._header(manifest.backup_id, number, is_end=number == len(signed))
            mine.append(jwe.encrypt_compact(header, plaintext, key, registry=registry).encode())
        with pytest.raises(BackupInvalid, match="it is forged"):
            read(b"\n".join([*mine, b""]))
