"""The file of a backup. Reading it needs the private backup key; missing, changed or moved lines are always detected.

    line 1     JWE (ECDH-ES on X25519, A256GCM) for the backup key: a description, and a content key for this file only
    line 2…    JWE (dir, A256GCM) under that content key: one record each; the protected header has the record's number
    last line  the same, marked as the end, with the number of records

Each line except the first begins with a signature by the key ring, over the backup, the line's number and its content.
The public backup key is enough to encrypt a backup, but only a holder of the ring can make a backup that `restore`
accepts. Version 1 had no signatures.

The relay's host has only the public backup key, so an intruder there cannot read backups. The private key is stored
offline until a restore. Grants in a backup are sealed under the key ring, as they are in the store: the backup key
without the ring reveals the list of tenants, but no token.
"""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, OKPKey

from relay.core.textfile import text_of
from relay.errors import RelayError
from relay.store.sealing.signing import SIGNATURE_BYTES, Purpose, RingSigner, is_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from relay.store.sealing.keyring import KeyRing

VERSION: Final = 2
UNSIGNED: Final = 1
"""The version without signatures."""
MAX_RECORD_BYTES: Final = 16 << 20
"""Largest record. A tenant with 64 of the longest token caches, or about a thousand audit entries, takes 4 MB."""
_MAX_LINE_BYTES: Final = MAX_RECORD_BYTES * 4 // 3 + 4096

_CURVE: Final = "X25519"
_ENCRYPTION: Final = "A256GCM"
_TYPE: Final = "presence-relay-backup"
_TYPED: Final = re.compile(rf"{_TYPE}\+([0-9]+)")


class BackupInvalid(RelayError):
    """A backup or a backup key cannot be used. The text says why, and what to do."""


class BackupUnsigned(BackupInvalid):
    """The origin of this backup cannot be verified: it has no signature, or one of a key that the ring lacks."""


class _Registry(jwe.JWERegistry):
    max_ciphertext_length = _MAX_LINE_BYTES


_registry = _Registry(algorithms=["ECDH-ES", "dir", _ENCRYPTION], strict_check_header=False)


class Manifest(msgspec.Struct, frozen=True):
    """The head of a backup."""

    backup_id: str
    created: datetime


class _Head(msgspec.Struct, frozen=True):
    manifest: Manifest
    content_key: bytes
    signed_by: str = ""
    """The id of the ring key that signed each line."""

    def __repr__(self) -> str:
        return f"_Head({self.manifest})"


class _End(msgspec.Struct, frozen=True):
    records: int


@dataclass(frozen=True, slots=True)
class BackupKey:
    """A key to encrypt backups, or, if `is_private`, to decrypt them. Its `repr` shows only its id."""

    kid: str
    is_private: bool
    _key: OKPKey

    def __repr__(self) -> str:
        return f"BackupKey({self.kid}, private={self.is_private})"

    @classmethod
    def from_json(cls, text: str | bytes) -> BackupKey:
        """Read one JWK.

        Raises:
            BackupInvalid: the text is not a backup key.
        """
        try:
            found = msgspec.json.decode(text if isinstance(text, str) else text_of(text), type=dict[str, Any])
            if (found.get("kty"), found.get("crv")) != ("OKP", _CURVE):
                raise BackupInvalid(
                    f"This is not a backup key, which is a JWK on {_CURVE}: presence-relay backup new-key"
                )
            key = OKPKey.import_key({name: found[name] for name in ("kty", "crv", "x", "d") if name in found})
            kid = key.thumbprint()
        except (msgspec.DecodeError, UnicodeDecodeError, JoseError, ValueError, TypeError, LookupError):
            raise BackupInvalid("This is not a backup key: presence-relay backup new-key makes one") from None
        return cls(kid, key.is_private, key)

    def seal_head(self, head: bytes) -> bytes:
        """Return the first line of a backup."""
        header = {"alg": "ECDH-ES", "enc": _ENCRYPTION, "kid": self.kid, "typ": f"{_TYPE}+{VERSION}"}
        return jwe.encrypt_compact(header, head, self._key, registry=_registry).encode()

    def open_head(self, line: bytes) -> bytes:
        """Return the content that `seal_head` was given. Raises JoseError or ValueError."""
        return jwe.decrypt_compact(line, self._key, registry=_registry).plaintext or b""


