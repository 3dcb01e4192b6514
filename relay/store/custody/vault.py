"""The vault: grants, encrypted and versioned. Custody: acknowledged means on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from relay.core.consent.grants import GrantState
from relay.core.consent.values import TokenGrant
from relay.core.presence import TenantId, UserId
from relay.errors import RelayError, TenantRemoved
from relay.store.custody import refusal_records as troubles
from relay.store.custody import writes as custody
from relay.store.presence import hints
from relay.store.sealing.keyring import Belonging, KeyRing, SealBroken
from relay.store.server import keys
from relay.store.server.scripting import Arg, Script

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from relay.core.audit.events import Entry
    from relay.core.consent.microsoft_error import RefusalRecord
    from relay.store.server.connection import Store

NEW: Final = 0
"""The expected version of a new grant."""

TOUCH_EVERY: Final = timedelta(minutes=5)
"""Minimum time between two records of a grant's use: precise enough for display, and no load for thousands of
tenants."""

_SAVE = Script("grant_save")
_TOUCH = Script("grant_touch")
_REMOVE = Script("grant_remove")


class VersionConflict(RelayError):
    """The grant has changed since it was loaded: nothing was written; load it again.

    Attributes:
        version: the stored version; 0 if the grant was deleted.
    """

    def __init__(self, version: int) -> None:
        super().__init__("The grant was changed meanwhile")
        self.version = version


class LastGrant(RelayError):
    """The grant is the last one of its tenant, and `unless_last` was set: nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One account's grant in a tenant. Its `repr` does not show the token cache."""

    tenant_id: TenantId
    account_id: UserId
    """The account's object id."""
    upn: str = ""
    token_cache: str = field(repr=False)
    """MSAL's serialised token cache; empty if it could not be decrypted (see `sealed_shut`)."""
    version: int = NEW
    """Each write compares and increases it; a version is never reused."""
    state: GrantState = GrantState.HEALTHY
    error: str = ""
    """Microsoft's error code; empty if the grant works."""
    since: datetime | None = field(default=None, compare=False)
    """Time of its last change of state. The store sets this and ignores a writer's value."""
    created: datetime
    consented: datetime | None = None
    """Time of the account's last consent on the pages; None: at `created`."""
    last_refresh: datetime | None = None
    """Time at which Entra last issued a token for it."""
    last_use: datetime | None = None
    """Time at which the relay last read with it; accurate to `TOUCH_EVERY`, and not durable. See `touch`."""
    last_success: datetime | None = None
    """Time at which Microsoft last answered a read with it; as accurate as `last_use`."""
    last_error: RefusalRecord | None = None
    """The last refusal, kept even if the grant works again."""
    sealed_shut: bool = False
    """True if the key ring cannot open the token cache. The account must consent again, or the missing key be
    restored."""

    @property
    def token_grant(self) -> TokenGrant:
        """The part of the grant that is needed to get access tokens."""
        return TokenGrant(
            tenant_id=self.tenant_id, account_id=self.account_id, version=self.version, token_cache=self.token_cache
        )


