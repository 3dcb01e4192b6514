"""The keys that encrypt custody: a JWK set in which one key encrypts and all decrypt.

The newest usable key encrypts. A key with `nbf` (seconds since 1970) only decrypts until that time, so that every
process has it by then and can open the values that others seal.

A sealed value is a JWE (`dir`, `A256GCM`). Its authenticated header names the key (`kid`) and the value's belonging: a
value that was moved to another tenant, account or purpose, or has another header, does not open.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from relay.errors import RelayError
from relay.store.sealing import jwks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_ALGORITHM: Final = "dir"
_ENCRYPTION: Final = "A256GCM"
_KEY_BYTES: Final = 32


class KeyRingInvalid(RelayError):
    """The key ring cannot be used. The text says what an operator must correct, and shows no key."""


class SealBroken(RelayError):
    """A sealed value does not open: its key is missing from the ring, or it was changed or moved."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """The owner and the purpose of a sealed value."""

    tenant_id: str
    account_id: str
    purpose: str = "token-cache"


class _Registry(jwe.JWERegistry):
    # A token cache has about 10 KB; a very large one could exceed joserfc's default limit of 64 KB.
    max_ciphertext_length = 1 << 20


_registry = _Registry(algorithms=[_ALGORITHM, _ENCRYPTION], strict_check_header=False)


@dataclass(frozen=True, slots=True)
class RingKey:
    """One key of a ring; its `repr` does not show it."""

    kid: str
    made_s: float
    """Time at which the key was made (`iat`), in s since 1970; 0 if the ring does not say."""
    used_from_s: float
    """Time from which the key seals (`nbf`), in s since 1970; 0: at once."""
    key: OctKey = field(repr=False)

    @property
    def used_from(self) -> datetime:
        """`used_from_s` as a datetime."""
        return datetime.fromtimestamp(self.used_from_s, tz=UTC)


class KeyRing:
    """Seals and opens values. Its `repr` shows only key ids."""

    generation = 0
    """Grows when the keys of the ring change; see `RingFile`."""

    def __init__(self, ring: Iterable[RingKey], clock: Callable[[], float] = time.time) -> None:
        self._keys = {key.kid: key for key in ring}
        self._clock = clock

    def __repr__(self) -> str:
        return f"KeyRing(newest={self.newest!r}, keys={len(self._keys)})"

    @classmethod
    def from_json(cls, text: str | bytes, clock: Callable[[], float] = time.time) -> KeyRing:
        """Read the ring of a JWK set; see `read_ring`."""
        return cls(read_ring(text), clock)

    @property
    def keys(self) -> tuple[RingKey, ...]:
        """All keys, in their file's order."""
        return tuple(self._keys.values())

    @property
    def newest(self) -> str:
        """The id of the key in use. If no key is usable yet, the one that is usable first."""
        now_s = self._clock()
        usable = [key for key in self._keys.values() if key.used_from_s <= now_s]
        if not usable:
            return min(self._keys.values(), key=lambda key: key.used_from_s).kid
        return max(usable, key=lambda key: key.made_s).kid

    def seal(self, value: str, belonging: Belonging) -> str:
        """Return a value encrypted with the key in use."""
        self.reload_if_changed()
        kid = self.newest
        header = {"alg": _ALGORITHM, "enc": _ENCRYPTION, "kid": kid, **_claims(belonging)}
        return jwe.encrypt_compact(header, value.encode(), self._keys[kid].key, registry=_registry)

    def open(self, sealed: str, belonging: Belonging) -> str:
        """Decrypt a value that was sealed for exactly this belonging.

        Raises:
            SealBroken: the value does not open.
        """
        header = _header(sealed)
        self.reload_if_changed(missing=str(header.get("kid", "")))
        key = self._keys.get(str(header.get("kid", "")))
        if key is None:
            raise SealBroken("The key ring lacks the key that a stored grant was encrypted with")
        expected = {"alg": _ALGORITHM, "enc": _ENCRYPTION, "kid": key.kid, **_claims(belonging)}
        if header != expected:
            raise SealBroken("A stored grant belongs to another account")
        try:
            plaintext = jwe.decrypt_compact(sealed, key.key, registry=_registry).plaintext
        except (JoseError, ValueError):
            raise SealBroken("A stored grant was changed or damaged") from None
        return (plaintext or b"").decode()

    def is_newest(self, sealed: str) -> bool:
        """Return whether a value is sealed with the key in use."""
        self.reload_if_changed()
        return kid_of(sealed) == self.newest

    def reload_if_changed(self, missing: str = "") -> None:
        """Read the ring again if it has changed; `seal` and `open` call this.

        Args:
            missing: id of a key that is needed at once, even if the ring was checked recently.
        """