def make_backup_key() -> tuple[str, str]:
    """Return a new backup key as JWK: private, public."""
    key = OKPKey.generate_key(_CURVE)
    kid = {"kid": key.thumbprint(), "use": "enc"}
    private, public = key.as_dict(private=True), key.as_dict(private=False)
    return msgspec.json.encode({**private, **kid}).decode(), msgspec.json.encode({**public, **kid}).decode()


class BackupWriter:
    """Writes a backup into a file, record by record. It is valid only after `end`."""

    def __init__(self, file: BinaryIO, key: BackupKey, ring: KeyRing, created: datetime) -> None:
        """Begin a backup in `file`, encrypted for `key` and signed with the ring's key in use."""
        self._file = file
        self._content = secrets.token_bytes(32)
        self._key = OctKey.import_key(self._content)
        self._sign = RingSigner(ring, Purpose.BACKUP).frozen()
        self.manifest = Manifest(secrets.token_hex(8), created)
        self._records = 0
        head = _Head(self.manifest, self._content, self._sign.kid)
        file.write(key.seal_head(msgspec.msgpack.encode(head)) + b"\n")

    def write(self, record: bytes) -> None:
        """Add one record of at most `MAX_RECORD_BYTES`."""
        self._records += 1
        self._line(record, is_end=False)

    def end(self) -> None:
        """Write the last line, which completes the backup."""
        self._line(msgspec.msgpack.encode(_End(self._records)), is_end=True)

    def _line(self, content: bytes, *, is_end: bool) -> None:
        number = self._records + is_end
        header = _header(self.manifest.backup_id, number, is_end=is_end)
        signature = self._sign(_signed(self.manifest, number, content, is_end=is_end))
        sealed = jwe.encrypt_compact(header, signature + content, self._key, registry=_registry)
        self._file.write(sealed.encode() + b"\n")