class Vault:
    """The grants of all tenants.

    Every write compares the version that the writer has loaded, is atomic, durable when it returns, and sends a hint to
    the worker. After NotSaved or StoreUnavailable it may or may not be in force: load the grant again to decide.
    """

    def __init__(self, store: Store, ring: KeyRing) -> None:
        self._store = store
        self._ring = ring

    @property
    def ring(self) -> KeyRing:
        """The key ring under which custody is sealed."""
        return self._ring

    @property
    def ring_generation(self) -> int:
        """Grows when the keys of the ring change: a `sealed_shut` grant may then open."""
        self._ring.reload_if_changed()
        return self._ring.generation

    async def load(self, tenant_id: TenantId, account_id: UserId) -> Grant | None:
        """Return one grant; None if there is none."""
        record = await self._store.vault_command("HGETALL", keys.grant(tenant_id, account_id))
        return self._grant(tenant_id, account_id, record) if record else None

    async def list(self, tenant_id: TenantId) -> list[Grant]:
        """List all grants of a tenant, oldest first, including grants that cannot be decrypted."""
        ids = await self._ids(tenant_id)
        commands = [("HGETALL", keys.grant(tenant_id, account_id)) for account_id in ids]
        records = await self._store.many(commands, vault=True)
        grants = [
            self._grant(tenant_id, account, record) for account, record in zip(ids, records, strict=True) if record
        ]
        return sorted(grants, key=lambda grant: (grant.created, grant.account_id))

    async def save(self, grant: Grant, expected_version: int, audit: Entry | None = None) -> int:
        """Write a whole grant and return its new version. `grant.version` is ignored.

        Args:
            grant: the grant.
            expected_version: the version that the writer has loaded, or `NEW`.
            audit: `grant_added` for a user's action; recorded as replaced if there was a grant. None for a refreshed
                token.

        Raises:
            VersionConflict: another version is there.
            TenantRemoved: there is no such tenant; write its record first.
            NotSaved: the write is not confirmed to be on disk.
        """
        belonging = Belonging(grant.tenant_id, grant.account_id)
        record: dict[str, Arg] = {
            "token_cache": self._ring.seal(grant.token_cache, belonging),
            "upn": grant.upn,
            "created": _ms(grant.created),
            "consented": _ms(grant.consented),
            "last_refresh": _ms(grant.last_refresh),
            "state": grant.state,
            "error": grant.error,
            "last_error": troubles.encode(grant.last_error),
        }
        return await self._write(grant.tenant_id, grant.account_id, expected_version, record, audit)

    async def set_state(
        self,
        tenant_id: TenantId,
        account_id: UserId,
        expected_version: int,
        state: GrantState,
        error: str = "",
        *,
        trouble: RefusalRecord | None = None,
    ) -> int:
        """Write the state of a grant and return its new version.

        The version check prevents a refusal of an old token from marking a renewed grant as dead. Raises the errors of
        `save`.

        Args:
            tenant_id: the tenant.
            account_id: the account.
            expected_version: the version that the writer has loaded.
            state: the new state.
            error: Microsoft's error code; empty if the grant works.
            trouble: the refusal that caused the state; None keeps the stored one.
        """
        record: dict[str, Arg] = {"state": state, "error": error}
        if trouble is not None:
            record["last_error"] = troubles.encode(trouble)
        return await self._write(tenant_id, account_id, expected_version, record)

    async def touch(
        self, tenant_id: TenantId, account_id: UserId, *, used: datetime, succeeded: datetime | None
    ) -> None:
        """Record the last use of a grant and the last success, without a new version or a hint. Not durable."""
        grant = keys.grant(tenant_id, account_id)
        await self._store.vault_run(_TOUCH(grant=grant, last_use_ms=_ms(used), last_success_ms=_ms(succeeded)))

    async def remove(
        self, tenant_id: TenantId, account_id: UserId, audit: Entry | None = None, *, unless_last: bool = False
    ) -> bool:
        """Delete a grant; False if there was none, and then `audit` is not written.

        Raises:
            LastGrant: it is the tenant's last one, and `unless_last` is set; nothing was written.
        """
        known = await custody.write(
            self._store,
            _REMOVE,
            hints.GrantChanged(tenant_id, account_id),
            audit,
            grant=keys.grant(tenant_id, account_id),
            grants=keys.tenant_grants(tenant_id),
            account_id=account_id,
            keep_last=int(unless_last),
        )
        if known < 0:
            raise LastGrant("This is the last account that reads for the tenant")
        return bool(known)

    async def _write(
        self,
        tenant_id: TenantId,
        account_id: UserId,
        expected_version: int,
        record: Mapping[str, Arg],
        audit: Entry | None = None,
    ) -> int:
        reply: Any = await custody.write(
            self._store,
            _SAVE,
            hints.GrantChanged(tenant_id, account_id),
            audit,
            *(part for pair in record.items() for part in pair),
            grant=keys.grant(tenant_id, account_id),
            grants=keys.tenant_grants(tenant_id),
            tenant=keys.tenant(tenant_id),
            expected_version=expected_version,
            account_id=account_id,
        )
        if isinstance(reply, list):
            raise VersionConflict(int(reply[0]))
        if reply < 0:
            raise TenantRemoved("There is no such tenant")
        return int(reply)

    async def _ids(self, tenant_id: TenantId) -> Sequence[UserId]:
        found = await self._store.vault_command("SMEMBERS", keys.tenant_grants(tenant_id))
        return sorted(UserId(account_id.decode()) for account_id in found)

    def _grant(self, tenant_id: TenantId, account_id: UserId, record: Mapping[bytes, bytes]) -> Grant:
        try:
            cache = self._ring.open(record[b"token_cache"].decode(), Belonging(tenant_id, account_id))
            shut = False
        except SealBroken:
            cache, shut = "", True
        return Grant(
            tenant_id=tenant_id,
            account_id=account_id,
            upn=record[b"upn"].decode(),
            token_cache=cache,
            version=int(record[b"version"]),
            state=GrantState(record[b"state"].decode()),
            error=record[b"error"].decode(),
            created=_time(record[b"created"]) or datetime.fromtimestamp(0, tz=UTC),
            last_refresh=_time(record[b"last_refresh"]),
            consented=_time(record.get(b"consented", b"0")),
            since=_time(record.get(b"since", b"0")),
            last_use=_time(record.get(b"last_use", b"0")),
            last_success=_time(record.get(b"last_success", b"0")),
            last_error=troubles.decode(record.get(b"last_error", b"")),
            sealed_shut=shut,
        )


def _ms(time: datetime | None) -> int:
    return 0 if time is None else int(time.timestamp() * 1000)


def _time(ms: bytes) -> datetime | None:
    return datetime.fromtimestamp(int(ms) / 1000, tz=UTC) if int(ms) else None
