"""Suite keys: the bearer credentials of suites, `psk_<key id>_<secret>`.

Only a hash of the secret is stored. The secret has 256 random bits, so a plain SHA-256 resists guessing. A record is
valid only with its mark (see `marks`), which needs the key ring to make.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId
from relay.errors import RelayError, SuiteKeyRevoked, SuiteKeyUnknown, TenantRemoved
from relay.store.custody import metrics
from relay.store.custody.audit import append_about_key
from relay.store.custody.suite_key_records import IssuedKey, KeyRecord, decoded, parse, read_records, time_of
from relay.store.presence.pipes import Changes
from relay.store.sealing.marks import FIELD, NO_MARKS, MarkVerdict, Vouched
from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from relay.core.audit.events import Entry
    from relay.store.sealing.marks import Marks
    from relay.store.server.connection import Store
    from relay.store.server.durable import DurableWrites

MAX_LABEL_CHARS: Final = 100
MOST_KEYS: Final = 100
"""Most keys in force of a tenant that the pages allow: more than any organisation has suites, and few enough for one
page and for an edge's checks."""
TOUCH_EVERY: Final = timedelta(hours=1)
"""Resolution of `last_used`. It is coarse, because each update causes an fsync on custody's server."""
TOUCH_CHANGED_EVERY: Final = timedelta(minutes=1)
"""The same if the suite's program or its version has changed."""
MAX_OVERLAP: Final = timedelta(days=7)
"""Longest time for which a replaced key stays in force: enough to update every suite that has it."""
PROVISIONAL: Final = timedelta(minutes=15)
"""Lifetime of a key whose text was not shown yet."""
BURIED: Final = timedelta(days=30)
"""Time for which suites of a removed tenant still get the reason. After that their keys are unknown."""
MAX_CLIENT_CHARS: Final = 100

_REVOKED_TOLD: Final = "revoked_told"
_KEPT_TOLD: Final = "kept_told"
TOLD: Final = (_REVOKED_TOLD, _KEPT_TOLD)
"""Fields that record that the audit log has the entry, so that a repetition need not search the log."""
_COMPLAIN_EVERY_S: Final = 60.0
_MOST_COMPLAINTS: Final = 100

log = structlog.get_logger(__name__)

_NO_HASH: Final = bytes(32)

_REVOKE = Script("suite_key_revoke")
_KEEP = Script("suite_key_keep")
_EXPIRE = Script("suite_key_expire")
_RENAME = Script("suite_key_rename")
_TOUCH = Script("suite_key_touch")


class TenantWaits(RelayError):
    """The tenant waits for the operator's approval; no key was made."""


