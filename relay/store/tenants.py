"""Tenant records. Custody: acknowledged means on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from relay.core.presence import TenantId
from relay.core.tenant import TenantEvent, TenantState, after
from relay.store import custody, hints, keys
from relay.store.pipes import Changes
from relay.store.scripting import Script
from relay.store.suite_keys import SuiteKeys

if TYPE_CHECKING:
    from relay.store.connection import Store

_BATCH: Final = 500  # records in one round trip

_PUT = Script("tenant_put")
_STATE = Script("tenant_state")
_REMOVE = Script("tenant_remove")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One customer organisation as the relay knows it."""

    tenant_id: TenantId
    name: str = ""
    """What people call it; empty when not known yet."""
    domain: str = ""
    """Its default domain; empty when not known yet."""
    state: TenantState = TenantState.PENDING
    created: datetime
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What the tenant chose, by setting."""


class Tenants:
    """The tenants of the relay.

    Each write is atomic, durable when the call returns, and tells the worker. After NotSaved or StoreUnavailable it may or
    may not be in force: repeat it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, tenant: Tenant) -> None:
        """Create the tenant or replace its record; the time when it was created stays what it was."""
        held = [keys.tenant(tenant.tenant_id), keys.tenants(keys.partition_of(tenant.tenant_id))]
        await self._write(_PUT, tenant.tenant_id, held, _fields(tenant))

    async def load(self, tenant_id: TenantId) -> Tenant | None:
        """The tenant's record; None when there is no such tenant."""
        return _tenant(tenant_id, await self._store.vault_command("HGETALL", keys.tenant(tenant_id)))

    async def of(self, partition: int) -> set[TenantId]:
        """The tenants of a partition."""
        found = await self._store.vault_command("SMEMBERS", keys.tenants(partition))
        return {TenantId(tenant_id.decode()) for tenant_id in found}

    async def list(self) -> list[Tenant]:
        """All tenants, by id; not of one instant."""
        sets = await self._store.many([("SMEMBERS", keys.tenants(p)) for p in range(keys.PARTITIONS)], vault=True)
        ids = sorted(TenantId(tenant_id.decode()) for found in sets for tenant_id in found)
        tenants = []
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            records = await self._store.many([("HGETALL", keys.tenant(tenant_id)) for tenant_id in batch], vault=True)
            tenants += [_tenant(tenant_id, record) for tenant_id, record in zip(batch, records, strict=True)]
        return [tenant for tenant in tenants if tenant is not None]

    async def happened(self, tenant_id: TenantId, event: TenantEvent) -> TenantState | None:
        """Move the tenant to the state that follows from `event` and return that; None without such a tenant.

        Two events at once do not undo each other: each follows from the state that the other left. Removal is `remove`.
        """
        while (tenant := await self.load(tenant_id)) is not None:
            state = after(tenant.state, event)
            if state is tenant.state:
                return state
            if await self._write(_STATE, tenant_id, [keys.tenant(tenant_id)], [tenant.state, state]):
                return state
        return None

    async def remove(self, tenant_id: TenantId) -> bool:
        """Delete the tenant with its grants, revoke its suite keys and end its streams; False if there was none.

        Repeating it completes a removal that was cut short. What the relay knows of its users is deleted by the worker,
        which is told.
        """
        await SuiteKeys(self._store).revoke_all(tenant_id)
        held = [
            keys.tenant(tenant_id),
            keys.tenants(keys.partition_of(tenant_id)),
            keys.tenant_grants(tenant_id),
            keys.tenant_suite_keys(tenant_id),
        ]
        known = await self._write(_REMOVE, tenant_id, held, [keys.grant_prefix(tenant_id)])
        await Changes(self._store).tenant_removed(tenant_id)
        return bool(known)

    async def _write(self, script: Script, tenant_id: TenantId, held: Any, args: Any) -> Any:
        return await custody.write(self._store, script, tenant_id, held, args, hints.TenantChanged(tenant_id))


def _fields(tenant: Tenant) -> Any:
    record = {
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
        created=datetime.fromtimestamp(int(record.get(b"created", b"0")), tz=UTC),
        settings=MappingProxyType(settings),
    )
