"""Tenant records. Custody: acknowledged means on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from relay.core.audit.events import OPERATOR, RELAY, ActorKind, EventKind, settings_changed
from relay.core.audit.events import tenant as audit_tenant
from relay.core.consent.tenant import TenantEvent, TenantState, after
from relay.core.presence import TenantId
from relay.core.watching import permission
from relay.errors import RelayError
from relay.store.custody import notices
from relay.store.custody import refusal_records as troubles
from relay.store.custody import writes as custody
from relay.store.custody.sign_ups import waits_no_more
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.turned_away import Away, encode, new_mark
from relay.store.presence import hints
from relay.store.presence.enforcement import Enforcement
from relay.store.presence.pipes import Changes
from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Sequence

    from relay.core.audit.events import Actor, Entry
    from relay.core.consent.microsoft_error import RefusalRecord
    from relay.store.custody.turned_away import TurnedAwayMark
    from relay.store.server.connection import Store
    from relay.store.server.scripting import Arg

log = structlog.get_logger(__name__)

_BATCH: Final = 500  # records in one round trip

_PUT = Script("tenant_put")
_SETTINGS = Script("tenant_settings")
_STATE = Script("tenant_state")
_REMOVE = Script("tenant_remove")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One customer organisation."""

    tenant_id: TenantId
    name: str = ""
    """The organisation's name; empty when not known yet."""
    domain: str = ""
    """The organisation's default domain; empty when not known yet."""
    state: TenantState = TenantState.ACTIVE
    since: datetime | None = field(default=None, compare=False)
    """Time of its last change of state. The store sets this and ignores a writer's value."""
    trouble: RefusalRecord | None = None
    """Reason why it needs consent: Microsoft's refusal of the grant that died last. None in any other state; see
    `happened`."""
    created: datetime
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The values that the tenant chose, by setting."""


class SettingsConflict(RelayError):
    """Another user changed settings since they were read: nothing was written.

    Attributes:
        names: the settings.
    """

    def __init__(self, names: Collection[str]) -> None:
        super().__init__("Another user changed the settings meanwhile")
        self.names = frozenset(names)


@dataclass(frozen=True, slots=True)
class Roster:
    """The tenants of a partition.

    Attributes:
        tenants: the current tenants.
        left: tenants that left, while data of their users may still be stored.
    """

    tenants: frozenset[TenantId]
    left: frozenset[TenantId]


class Tenants:
    """The tenants of the relay.

    Each write is atomic, durable when the call returns, and sends a hint to the worker. After NotSaved or
    StoreUnavailable it may or may not be in force: repeat it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, tenant: Tenant, audit: Entry | None = None) -> None:
        """Create the tenant or replace its record; an existing creation time is kept.

        It does not compare with the existing record. To change settings of an existing tenant, use `change_settings`.
        """
        await self._hold_answers_back(tenant.tenant_id, tenant.settings)
        await custody.write(
            self._store,
            _PUT,
            hints.TenantChanged(tenant.tenant_id),
            audit,
            *_fields(tenant),
            tenant=keys.tenant(tenant.tenant_id),
            tenants=keys.tenants(keys.partition_of(tenant.tenant_id)),
        )

    async def load(self, tenant_id: TenantId) -> Tenant | None:
        """Return the tenant's record; None if there is no such tenant."""
        return _tenant(tenant_id, await self._store.vault_command("HGETALL", keys.tenant(tenant_id)))

    async def settings(self, tenant_id: TenantId) -> Mapping[str, str]:
        """Return only the tenant's settings; empty if there is no such tenant."""
        raw = await self._store.vault_command("HGET", keys.tenant(tenant_id), "settings")
        return msgspec.json.decode(raw or b"{}", type=dict[str, str])

    async def rosters(self, partitions: Sequence[int]) -> dict[int, Roster]:
        """Return the roster of each partition, in one round trip to each node."""
        asked = [("SMEMBERS", key(partition)) for partition in partitions for key in (keys.tenants, keys.left)]
        sets = [_ids(found) for found in await self._store.many(asked, vault=True)]
        return {
            partition: Roster(tenants, left)
            for partition, tenants, left in zip(partitions, sets[::2], sets[1::2], strict=True)
        }

    async def list(self) -> list[Tenant]:
        """List all tenants, by id; not a consistent snapshot."""
        sets = await self._store.many([("SMEMBERS", keys.tenants(p)) for p in range(keys.PARTITIONS)], vault=True)
        ids = sorted(TenantId(tenant_id.decode()) for found in sets for tenant_id in found)
        tenants = []
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            records = await self._store.many([("HGETALL", keys.tenant(tenant_id)) for tenant_id in batch], vault=True)
            tenants += [_tenant(tenant_id, record) for tenant_id, record in zip(batch, records, strict=True)]
        return [tenant for tenant in tenants if tenant is not None]

    async def change_settings(
        self,
        tenant_id: TenantId,
        values: Mapping[str, str],
        by: Actor,
        shown: Container[str] = (),
        *,
        seen: Mapping[str, str] | None = None,
    ) -> Mapping[str, str] | None:
        """Change settings and return all settings; None if there is no such tenant.

        Concurrent changes of different settings do not undo each other.

        Args:
            tenant_id: the tenant.
            values: setting -> value; an empty value removes a setting. Other settings do not change.
            by: the actor for the audit log. There is no entry if nothing changes.
            shown: the settings whose values the audit log may show; see `settings_changed`.
            seen: the values that the actor was shown; None: no check for conflicts.

        Raises:
            SettingsConflict: a setting has changed since `seen`; nothing was written.
        """
        while True:
            raw = await self._store.vault_command("HMGET", keys.tenant(tenant_id), "state", "settings")
            if raw[0] is None:
                return None
            before = msgspec.json.decode(raw[1] or b"{}", type=dict[str, str])
            after = {name: value for name, value in (before | dict(values)).items() if value}
            _demand_seen(seen, before, after)
            if (audit := settings_changed(by, before, after, shown)) is None:
                return before
            if any(before.get(one) != after.get(one) for one in permission.SETTINGS):
                await self._hold_answers_back(tenant_id, after)
            written = await custody.write(
                self._store,
                _SETTINGS,
                hints.TenantChanged(tenant_id),
                audit,
                tenant=keys.tenant(tenant_id),
                old=raw[1] or b"",
                new=msgspec.json.encode(after),
            )
            if written < 0:
                return None
            if written:
                return after

    async def happened(
        self,
        tenant_id: TenantId,
        event: TenantEvent,
        audit: Entry | None = None,
        *,
        trouble: RefusalRecord | None = None,
    ) -> TenantState | None:
        """Move the tenant to the state that follows from `event` and return it; None if there is no such tenant.

        Concurrent events do not undo each other: each applies to the state that the other left. To remove a tenant use
            `remove`.

        Args:
            tenant_id: the tenant.
            event: the event.
            audit: entry for the audit log; not written if the state does not change.
            trouble: the reason why it needs consent, if that is the new state.
        """
        while (tenant := await self.load(tenant_id)) is not None:
            state = after(tenant.state, event)
            if state is tenant.state:
                return state
            needs_consent = state is TenantState.CONSENT_REQUIRED
            kept = troubles.encode(trouble if needs_consent else None)
            why = trouble if needs_consent else tenant.trouble
            notice = notices.following(tenant_id, tenant.state, state, why)
            is_moved = await custody.write(
                self._store,
                _STATE,
                hints.TenantChanged(tenant_id),
                audit,
                tenant=keys.tenant(tenant_id),
                notices=keys.notices(keys.partition_of(tenant_id)),
                before=tenant.state,
                after=state,
                trouble=kept,
                notice_id="" if notice is None else notice.notice_id,
                notice=notices.encode(notice),
            )
            if is_moved:
                return state
        return None

    async def remove(self, tenant_id: TenantId, by: Actor = OPERATOR, reason: str = "") -> bool:
        """Delete the tenant with its grants and its audit log, revoke its suite keys, end its streams; False if there was none.

        Repeating it completes an interrupted removal. The worker deletes the users' data: it gets a hint, and finds the
        tenant in `left` if it missed the hint. Only the log event `tenant_left` records the removal and its actor. A
        tenant that the operator removes is turned away afterwards; see `relay.store.custody.turned_away`.
        """
        mark = new_mark(Away.REMOVED, reason) if by.kind is ActorKind.OPERATOR else None
        suite_keys = SuiteKeys(self._store)
        await suite_keys.revoke_all(tenant_id)
        await suite_keys.bury(tenant_id)
        return await self._delete(tenant_id, by, mark)

    async def refuse(self, tenant_id: TenantId, reason: str = "") -> bool:
        """Delete a tenant that waits for approval, and turn it away; False if it is not waiting.

        If an approval and a refusal run concurrently, only one takes effect.
        """
        return await self._delete(tenant_id, OPERATOR, new_mark(Away.REFUSED, reason), TenantState.PENDING)

    async def expire(self, tenant_id: TenantId) -> bool:
        """Delete a tenant whose wait for approval has ended; it may sign up again. False if it is not waiting."""
        return await self._delete(tenant_id, RELAY, None, TenantState.PENDING)

    async def _delete(self, tenant_id: TenantId, by: Actor, mark: TurnedAwayMark | None, only_in: str = "") -> bool:
        """Delete the tenant's record and data, if it is in the state `only_in` (empty: in any state)."""
        partition = keys.partition_of(tenant_id)
        known = await custody.write(
            self._store,
            _REMOVE,
            hints.TenantChanged(tenant_id),
            tenant=keys.tenant(tenant_id),
            tenants=keys.tenants(partition),
            grants=keys.tenant_grants(tenant_id),
            suite_keys=keys.tenant_suite_keys(tenant_id),
            watches_log=keys.audit_watches(tenant_id),
            left=keys.left(partition),
            turned_away=keys.turned_away(partition),
            managers=keys.tenant_managers(tenant_id),
            requests=keys.tenant_requests(tenant_id),
            grant_prefix=keys.grant_prefix(tenant_id),
            mark=encode(mark),
            only_in=only_in,
            request_prefix=keys.request_prefix(tenant_id),
        )
        if known < 0:
            return False
        await Changes(self._store).tenant_removed(tenant_id)
        await waits_no_more(self._store, tenant_id)
        if known:
            log.info("tenant_left", tenant_id=tenant_id, by=by.kind, account_id=by.id)
        return bool(known)

    async def _hold_answers_back(self, tenant_id: TenantId, settings: Mapping[str, str]) -> None:
        """Hold stored answers back until the worker has enforced these settings, if they restrict watching."""
        if any(settings.get(one) for one in permission.SETTINGS):
            await Enforcement(self._store).begin(tenant_id)

    async def approve(self, tenant_id: TenantId, by: Actor = OPERATOR) -> bool:
        """Approve a waiting tenant; return False if it is not waiting."""
        tenant = await self.load(tenant_id)
        if tenant is None or tenant.state is not TenantState.PENDING:
            return False
        entry = audit_tenant(EventKind.TENANT_APPROVED, by)
        state = await self.happened(tenant_id, TenantEvent.APPROVED, entry)
        await waits_no_more(self._store, tenant_id)
        return state is TenantState.ACTIVE

    async def left(self, partition: int) -> frozenset[TenantId]:
        """Return the tenants of a partition that left, while data of their users may still be stored."""
        return _ids(await self._store.vault_command("SMEMBERS", keys.left(partition)))

    async def has_gone(self, tenant_id: TenantId) -> None:
        """Record that all data of a tenant that left is deleted."""
        await self._store.vault_command("SREM", keys.left(keys.partition_of(tenant_id)), tenant_id)


