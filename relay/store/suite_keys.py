"""Suite keys: the bearer credentials of suites, `psk_<key id>_<secret>`.

Only a hash of the secret is kept. The secret has 256 bits, so that a plain SHA-256 cannot be searched.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from relay.core.presence import TenantId
from relay.errors import SuiteKeyRevoked, SuiteKeyUnknown, TenantRemoved
from relay.store import keys
from relay.store.audit import append_about_key
from relay.store.pipes import Changes
from relay.store.scripting import Script

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from relay.core.audit import Entry
    from relay.store.connection import Store

MAX_LABEL_CHARS: Final = 100
TOUCH_EVERY: Final = timedelta(hours=1)
"""How exact `last_used` is. Each step costs custody's server an fsync, so it is coarse."""

_KEY = re.compile(r"psk_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_NO_HASH: Final = bytes(32)

_REVOKE = Script("suite_key_revoke")
_TOUCH = Script("suite_key_touch")


class ParsedKey(NamedTuple):
    """The two parts of a suite key."""

    key_id: str
    secret: str

    def __repr__(self) -> str:
        return f"ParsedKey({self.key_id})"


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new suite key. `text` exists here only: it cannot be shown again."""

    key_id: str
    text: str

    def __repr__(self) -> str:
        return f"IssuedKey({self.key_id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is known of a suite key."""

    key_id: str
    tenant_id: TenantId
    label: str
    created: datetime
    last_used: datetime | None
    """To the hour; None when it never was."""
    revoked: datetime | None


def parse(text: str) -> ParsedKey | None:
    """The parts of a suite key, or None when `text` cannot be one, whatever its length."""
    match = _KEY.fullmatch(text)
    return ParsedKey(match[1], match[2]) if match else None


class SuiteKeys:
    """The suite keys of all tenants.

    Issuing and revoking are durable when they return; after NotSaved or StoreUnavailable repeat them (a key that was not
    handed out cannot be used). A revoked key ends its open streams through `changes`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def issue(self, tenant_id: TenantId, label: str, audit: Entry | None = None) -> IssuedKey:
        """Make a key for one suite of a tenant.

        Args:
            tenant_id: whose presence it shows.
            label: what people call the suite; cut at 100 characters.
            audit: `key_made` or `key_rotated`; this puts the key's id in.

        Raises:
            TenantRemoved: there is no such tenant.
        """
        if not await self._tenant_exists(tenant_id):
            raise TenantRemoved("There is no such tenant")
        key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        record = ("tenant", tenant_id, "hash", _hash(secret), "label", label[:MAX_LABEL_CHARS], "created", _now_ms())
        async with self._store.vault_connection() as vault:
            # Listed before it works: whatever is cut short, no key is in force that a removal would not find.
            await vault.execute("SADD", keys.tenant_suite_keys(tenant_id), key_id)
            await vault.execute("HSET", keys.suite_key(key_id), *record)
            if audit is not None:
                await append_about_key(vault, tenant_id, key_id, audit)
            await vault.confirm()
        return IssuedKey(key_id, f"psk_{key_id}_{secret}")

    async def verify(self, text: str) -> KeyRecord:
        """Whose key this is. An unknown id costs as much work as a wrong secret.

        Raises:
            SuiteKeyUnknown: no key, a wrong secret, or an id that nobody issued; which of them is not said.
            SuiteKeyRevoked: it was revoked.
            TenantRemoved: its tenant has left.
        """
        parsed = parse(text)
        if parsed is None:
            raise SuiteKeyUnknown("This is not a suite key")
        record = await self._store.vault_command("HGETALL", keys.suite_key(parsed.key_id))
        if not hmac.compare_digest(_hash(parsed.secret), record.get(b"hash", _NO_HASH)):
            raise SuiteKeyUnknown("Nobody issued this suite key")
        key = _record(parsed.key_id, record)
        if not await self._tenant_exists(key.tenant_id):
            raise TenantRemoved("The tenant of this suite key has left the relay")
        if key.revoked is not None:
            raise SuiteKeyRevoked("This suite key was revoked", key_id=key.key_id)
        return key

    async def revoke(self, key_id: str, audit: Entry | None = None) -> bool:
        """End a key and the streams that use it; False for an id that nobody issued.

        Repeating it completes what was cut short; the audit log tells of it once.
        """
        async with self._store.vault_connection() as vault:
            found = await vault.run(_REVOKE, [keys.suite_key(key_id)], [_now_ms()])
            if found is not None and audit is not None:
                tenant_id, revoked = TenantId(found[0].decode()), _time(found[1])
                await append_about_key(vault, tenant_id, key_id, audit, once_since=revoked)
            await vault.confirm()
        if found is None:
            return False
        await Changes(self._store).key_revoked(TenantId(found[0].decode()), key_id)
        return True

    async def revoke_all(self, tenant_id: TenantId) -> None:
        """End all keys of a tenant, so that they do not come back to life with it."""
        for key_id in await self._ids(tenant_id):
            await self.revoke(key_id)

    async def list(self, tenant_id: TenantId) -> list[KeyRecord]:
        """The tenant's keys, revoked ones included, oldest first."""
        ids = await self._ids(tenant_id)
        records = await self._store.many([("HGETALL", keys.suite_key(key_id)) for key_id in ids], vault=True)
        found = [_record(key_id, record) for key_id, record in zip(ids, records, strict=True) if record]
        return sorted(found, key=lambda key: (key.created, key.key_id))

    async def touch(self, key_id: str) -> None:
        """Note that the key is in use; coarse, and lost with a crash."""
        args = [_now_ms(), int(TOUCH_EVERY / timedelta(milliseconds=1))]
        await self._store.vault_run(_TOUCH, [keys.suite_key(key_id)], args)

    async def _ids(self, tenant_id: TenantId) -> Sequence[str]:
        found = await self._store.vault_command("SMEMBERS", keys.tenant_suite_keys(tenant_id))
        return sorted(key_id.decode() for key_id in found)

    async def _tenant_exists(self, tenant_id: TenantId) -> bool:
        state = await self._store.vault_command("HGET", keys.tenant(tenant_id), "state")
        return state not in (None, b"removed")


def _record(key_id: str, record: Mapping[bytes, bytes]) -> KeyRecord:
    return KeyRecord(
        key_id=key_id,
        tenant_id=TenantId(record[b"tenant"].decode()),
        label=record[b"label"].decode(),
        created=_time(record[b"created"]),
        last_used=_time(record[b"last_used"]) if b"last_used" in record else None,
        revoked=_time(record[b"revoked"]) if b"revoked" in record else None,
    )


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _now_ms() -> int:
    return int(datetime.now(tz=UTC).timestamp() * 1000)


def _time(ms: bytes) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, tz=UTC)