class BackupReader:
    """Reads a backup. Iterating yields each record after its verification, and raises if the file is not complete."""

    def __init__(self, file: BinaryIO, key: BackupKey, ring: KeyRing, *, unsigned: bool = False) -> None:
        """Read the first line.

        Args:
            file: the backup.
            key: the private backup key.
            ring: the key ring that must have signed it.
            unsigned: accept a backup without signatures, or signed with a key that the ring lacks. Any holder of the
                public key may have written it.

        Raises:
            BackupUnsigned: the signature is missing or unknown, and `unsigned` is False.
            BackupInvalid: not a backup, or of another version, another key or another ring.
        """
        self._file = file
        line = self._next()
        self._version = self._check_head(line, key)
        if self._version == UNSIGNED and not unsigned:
            raise BackupUnsigned(
                "This backup has no signature: any holder of the public backup key may have written it. Releases before "
                "signatures made such backups"
            )
        try:
            head = msgspec.msgpack.decode(key.open_head(line), type=_Head)
        except (JoseError, ValueError, TypeError, LookupError, msgspec.DecodeError):
            raise BackupInvalid("The first line of this backup was changed or damaged") from None
        self.manifest = head.manifest
        self._key = OctKey.import_key(head.content_key)
        self._is_signed = self._version != UNSIGNED
        self._verifies = RingSigner(ring, Purpose.BACKUP).public_keys(head.signed_by).get(head.signed_by)
        if self._is_signed and self._verifies is None and not unsigned:
            raise BackupUnsigned(
                f"This backup is signed with the key {head.signed_by[:60]}, which the key ring lacks: it is forged, or the key was "
                "retired. Put it into the ring again (a ring that retired keys were kept in has it)"
            )

    @staticmethod
    def _check_head(line: bytes, key: BackupKey) -> int:
        """Return the version of the backup, after checking that this key opens it."""
        header = _decoded_header(line)
        typed = _TYPED.fullmatch(str(header.get("typ", "")))
        if typed is None:
            raise BackupInvalid("This is not a backup of a presence relay")
        version = int(typed[1][:9])
        if version not in (UNSIGNED, VERSION):
            raise BackupInvalid(
                f"This backup is of version {version}, and this release reads {VERSION}: restore it with the release that made it"
            )
        if not key.is_private:
            raise BackupInvalid("This is the public half of a backup key, which opens no backup: give the private half")
        if header.get("kid") != key.kid:
            raise BackupInvalid(
                f"This backup was made for the key {str(header.get('kid'))[:60]}, and this is {key.kid}"
            )
        return version

    def __iter__(self) -> Iterator[bytes]:
        number = 0
        while True:
            number += 1
            content, is_end = self._open(self._next(), number)
            if is_end:
                break
            yield content
        if self._file.read(1):
            raise BackupInvalid("This backup has data after its end")

    def _next(self) -> bytes:
        line = self._file.readline(_MAX_LINE_BYTES)
        if not line.endswith(b"\n"):
            raise BackupInvalid("This backup is incomplete: it was cut off, or never finished")
        return line[:-1]

    def _open(self, line: bytes, number: int) -> tuple[bytes, bool]:
        """Return the content of the line with this number, and whether it is the last."""
        header = _decoded_header(line)
        is_end = bool(header.get("end"))
        if header != _header(self.manifest.backup_id, number, is_end=is_end):
            raise BackupInvalid(f"Line {number + 1} of this backup is in the wrong place")
        try:
            content = self._checked(
                jwe.decrypt_compact(line, self._key, registry=_registry).plaintext or b"", number, is_end
            )
            if is_end and msgspec.msgpack.decode(content, type=_End).records != number - 1:
                raise BackupInvalid("The number of records in this backup is wrong")
        except (JoseError, ValueError, TypeError, LookupError, msgspec.DecodeError):
            raise BackupInvalid(f"Line {number + 1} of this backup was changed or damaged") from None
        return content, is_end

    def _checked(self, plaintext: bytes, number: int, is_end: bool) -> bytes:  # noqa: FBT001
        """Verify a line's signature and return its content."""
        if not self._is_signed:
            return plaintext
        signature, content = plaintext[:SIGNATURE_BYTES], plaintext[SIGNATURE_BYTES:]
        parts = _signed(self.manifest, number, content, is_end=is_end)
        if self._verifies is not None and not is_signed(self._verifies, signature, Purpose.BACKUP, parts):
            raise BackupInvalid(f"Line {number + 1} of this backup was not signed with this key ring: it is forged")
        return content


def _signed(manifest: Manifest, number: int, content: bytes, *, is_end: bool) -> list[bytes]:
    """Return the parts that a line's signature vouches for."""
    return [manifest.backup_id.encode(), manifest.created.isoformat().encode(), b"%d %d" % (number, is_end), content]


def _header(backup_id: str, number: int, *, is_end: bool) -> dict[str, Any]:
    return {"alg": "dir", "enc": _ENCRYPTION, "use": _TYPE, "id": backup_id, "n": number, "end": is_end}


def _decoded_header(line: bytes) -> dict[str, Any]:
    try:
        text = line.partition(b".")[0]
        return msgspec.json.decode(_base64url(text), type=dict[str, Any])
    except (ValueError, msgspec.DecodeError, UnicodeDecodeError):
        raise BackupInvalid("This is not a backup of a presence relay, or it was damaged") from None


def _base64url(text: bytes) -> bytes:
    return base64.b64decode(text[:4096] + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