def _demand_seen(seen: Mapping[str, str] | None, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Raise SettingsConflict if a setting changed since it was read, unless both changes are the same."""
    names = [name for name, value in (seen or {}).items() if before.get(name, "") not in (value, after.get(name, ""))]
    if names:
        raise SettingsConflict(names)


def _fields(tenant: Tenant) -> list[Arg]:
    record: dict[str, Arg] = {
        "name": tenant.name,
        "domain": tenant.domain,
        "state": tenant.state,
        "created": str(int(tenant.created.timestamp())),
        "settings": msgspec.json.encode(dict(tenant.settings)),
    }
    return [part for pair in record.items() for part in pair]


def _tenant(tenant_id: TenantId, record: Mapping[bytes, bytes]) -> Tenant | None:
    if b"state" not in record:
        return None
    settings = msgspec.json.decode(record.get(b"settings", b"{}"), type=dict[str, str])
    return Tenant(
        tenant_id=tenant_id,
        name=record.get(b"name", b"").decode(),
        domain=record.get(b"domain", b"").decode(),
        state=TenantState(record[b"state"].decode()),
        since=datetime.fromtimestamp(int(record[b"since"]) / 1000, tz=UTC) if b"since" in record else None,
        trouble=troubles.decode(record.get(b"trouble", b"")),
        created=datetime.fromtimestamp(int(record.get(b"created", b"0")), tz=UTC),
        settings=MappingProxyType(settings),
    )


def _ids(found: Iterable[bytes]) -> frozenset[TenantId]:
    return frozenset(TenantId(tenant_id.decode()) for tenant_id in found)
