"""All values that are sealed under the key ring: counted by key, and re-encrypted online under the key in use.

Each module that seals values has a row in `SEALED_FIELDS`; a test verifies that. The steps of a rotation are

    keyring add     adds the new key, which seals after a delay
    reencrypt       rewrites values under older keys one by one, by compare and set, so that any other write wins
    keyring retire  is refused while a value is left under the old key, or a process still seals with it

Each step can be repeated after an interruption.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from relay.errors import NotSaved
from relay.store.custody import access_requests
from relay.store.sealing import invitations, notify_secrets
from relay.store.sealing import short_lived as flows
from relay.store.sealing.keyring import Belonging, SealBroken, kid_of
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

log = structlog.get_logger(__name__)

_AGAIN: Final = 5
"""Most tries for a value with concurrent writes. Another writer seals with the key in use, so one more try is
enough."""

_RESEAL = Script("reseal")
_GRANT = re.compile(r"\{p[0-9]{2}\}:grant:([^:]+):([^:]+)")


@dataclass(frozen=True, slots=True)
class SealedField:
    """A kind of Redis key with a sealed value in it.

    Attributes:
        what: name of the kind, in the plural, for display.
        pattern: pattern of the keys for SCAN.
        hash_field: the hash field with the sealed value; empty if the key is a string.
        belonging: returns the belonging of a key's value; None for a key of another kind.
        member: the member with the sealed value, if the field holds a JSON object of texts.
        only: whether the pattern matches other kinds of keys too, which must be skipped.
    """

    what: str
    pattern: str
    hash_field: str
    belonging: Callable[[str], Belonging | None]
    member: str = ""
    only: bool = False

    def sealed_in(self, value: bytes | None) -> str | None:
        """Return the sealed text in the value of a key; None if there is none.

        Raises:
            SealBroken: the value is not one of the relay's.
        """
        if value is None:
            return None
        try:
            return msgspec.json.decode(value, type=dict[str, str]).get(self.member) if self.member else value.decode()
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SealBroken("A sealed value was changed or damaged") from None

    def with_sealed(self, value: bytes, sealed: str) -> bytes:
        """Return the value of a key with another sealed text in it."""
        if not self.member:
            return sealed.encode()
        return msgspec.json.encode(msgspec.json.decode(value, type=dict[str, str]) | {self.member: sealed})


def _grant(key: str) -> Belonging | None:
    found = _GRANT.fullmatch(key)
    return None if found is None else Belonging(found[1], found[2])


SEALED_FIELDS: Final = (
    SealedField("grants", "{p*}:grant:*", "token_cache", _grant),
    SealedField("requests for access", "{p*}:request:*", "", access_requests.belonging_of_key),
    SealedField("onboarding flows", "flow:*", "", flows.belonging_of_key),
    SealedField("invitations", "invitation:*", "", invitations.belonging_of_key),
    SealedField(
        "secrets of notices",
        "{p*}:tenant:*",
        "settings",
        notify_secrets.belonging_of_key,
        member=notify_secrets.SETTING,
        only=True,
    ),
)


@dataclass(slots=True)
class SealCensus:
    """The number of sealed values under each key."""

    by_kid: dict[str, Counter[str]] = field(default_factory=dict)
    """Key id -> kind -> number of values. The empty id is for values that are not sealed."""

    def under(self, kid: str) -> Counter[str]:
        """Return the sealed values under one key, by kind."""
        return self.by_kid.get(kid, Counter())


@dataclass(slots=True)
class ResealProgress:
    """The progress of a re-encryption."""

    seen: int = 0
    rewritten: int = 0
    broken: list[str] = field(default_factory=list)
    """The keys in Redis whose values cannot be decrypted; they were not changed."""


class Sealed:
    """All sealed values, on custody's server. Raises StoreUnavailable from every method; repeating is safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def census(self) -> SealCensus:
        """Count the sealed values; not a consistent snapshot."""
        census = SealCensus()
        async for place, _, value in self._values():
            try:
                sealed = place.sealed_in(value)
                kid = "" if sealed is None else kid_of(sealed)
            except SealBroken:
                sealed = kid = ""
            if sealed is None:
                continue
            census.by_kid.setdefault(kid, Counter())[place.what] += 1
        return census

    async def reencrypt(self, ring: KeyRing) -> AsyncIterator[ResealProgress]:
        """Rewrite values of other keys under the key in use; yield the progress after each value and at the end.

        Grants and flows stay in use meanwhile, and versions do not change. Each value names its key, so another run
        continues an interrupted one.

        Raises (while iterated):
            NotSaved: the last value is not confirmed to be on disk. The old and the new value both open.
        """
        progress = ResealProgress()
        async for place, key, value in self._values():
            progress.seen += 1
            try:
                progress.rewritten += await self._reseal(ring, place, key, value)
            except SealBroken:
                progress.broken.append(key)
                log.warning("sealed_value_not_decrypted", key=key)
            yield progress
        yield progress

    async def _reseal(self, ring: KeyRing, place: SealedField, key: str, value: bytes | None) -> bool:
        """Rewrite one value; False if it is under the key in use, or was deleted."""
        belonging = place.belonging(key)
        if belonging is None:
            raise SealBroken("A key in which nothing sealed should be")
        for _ in range(_AGAIN):
            sealed = place.sealed_in(value)
            if value is None or sealed is None or ring.is_newest(sealed):
                return False
            again = place.with_sealed(value, ring.seal(ring.open(sealed, belonging), belonging))
            async with self._store.durable() as vault:
                replaced = await vault.run(_RESEAL(key=key.encode(), field=place.hash_field, old=value, new=again))
                await vault.confirm()
            if replaced:
                return True
            value = await self._store.vault_command(*_read(place, key))
        raise NotSaved(f"{key} changes too often")

    async def _values(self) -> AsyncIterator[tuple[SealedField, str, bytes]]:
        for place in SEALED_FIELDS:
            async for names in self._store.vault_scan(place.pattern):
                found = [name.decode() for name in names]
                found = [key for key in found if not place.only or place.belonging(key) is not None]
                values = await self._store.many([_read(place, key) for key in found], vault=True)
                for key, value in zip(found, values, strict=True):
                    if value is not None and place.member.encode() in value:
                        yield place, key, value


def _read(place: SealedField, key: str) -> tuple[str, ...]:
    return ("HGET", key, place.hash_field) if place.hash_field else ("GET", key)