class SuiteKeys:
    """The suite keys of all tenants.

    Issuing and revoking are durable when they return; after NotSaved or StoreUnavailable repeat them (a key that was not
    shown cannot be used). Revoking a key ends its open streams through `changes`.
    """

    def __init__(self, store: Store, marks: Marks = NO_MARKS) -> None:
        """Access the suite keys in a store.

        Args:
            store: the store.
            marks: `RingMarks` to issue keys; `RingMarks` or `PublicMarks` to verify keys. Other calls need none.
        """
        self._store = store
        self._marks = marks
        self._complained: dict[str, float] = {}

    async def issue(
        self, tenant_id: TenantId, label: str, audit: Entry | None = None, *, provisional: bool = False
    ) -> IssuedKey:
        """Create a key for one suite of a tenant.

        Args:
            tenant_id: the tenant.
            label: the suite's name; cut at 100 characters.
            audit: `key_made` or `key_rotated`; the key's id is added here.
            provisional: whether it ends after `PROVISIONAL` unless `keep` is called, so that a key that was never shown
                does not stay in force.

        Raises:
            TenantRemoved: there is no such tenant.
            CannotMark: this process has no key ring.
            TenantWaits: the operator has not approved the tenant yet.
        """
        state = await self._state_of(tenant_id)
        if state in (None, TenantState.REMOVED):
            raise TenantRemoved("There is no such tenant")
        if state == TenantState.PENDING:
            raise TenantWaits(
                f"This tenant waits for the operator's approval: it has no suite keys until then. To let it in: presence-relay tenants approve {tenant_id}"
            )
        key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        now_ms = _now_ms()
        mark = self._marks.mark(Vouched(key_id, tenant_id, _hash(secret)))
        record = ["tenant", tenant_id, "hash", _hash(secret), "label", label[:MAX_LABEL_CHARS], "created", now_ms]
        record += [FIELD, mark]
        if provisional:
            record += ["provisional", 1, "expires", now_ms + _ms(PROVISIONAL)]
        async with self._store.durable() as vault:
            # List the key before it is in force: after a crash at any point, a removal of the tenant finds every key in
            # force.
            await vault.execute("SADD", keys.tenant_suite_keys(tenant_id), key_id)
            await vault.execute("HSET", keys.suite_key(key_id), *record)
            if audit is not None:
                await append_about_key(vault, tenant_id, key_id, audit)
            await vault.confirm()
        return IssuedKey(key_id, f"psk_{key_id}_{secret}")

    async def verify(self, text: str) -> KeyRecord:
        """Return the key of this text. An unknown id takes as much work as a wrong secret; both skip the signature.

        Raises:
            SuiteKeyUnknown: not a key, a wrong secret, an unknown id, or a record that was written or changed without
                the key ring. The error does not say which.
            SuiteKeyRevoked: it was revoked.
            TenantRemoved: its tenant has left.
        """
        parsed = parse(text)
        if parsed is None:
            raise SuiteKeyUnknown("This is not a suite key")
        record = (await read_records(self._store, [parsed.key_id]))[0]
        if not hmac.compare_digest(_hash(parsed.secret), record.get(b"hash", _NO_HASH)):
            raise SuiteKeyUnknown(_UNKNOWN)
        try:
            key = decoded(parsed.key_id, record)
        except (KeyError, ValueError):  # not a valid record
            self._complain(parsed.key_id, MarkVerdict.FALSE)
            raise SuiteKeyUnknown(_UNKNOWN) from None
        # A key that has ended is refused without a mark. It may have none: it was revoked, or its ring key was retired.
        if not key.has_ended(datetime.now(UTC)):
            vouched = Vouched(key.key_id, key.tenant_id, record[b"hash"])
            standing = self._marks.judge(vouched, record.get(FIELD))
            if standing is not MarkVerdict.GENUINE:
                self._complain(key.key_id, standing)
                raise SuiteKeyUnknown(_UNKNOWN)
        if not await self._tenant_exists(key.tenant_id):
            raise TenantRemoved("The tenant of this suite key has left the relay")
        if key.revoked is not None:
            raise SuiteKeyRevoked("This suite key was revoked", key_id=key.key_id)
        if key.has_ended(datetime.now(UTC)):
            raise SuiteKeyRevoked("This suite key has ended: another took its place", key_id=key.key_id)
        return key

    async def keep(self, tenant_id: TenantId, key_id: str, audit: Entry) -> bool:
        """Make a provisional key permanent, before its text is shown; False if it has ended.

        Repeating it is safe; the audit log gets one entry.
        """
        async with self._store.durable() as vault:
            kept = await vault.run(_KEEP(suite_key=keys.suite_key(key_id), now_ms=_now_ms()))
            if kept == _NOT_TOLD:
                await _tell_once(vault, tenant_id, key_id, audit, datetime.now(UTC) - PROVISIONAL, _KEPT_TOLD)
            await vault.confirm()
        return bool(kept)

    async def end_later(self, tenant_id: TenantId, key_id: str, overlap: timedelta) -> datetime | None:
        """Set the end of a key and its streams, and return it. An earlier setting stays in force.

        None for a key that is not this tenant's, or is revoked.

        Raises:
            ValueError: `overlap` is negative or longer than `MAX_OVERLAP`.
        """
        if not timedelta() <= overlap <= MAX_OVERLAP:
            raise ValueError(f"a key may overlap with its successor for {MAX_OVERLAP} at most")
        ends_ms = _now_ms() + _ms(overlap)
        async with self._store.durable() as vault:
            ends = await vault.run(_EXPIRE(suite_key=keys.suite_key(key_id), tenant_id=tenant_id, ends_ms=ends_ms))
            await vault.confirm()
        return time_of(ends) if ends else None

    async def rename(self, tenant_id: TenantId, key_id: str, label: str, audit: Entry | None = None) -> bool:
        """Rename a suite; return False for a key that is not this tenant's."""
        call = _RENAME(suite_key=keys.suite_key(key_id), tenant_id=tenant_id, label=label[:MAX_LABEL_CHARS])
        async with self._store.durable() as vault:
            renamed = await vault.run(call)
            if renamed and audit is not None:
                await append_about_key(vault, tenant_id, key_id, audit)
            await vault.confirm()
        return bool(renamed)

    async def ended(self, key_ids: Collection[str]) -> set[str]:
        """Return those of these keys that are not in force: revoked, expired, or unknown to a primary.

        Raises:
            NotPrimary: a replica does not know a key; do not end its streams.
        """
        ids = list(key_ids)
        found = await self._store.many([("HMGET", keys.suite_key(one), *_ENDS) for one in ids], vault=True)
        unknown = [keys.suite_key(one) for one, (tenant, *_) in zip(ids, found, strict=True) if tenant is None]
        await self._store.demand_primary(unknown)
        now_ms = _now_ms()
        return {
            key_id
            for key_id, (tenant, revoked, expires) in zip(ids, found, strict=True)
            if tenant is None or revoked is not None or (expires is not None and int(expires) <= now_ms)
        }

    async def revoke(self, key_id: str, audit: Entry | None = None) -> bool:
        """End a key and the streams that use it; False for an unknown id.

        Repeating it completes an interrupted call; the audit log gets one entry.
        """
        async with self._store.durable() as vault:
            found = await vault.run(_REVOKE(suite_key=keys.suite_key(key_id), now_ms=_now_ms()))
            if found is not None and audit is not None and not found[2]:
                await _tell_once(vault, TenantId(found[0].decode()), key_id, audit, time_of(found[1]), _REVOKED_TOLD)
            await vault.confirm()
        if found is None:
            return False
        await Changes(self._store).key_revoked(TenantId(found[0].decode()), key_id)
        return True

    async def revoke_all(self, tenant_id: TenantId) -> None:
        """Revoke all keys of a tenant, so that they are not in force again if it returns."""
        for key_id in await self._ids(tenant_id):
            await self.revoke(key_id)

    async def bury(self, tenant_id: TenantId) -> None:
        """Delete the data of a tenant's revoked keys, except the reason that suites get for `BURIED`."""
        for key_id in await self._ids(tenant_id):
            key = keys.suite_key(key_id)
            commands = [("HDEL", key, *_PERSONAL), ("PEXPIRE", key, _ms(BURIED)), ("DEL", keys.suite_key_use(key_id))]
            await self._store.many(commands, vault=True)

    async def list(self, tenant_id: TenantId) -> list[KeyRecord]:
        """List the tenant's keys, revoked ones included, oldest first."""
        ids = await self._ids(tenant_id)
        records = await read_records(self._store, ids)
        found = [decoded(key_id, record) for key_id, record in zip(ids, records, strict=True) if record]
        return sorted(found, key=lambda key: (key.created, key.key_id))

    async def is_full(self, tenant_id: TenantId, *, besides: str = "") -> bool:
        """Return whether a tenant has `MOST_KEYS` keys in force, not counting those labelled `besides`."""
        now, keys_ = datetime.now(UTC), await self.list(tenant_id)
        return sum(not key.has_ended(now) and (not besides or key.label != besides) for key in keys_) >= MOST_KEYS

    async def touch(self, key_id: str, client: str = "", version: str = "") -> None:
        """Record the use of a key and the program; coarse, and not durable."""
        await self._store.vault_run(
            _TOUCH(
                use=keys.suite_key_use(key_id),
                now_ms=_now_ms(),
                every_ms=_ms(TOUCH_EVERY),
                every_changed_ms=_ms(TOUCH_CHANGED_EVERY),
                client=_shown(client),
                client_version=_shown(version),
                suite_key=keys.suite_key(key_id),
            )
        )

    def _complain(self, key_id: str, standing: MarkVerdict) -> None:
        """Log a call with the right secret and a record without a genuine mark; once a minute for each key."""
        metrics.NOT_GENUINE.add(1, standing.value)
        now = time.monotonic()
        self._complained = {one: at for one, at in self._complained.items() if now - at < _COMPLAIN_EVERY_S}
        if key_id not in self._complained and len(self._complained) < _MOST_COMPLAINTS:
            self._complained[key_id] = now
            log.error("suite_key_not_genuine", key_id=key_id, reason=standing, hint=_ADVICE[standing])

    async def _ids(self, tenant_id: TenantId) -> Sequence[str]:
        found = await self._store.vault_command("SMEMBERS", keys.tenant_suite_keys(tenant_id))
        return sorted(key_id.decode() for key_id in found)

    async def _tenant_exists(self, tenant_id: TenantId) -> bool:
        return await self._state_of(tenant_id) not in (None, TenantState.REMOVED)

    async def _state_of(self, tenant_id: TenantId) -> str | None:
        state = await self._store.vault_command("HGET", keys.tenant(tenant_id), "state")
        return None if state is None else state.decode()