def kid_of(sealed: str) -> str:
    """Return the id of the key that a value is sealed with.

    Raises:
        SealBroken: it is not a sealed value.
    """
    return str(_header(sealed).get("kid", ""))


def read_ring(text: str | bytes) -> list[RingKey]:
    """Read the keys of a JWK set. Among keys with the same `iat` (or without any) the first counts as the newest.

    Raises:
        KeyRingInvalid: the ring has faults; the text lists all of them.
    """
    try:
        found = jwks.keys_of(text)
    except ValueError as error:
        raise KeyRingInvalid(f"The key ring {error}") from None
    if not found:
        raise KeyRingInvalid("The key ring has no key")
    faults = [fault for number, key in enumerate(found, start=1) for fault in _faults(number, key)]
    if len({key.get("kid") for key in found}) != len(found):
        faults.append("two keys have the same kid")
    if faults:
        raise KeyRingInvalid("The key ring cannot be used: " + "; ".join(faults))
    return [
        RingKey(
            kid=key["kid"],
            made_s=key.get("iat", 0),
            used_from_s=key.get("nbf", 0),
            key=OctKey.import_key({"kty": "oct", "k": key["k"], "kid": key["kid"]}),
        )
        for key in found
    ]


def make_ring(kid: str, *, now_s: int, older: str | bytes | None = None, used_from_s: int | None = None) -> str:
    """Return a JWK set with a new key before the keys of an `older` one, not used for sealing before `used_from_s`."""
    key: dict[str, object] = {
        "kty": "oct",
        "kid": kid,
        "iat": now_s,
        "k": jwks.encoded(secrets.token_bytes(_KEY_BYTES)),
    }
    if used_from_s is not None:
        key["nbf"] = used_from_s
    before = msgspec.json.decode(older)["keys"] if older else []
    return msgspec.json.encode({"keys": [key, *before]}).decode()


def without(ring: str | bytes, kids: Iterable[str]) -> tuple[str, str]:
    """Return two JWK sets: one without these keys, and one with only these keys."""
    found, gone = msgspec.json.decode(ring)["keys"], frozenset(kids)
    parts = ([key for key in found if key["kid"] not in gone], [key for key in found if key["kid"] in gone])
    kept, taken = (msgspec.json.encode({"keys": part}).decode() for part in parts)
    return kept, taken


def _claims(belonging: Belonging) -> dict[str, str]:
    return {"tid": belonging.tenant_id, "oid": belonging.account_id, "use": belonging.purpose}


def _faults(number: int, key: Mapping[str, Any]) -> list[str]:
    """Return the faults of one key of a set; never a part of the key itself."""
    faults = []
    if key.get("kty") != "oct":
        faults.append(f"key {number} is not symmetric (kty must be oct)")
    if not (isinstance(key.get("kid"), str) and key["kid"]):
        faults.append(f"key {number} has no kid")
    faults += [
        f"key {number} has an {name} that is not a number"
        for name in ("iat", "nbf")
        if not isinstance(key.get(name, 0), int | float)
    ]
    if len(jwks.decoded(key.get("k"))) != _KEY_BYTES:
        faults.append(f"key {number} does not have {8 * _KEY_BYTES} bits")
    return faults


def _header(sealed: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(jwks.decoded(sealed.partition(".")[0]), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SealBroken("A stored grant was changed or damaged") from None
