"""Suite keys as texts, `psk_<key id>_<secret>`, and as records in Redis."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from relay.core.presence import TenantId
from relay.store.server import keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from relay.store.server.connection import Store

_KEY: Final = re.compile(r"psk_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_USE: Final = (b"client", b"client_version", b"last_used")


class ParsedKey(NamedTuple):
    """The two parts of a suite key."""

    key_id: str
    secret: str

    def __repr__(self) -> str:
        return f"ParsedKey({self.key_id})"


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new suite key. `text` is not stored, so it cannot be shown again."""

    key_id: str
    text: str

    def __repr__(self) -> str:
        return f"IssuedKey({self.key_id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A suite key as it is stored."""

    key_id: str
    tenant_id: TenantId
    label: str
    created: datetime
    last_used: datetime | None
    """To the hour; None if it was never used."""
    revoked: datetime | None
    expires: datetime | None = None
    """Time at which it ends, because it was replaced or its text was never shown; None if it does not end."""
    is_provisional: bool = False
    """True if its text was not shown yet."""
    client: str = ""
    """The program that used it last, by its own name; empty if it sent none."""
    client_version: str = ""

    def has_ended(self, now: datetime) -> bool:
        """Return whether the key is revoked or expired."""
        return self.revoked is not None or (self.expires is not None and self.expires <= now)


def parse(text: str) -> ParsedKey | None:
    """Return the parts of a suite key; None if `text` is not one. The text may have any length."""
    match = _KEY.fullmatch(text)
    return ParsedKey(match[1], match[2]) if match else None


async def read_records(store: Store, key_ids: Sequence[str]) -> list[dict[bytes, bytes]]:
    """Return the Redis hashes of suite keys, each with the use that edges recorded; empty for an unknown key."""
    commands = [("HGETALL", name(key_id)) for key_id in key_ids for name in (keys.suite_key, keys.suite_key_use)]
    found = await store.many(commands, vault=True)
    # Take only these fields from the use, which edges can write. Earlier releases wrote the use into the record.
    uses = [{field: use[field] for field in _USE if field in use} for use in found[1::2]]
    return [{**record, **use} if record else {} for record, use in zip(found[::2], uses, strict=True)]


def decoded(key_id: str, record: Mapping[bytes, bytes]) -> KeyRecord:
    """Return a suite key from its Redis hash. Raises KeyError or ValueError for an invalid hash."""
    return KeyRecord(
        key_id=key_id,
        tenant_id=TenantId(record[b"tenant"].decode()),
        label=record.get(b"label", b"").decode(),
        created=time_of(record[b"created"]),
        last_used=time_of(record[b"last_used"]) if b"last_used" in record else None,
        revoked=time_of(record[b"revoked"]) if b"revoked" in record else None,
        expires=time_of(record[b"expires"]) if b"expires" in record else None,
        is_provisional=b"provisional" in record,
        client=record.get(b"client", b"").decode(),
        client_version=record.get(b"client_version", b"").decode(),
    )


def time_of(ms: bytes) -> datetime:
    """Return the time for a number of ms since 1970, UTC."""
    return datetime.fromtimestamp(int(ms) / 1000, tz=UTC)
