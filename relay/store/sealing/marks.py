"""The mark of a suite key's record, which proves that the holder of the key ring made it. A record without one is not valid.

    mark    "1 <signature> <kid>", Ed25519 by the ring key `kid`, in the field `mark` of `suite-key:<key id>`
    signed  key id, tenant, SHA-256 of the secret

An attacker who can write to Redis but has no key ring cannot make a suite key, give one to another tenant, or move a
mark. Edges verify with public keys, which come from a file or the ring and never from Redis. The mark does not cover
fields that may change while a key is in force: the attacker can still undo an end or a revocation, or end a key.
"""

from __future__ import annotations

import base64
import binascii
import enum
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from relay.errors import RelayError
from relay.store.sealing.ring_file import LOOK_EVERY_S, FollowedFile
from relay.store.sealing.signing import PublicKeysInvalid, Purpose, RingSigner, is_signed, read_public_set

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from relay.core.presence import TenantId
    from relay.store.sealing.keyring import KeyRing

log = structlog.get_logger(__name__)

FIELD: Final = b"mark"
"""The field of a suite key's record that has the mark."""
_VERSION: Final = "1"


class CannotMark(RelayError):
    """A process without the key ring tried to make a suite key."""


class MarkVerdict(enum.StrEnum):
    """The verdict on the mark of a record."""

    GENUINE = "genuine"
    MISSING = "missing"
    """The record has no mark: it is from a release before marks, or was written without the ring."""
    KEY_UNKNOWN = "key_unknown"
    """The mark names a key that is not known here: retired, not known yet, or invented."""
    FALSE = "false"
    """The mark does not match key id, tenant and secret, or is not a valid mark."""


class Vouched(NamedTuple):
    """The facts that a mark vouches for."""

    key_id: str
    tenant_id: TenantId
    secret_hash: bytes

    def parts(self) -> tuple[bytes, ...]:
        """Return the parts that are signed."""
        return self.key_id.encode(), self.tenant_id.encode(), self.secret_hash


class Marks:
    """Verifies marks. This base class knows no keys: it makes no marks and finds none genuine."""

    @property
    def kids(self) -> tuple[str, ...]:
        """The ids of the known keys."""
        return tuple(self._public())

    def reload_if_changed(self) -> None:
        """Read the keys again if they have changed; `judge` calls this."""
        self._public()

    def judge(self, vouched: Vouched, mark: bytes | None) -> MarkVerdict:
        """Return the verdict on the mark of a record."""
        if mark is None:
            return MarkVerdict.MISSING
        found = _parsed(mark)
        if found is None:
            return MarkVerdict.FALSE
        kid, signature = found
        key = self._public(kid).get(kid)
        if key is None:
            return MarkVerdict.KEY_UNKNOWN
        is_genuine = is_signed(key, signature, Purpose.SUITE_KEY, vouched.parts())
        return MarkVerdict.GENUINE if is_genuine else MarkVerdict.FALSE

    def mark(self, vouched: Vouched) -> bytes:
        """Return a mark, made with the key in use.

        Raises:
            CannotMark: this process has no key ring.
        """
        raise CannotMark(f"Only a process with the key ring can make suite keys, such as {vouched.key_id}")

    def _public(self, missing: str = "") -> Mapping[str, Ed25519PublicKey]:
        """Return the keys; `missing` is the id of a key that is needed at once."""
        return {}


class RingMarks(Marks):
    """Makes and verifies marks with a key ring, and follows its changes."""

    def __init__(self, ring: KeyRing) -> None:
        self._signer = RingSigner(ring, Purpose.SUITE_KEY)

    def mark(self, vouched: Vouched) -> bytes:
        """See `Marks.mark`."""
        sign = self._signer.frozen()
        return f"{_VERSION} {base64.urlsafe_b64encode(sign(vouched.parts())).decode()} {sign.kid}".encode()

    @property
    def in_use(self) -> str:
        """The id of the key that makes marks now."""
        return self._signer.kid

    def _public(self, missing: str = "") -> Mapping[str, Ed25519PublicKey]:
        return self._signer.public_keys(missing)


class PublicMarks(Marks):
    """Verifies marks with public keys, and follows their file. A missing or invalid file changes nothing."""

    def __init__(self, text: str | bytes, path: Path | None = None, every_s: float = LOOK_EVERY_S) -> None:
        """Begin with the JWK set `text`, the content of `path` when the settings were read.

        Raises:
            PublicKeysInvalid: the text is not a valid set of public keys.
        """
        self._keys = read_public_set(text)
        self._file = None if path is None else FollowedFile(path, every_s)

    def _public(self, missing: str = "") -> Mapping[str, Ed25519PublicKey]:
        text = None
        if self._file is not None:
            text = self._file.news(at_once=bool(missing) and missing not in self._keys)
        if text is not None:
            try:
                keys = read_public_set(text)
            except PublicKeysInvalid as error:
                log.warning("mark_keys_unusable", error=str(error))
            else:
                if keys.keys() != self._keys.keys():
                    log.info("mark_keys_changed", keys=list(keys))
                self._keys = keys
        return self._keys


NO_MARKS: Final = Marks()
"""For processes that neither make nor verify suite keys."""


def kid_of(mark: bytes | None) -> str | None:
    """Return the id of the key that a mark names; None if it is not a mark."""
    found = None if mark is None else _parsed(mark)
    return None if found is None else found[0]


def _parsed(mark: bytes) -> tuple[str, bytes] | None:
    """Return key id and signature of a mark."""
    try:
        version, signature, kid = mark.decode().split(" ", 2)
        if version != _VERSION:
            return None
        return kid, base64.b64decode(signature, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):  # UnicodeDecodeError is a ValueError
        return None
