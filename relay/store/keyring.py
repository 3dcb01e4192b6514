"""The keys that grants are encrypted with: a JWK set of which the newest encrypts and all decrypt.

A sealed value is a JWE (`dir`, `A256GCM`). Its protected header names the key (`kid`) and what the value belongs to, and is
authenticated with it: moved to another tenant, account or purpose, or with another header, a value does not open.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from relay.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALGORITHM: Final = "dir"
_ENCRYPTION: Final = "A256GCM"
_KEY_BYTES: Final = 32


class KeyRingInvalid(RelayError):
    """The key ring cannot be used; the text says what an operator must put right, and shows no key."""


class SealBroken(RelayError):
    """A sealed value does not open: its key is missing from the ring, or it was changed or moved."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """What a sealed value belongs to."""

    tenant_id: str
    account_id: str
    purpose: str = "token-cache"


class _Registry(jwe.JWERegistry):
    # A token cache is some 10 KB; joserfc's own limit of 64 KB is what a very large one would meet.
    max_ciphertext_length = 1 << 20


_registry = _Registry(algorithms=[_ALGORITHM, _ENCRYPTION], strict_check_header=False)


class KeyRing:
    """Seals and opens. Immutable; rotation is a new ring with one more key. Its `repr` shows key ids only."""

    def __init__(self, ring: Mapping[str, OctKey], newest: str) -> None:
        self._keys = dict(ring)
        self.newest = newest

    def __repr__(self) -> str:
        return f"KeyRing(newest={self.newest!r}, keys={len(self._keys)})"

    @classmethod
    def from_json(cls, text: str | bytes) -> KeyRing:
        """Read a JWK set. The newest key is the one with the greatest `iat`, among equals (or without any) the first.

        Raises:
            KeyRingInvalid: with all that is wrong.
        """
        try:
            found = msgspec.json.decode(text, type=dict[str, list[dict[str, Any]]])["keys"]
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
            raise KeyRingInvalid('The key ring is not a JWK set: {"keys": [...]}') from None
        if not found:
            raise KeyRingInvalid("The key ring has no key")
        faults = [fault for number, key in enumerate(found, start=1) for fault in _faults(number, key)]
        if len({key.get("kid") for key in found}) != len(found):
            faults.append("two keys have the same kid")
        if faults:
            raise KeyRingInvalid("The key ring cannot be used: " + "; ".join(faults))
        ring = {key["kid"]: OctKey.import_key({"kty": "oct", "k": key["k"], "kid": key["kid"]}) for key in found}
        return cls(ring, max(found, key=lambda key: key.get("iat", 0))["kid"])

    def seal(self, value: str, belonging: Belonging) -> str:
        """Encrypt with the newest key."""
        header = {"alg": _ALGORITHM, "enc": _ENCRYPTION, "kid": self.newest, **_claims(belonging)}
        return jwe.encrypt_compact(header, value.encode(), self._keys[self.newest], registry=_registry)

    def open(self, sealed: str, belonging: Belonging) -> str:
        """Decrypt what was sealed for exactly this belonging.

        Raises:
            SealBroken: see there.
        """
        header = _header(sealed)
        key = self._keys.get(header.get("kid", ""))
        if key is None:
            raise SealBroken("The key ring lacks the key that a stored grant was encrypted with")
        expected = {"alg": _ALGORITHM, "enc": _ENCRYPTION, "kid": key.kid, **_claims(belonging)}
        if header != expected:
            raise SealBroken("A stored grant is not the one that belongs here")
        try:
            plaintext = jwe.decrypt_compact(sealed, key, registry=_registry).plaintext
        except (JoseError, ValueError):
            raise SealBroken("A stored grant was changed or damaged") from None
        return (plaintext or b"").decode()

    def is_newest(self, sealed: str) -> bool:
        """Whether a value is sealed with the newest key."""
        return _header(sealed).get("kid") == self.newest


def make_ring(kid: str, *, now_s: int, older: str | bytes | None = None) -> str:
    """A JWK set with a new key, put before the keys of an `older` one."""
    key = {"kty": "oct", "kid": kid, "iat": now_s, "k": _base64url(secrets.token_bytes(_KEY_BYTES))}
    before = msgspec.json.decode(older)["keys"] if older else []
    return msgspec.json.encode({"keys": [key, *before]}).decode()


def _claims(belonging: Belonging) -> dict[str, str]:
    return {"tid": belonging.tenant_id, "oid": belonging.account_id, "use": belonging.purpose}


def _faults(number: int, key: Mapping[str, Any]) -> list[str]:
    """What is wrong with one key of a set; never a part of the key itself."""
    faults = []
    if key.get("kty") != "oct":
        faults.append(f"key {number} is not symmetric (kty must be oct)")
    if not (isinstance(key.get("kid"), str) and key["kid"]):
        faults.append(f"key {number} has no kid")
    if not isinstance(key.get("iat", 0), int | float):
        faults.append(f"key {number} has an iat that is no number")
    if len(_bytes(key.get("k"))) != _KEY_BYTES:
        faults.append(f"key {number} does not have {8 * _KEY_BYTES} bits")
    return faults


def _header(sealed: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(_bytes(sealed.partition(".")[0]), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SealBroken("A stored grant was changed or damaged") from None


def _bytes(text: object) -> bytes:
    """The bytes of base64url text without padding; empty when it is none."""
    if not isinstance(text, str):
        return b""
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return b""


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
