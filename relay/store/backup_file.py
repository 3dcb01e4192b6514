"""The file of a backup: lines of which none opens without the private backup key, and none can be missing, changed or moved.

    line 1    JWE (ECDH-ES on X25519, A256GCM) for the backup key: what this is, and a content key made for this file alone
    line 2…   JWE (dir, A256GCM) under that content key: one record each; its protected header has its number
    the last  the same, marked as the end: how many records there are

The relay's host has the public backup key only. Whoever breaks into it can neither read older backups nor the ones made
later, and the private key lies where nobody needs it until the day of a restore. Inside, grants are as they are in the store,
sealed under the key ring: a backup with its key but without the ring shows who is a customer, and no token.
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

from relay.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

VERSION: Final = 1
MAX_RECORD_BYTES: Final = 16 << 20
"""A tenant with 64 grants of the longest token caches, or some thousand entries of an audit log, takes 4 MB."""
_MAX_LINE_BYTES: Final = MAX_RECORD_BYTES * 4 // 3 + 4096

_CURVE: Final = "X25519"
_ENCRYPTION: Final = "A256GCM"
_TYPE: Final = "presence-relay-backup"
_TYPED: Final = re.compile(rf"{_TYPE}\+([0-9]+)")


class BackupInvalid(RelayError):
    """A backup, or a backup key, cannot be used. The text says why, and what to do."""


class _Registry(jwe.JWERegistry):
    max_ciphertext_length = _MAX_LINE_BYTES


_registry = _Registry(algorithms=["ECDH-ES", "dir", _ENCRYPTION], strict_check_header=False)


class Manifest(msgspec.Struct, frozen=True):
    """What a backup is."""

    backup_id: str
    created: datetime


class _Head(msgspec.Struct, frozen=True):
    manifest: Manifest
    content_key: bytes

    def __repr__(self) -> str:
        return f"_Head({self.manifest})"


class _End(msgspec.Struct, frozen=True):
    records: int


@dataclass(frozen=True, slots=True)
class BackupKey:
    """A key that backups are encrypted for; `private` when it opens them. Its `repr` shows its id only."""

    kid: str
    is_private: bool
    _key: OKPKey

    def __repr__(self) -> str:
        return f"BackupKey({self.kid}, private={self.is_private})"

    @classmethod
    def from_json(cls, text: str | bytes) -> BackupKey:
        """Read one JWK.

        Raises:
            BackupInvalid: it is none, or of another kind.
        """
        try:
            found = msgspec.json.decode(text, type=dict[str, Any])
            if (found.get("kty"), found.get("crv")) != ("OKP", _CURVE):
                raise BackupInvalid(
                    f"This is no backup key, which is a JWK on {_CURVE}: presence-relay keys backup-new"
                )
            key = OKPKey.import_key({name: found[name] for name in ("kty", "crv", "x", "d") if name in found})
            kid = key.thumbprint()
        except (msgspec.DecodeError, UnicodeDecodeError, JoseError, ValueError, TypeError, LookupError):
            raise BackupInvalid("This is no backup key: presence-relay keys backup-new makes one") from None
        return cls(kid, key.is_private, key)

    def seal_head(self, head: bytes) -> bytes:
        """The first line of a backup."""
        header = {"alg": "ECDH-ES", "enc": _ENCRYPTION, "kid": self.kid, "typ": f"{_TYPE}+{VERSION}"}
        return jwe.encrypt_compact(header, head, self._key, registry=_registry).encode()

    def open_head(self, line: bytes) -> bytes:
        """What `seal_head` was given. Raises JoseError or ValueError."""
        return jwe.decrypt_compact(line, self._key, registry=_registry).plaintext or b""


def make_backup_key() -> tuple[str, str]:
    """A new backup key as JWK: private, public."""
    key = OKPKey.generate_key(_CURVE)
    kid = {"kid": key.thumbprint(), "use": "enc"}
    private, public = key.as_dict(private=True), key.as_dict(private=False)
    return msgspec.json.encode({**private, **kid}).decode(), msgspec.json.encode({**public, **kid}).decode()


class Writer:
    """Writes a backup into a file, record by record. Without `end` it is none."""

    def __init__(self, file: BinaryIO, key: BackupKey, created: datetime) -> None:
        self._file = file
        self._content = secrets.token_bytes(32)
        self._key = OctKey.import_key(self._content)
        self.manifest = Manifest(secrets.token_hex(8), created)
        self._records = 0
        file.write(key.seal_head(msgspec.msgpack.encode(_Head(self.manifest, self._content))) + b"\n")

    def write(self, record: bytes) -> None:
        """Add one record of at most `MAX_RECORD_BYTES`."""
        self._records += 1
        self._line(record, is_end=False)

    def end(self) -> None:
        """Say that this was all."""
        self._line(msgspec.msgpack.encode(_End(self._records)), is_end=True)

    def _line(self, content: bytes, *, is_end: bool) -> None:
        number = self._records + is_end
        header = _header(self.manifest.backup_id, number, is_end=is_end)
        self._file.write(jwe.encrypt_compact(header, content, self._key, registry=_registry).encode() + b"\n")


class Reader:
    """Reads a backup. Iterating yields each record, and raises unless the file is whole to its very end."""

    def __init__(self, file: BinaryIO, key: BackupKey) -> None:
        """Read the first line.

        Raises:
            BackupInvalid: no backup, one of another version, or for another key.
        """
        self._file = file
        line = self._next()
        self._check_head(line, key)
        try:
            head = msgspec.msgpack.decode(key.open_head(line), type=_Head)
        except (JoseError, ValueError, TypeError, LookupError, msgspec.DecodeError):
            raise BackupInvalid("The first line of this backup was changed or damaged") from None
        self.manifest = head.manifest
        self._key = OctKey.import_key(head.content_key)

    @staticmethod
    def _check_head(line: bytes, key: BackupKey) -> None:
        header = _decoded_header(line)
        typed = _TYPED.fullmatch(str(header.get("typ", "")))
        if typed is None:
            raise BackupInvalid("This is no backup of a presence relay")
        if int(typed[1][:9]) != VERSION:
            raise BackupInvalid(
                f"This backup is of version {typed[1][:9]}, and this release reads {VERSION}: restore it with the release that made it"
            )
        if not key.is_private:
            raise BackupInvalid("This is the public half of a backup key, which opens nothing: give the private one")
        if header.get("kid") != key.kid:
            raise BackupInvalid(
                f"This backup was made for the key {str(header.get('kid'))[:60]}, and this is {key.kid}"
            )

    def __iter__(self) -> Iterator[bytes]:
        number = 0
        while True:
            number += 1
            content, is_end = self._open(self._next(), number)
            if is_end:
                break
            yield content
        if self._file.read(1):
            raise BackupInvalid("Something follows the end of this backup")

    def _next(self) -> bytes:
        line = self._file.readline(_MAX_LINE_BYTES)
        if not line.endswith(b"\n"):
            raise BackupInvalid("This backup is not whole: it was cut off, or never finished")
        return line[:-1]

    def _open(self, line: bytes, number: int) -> tuple[bytes, bool]:
        """The content of the line with this number, and whether it is the end."""
        header = _decoded_header(line)
        is_end = bool(header.get("end"))
        if header != _header(self.manifest.backup_id, number, is_end=is_end):
            raise BackupInvalid(f"Line {number + 1} of this backup does not belong there")
        try:
            content = jwe.decrypt_compact(line, self._key, registry=_registry).plaintext or b""
            if is_end and msgspec.msgpack.decode(content, type=_End).records != number - 1:
                raise BackupInvalid("This backup has another number of records than it says")
        except (JoseError, ValueError, TypeError, LookupError, msgspec.DecodeError):
            raise BackupInvalid(f"Line {number + 1} of this backup was changed or damaged") from None
        return content, is_end


def _header(backup_id: str, number: int, *, is_end: bool) -> dict[str, Any]:
    return {"alg": "dir", "enc": _ENCRYPTION, "use": _TYPE, "id": backup_id, "n": number, "end": is_end}


def _decoded_header(line: bytes) -> dict[str, Any]:
    try:
        text = line.partition(b".")[0]
        return msgspec.json.decode(_base64url(text), type=dict[str, Any])
    except (ValueError, msgspec.DecodeError, UnicodeDecodeError):
        raise BackupInvalid("This is no backup of a presence relay, or it was damaged") from None


def _base64url(text: bytes) -> bytes:
    return base64.b64decode(text[:4096] + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
