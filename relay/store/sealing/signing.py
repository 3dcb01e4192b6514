"""Signatures by the holder of the key ring. Write access to Redis or a public backup key is not enough to forge one.

Signatures are Ed25519. Each key of the ring has a signing key for each purpose, derived with HKDF: there are no other
keys to store or back up, and a rotation of the ring rotates them too. A signing key has the `kid` of its ring key.
Verification needs only public keys: a JWK set (RFC 8037) without secrets.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from relay.errors import RelayError
from relay.store.sealing import jwks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relay.store.sealing.keyring import KeyRing, RingKey

SIGNATURE_BYTES: Final = 64
_SEED_BYTES: Final = 32


class Purpose(enum.StrEnum):
    """The purpose of a signature. Its value is part of the key derivation and of the message, so never change it."""

    SUITE_KEY = "presence-relay/suite-key/1"
    BACKUP = "presence-relay/backup/1"


class PublicKeysInvalid(RelayError):
    """A set of public keys cannot be used. The text says why, and shows no key."""


class RingSigner:
    """Signs with the key in use, and verifies with all keys of a ring. It follows changes of the ring."""

    def __init__(self, ring: KeyRing, purpose: Purpose) -> None:
        self._ring = ring
        self._purpose = purpose
        self._private: dict[str, Ed25519PrivateKey] = {}
        self._public: dict[str, Ed25519PublicKey] = {}
        self._generation: int | None = None

    @property
    def kid(self) -> str:
        """The id of the key in use."""
        self._ring.reload_if_changed()
        return self._ring.newest

    def frozen(self) -> FrozenSigner:
        """Return a signer that always uses the key that is in use now."""
        kid = self.kid
        self._follow()
        return FrozenSigner(kid, self._purpose, self._private[kid])

    def public_keys(self, missing: str = "") -> Mapping[str, Ed25519PublicKey]:
        """Return key id -> public key. `missing` is the id of a key that is needed at once."""
        self._ring.reload_if_changed(missing)
        self._follow()
        return self._public

    def _follow(self) -> None:
        if self._generation != self._ring.generation:
            self._generation = self._ring.generation
            self._private = {key.kid: _private_key(key, self._purpose) for key in self._ring.keys}
            self._public = {kid: key.public_key() for kid, key in self._private.items()}


@dataclass(frozen=True, slots=True)
class FrozenSigner:
    """Signs with one key; its `repr` does not show it."""

    kid: str
    purpose: Purpose
    _key: Ed25519PrivateKey = field(repr=False)

    def __call__(self, parts: Iterable[bytes]) -> bytes:
        """Return the signature of `parts`."""
        return self._key.sign(message(self.purpose, parts))


def is_signed(key: Ed25519PublicKey, signature: bytes, purpose: Purpose, parts: Iterable[bytes]) -> bool:
    """Return whether the holder of this key signed exactly these parts, for this purpose."""
    try:
        key.verify(signature, message(purpose, parts))
    except InvalidSignature:
        return False
    return True


def message(purpose: Purpose, parts: Iterable[bytes]) -> bytes:
    """Return the message to sign: each part with a length prefix, so that different parts never match."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in (purpose.encode(), *parts))


def public_set(ring: KeyRing, purpose: Purpose) -> str:
    """Return the public keys of a ring, as a JWK set."""
    keys = [
        {"kty": "OKP", "crv": "Ed25519", "x": jwks.encoded(key.public_bytes_raw()), "kid": kid, "use": "sig"}
        for kid, key in RingSigner(ring, purpose).public_keys().items()
    ]
    return msgspec.json.encode({"keys": keys}).decode()


def read_public_set(text: str | bytes) -> dict[str, Ed25519PublicKey]:
    """Return key id -> public key from a JWK set in the format of `public_set`.

    Raises:
        PublicKeysInvalid: the set has faults; the text lists all of them.
    """
    try:
        found = jwks.keys_of(text)
    except ValueError as error:
        raise PublicKeysInvalid(f"this {error}") from None
    if any("k" in key or "d" in key for key in found):
        raise PublicKeysInvalid("these are secret keys; give only the public keys, which an edge may have")
    if not found:
        raise PublicKeysInvalid("there is no key in it")
    faults = [fault for number, key in enumerate(found, start=1) for fault in _faults(number, key)]
    if len({str(key.get("kid")) for key in found}) != len(found):
        faults.append("two keys have the same kid")
    if faults:
        raise PublicKeysInvalid("; ".join(faults))
    return {key["kid"]: Ed25519PublicKey.from_public_bytes(jwks.decoded(key["x"])) for key in found}


def _faults(number: int, key: Mapping[str, Any]) -> list[str]:
    faults = []
    if (key.get("kty"), key.get("crv")) != ("OKP", "Ed25519"):
        faults.append(f"key {number} is not of the kind OKP, Ed25519")
    if not (isinstance(key.get("kid"), str) and key["kid"]):
        faults.append(f"key {number} has no kid")
    if len(jwks.decoded(key.get("x"))) != _SEED_BYTES:
        faults.append(f"key {number} has no x of {_SEED_BYTES} bytes")
    return faults


def _private_key(key: RingKey, purpose: Purpose) -> Ed25519PrivateKey:
    seed = HKDF(SHA256(), _SEED_BYTES, salt=None, info=purpose.encode()).derive(key.key.raw_value)
    return Ed25519PrivateKey.from_private_bytes(seed)