async def _tell_once(
    vault: DurableWrites, tenant_id: TenantId, key_id: str, entry: Entry, since: datetime, field: str
) -> None:
    """Append to the audit log, and record that in the key's record.

    Record and log may be on two servers. After an interruption in between, the next call finds the existing entry.
    """
    await append_about_key(vault, tenant_id, key_id, entry, once_since=since)
    await vault.execute("HSET", keys.suite_key(key_id), field, 1)


_UNKNOWN: Final = "This suite key was not issued by this relay"
_NOT_TOLD: Final = 1
"""The script's reply for a kept key without an entry in the audit log."""
_ADVICE: Final = {
    MarkVerdict.MISSING: "its record has no mark: presence-relay suite-keys mark shows such keys, and marks those of earlier releases",
    MarkVerdict.KEY_UNKNOWN: "this process lacks the ring key of its mark: copy the public keys here (presence-relay keyring public)",
    MarkVerdict.FALSE: "its record was written or changed without the key ring: find out who can write to Redis",
}
_ENDS: Final = ("tenant", "revoked", "expires")
_PERSONAL: Final = ("label", "client", "client_version", "last_used")


def _shown(text: str) -> str:
    """Return the name that a suite sent, cut and with printable characters only."""
    return "".join(character if character.isprintable() else " " for character in text[:MAX_CLIENT_CHARS])


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _now_ms() -> int:
    return int(datetime.now(tz=UTC).timestamp() * 1000)


def _ms(length: timedelta) -> int:
    return int(length / timedelta(milliseconds=1))
