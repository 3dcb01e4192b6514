"""Somebody who writes custody all the while: tenants, grants and suite keys, of which the record keeps what was acknowledged."""

from __future__ import annotations

import asyncio
import random
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId, UserId
from relay.errors import RelayError
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.custody.vault import NEW, Grant, Vault
from relay.store.server.connection import Store
from tests.chaos.record import Acknowledged, Found, Record
from tests.support.ring import MARKS, RING

_PAUSE_S: Final = 0.3
_KEYS: Final = 50
"""Suite keys at most: a tenant may have 100."""


@dataclass
class _Account:
    """A grant that is written again and again; its name counts the writes."""

    tenant: TenantId
    account: UserId
    writes: int = 0


class Custodian:
    """Writes through a store that has the run's faults before it. The tenants are suspended, so that no worker reads them."""

    def __init__(self, store: Store, record: Record, seed: int) -> None:
        self._store = store
        self._tenants, self._vault, self._suite_keys = Tenants(store), Vault(store, RING), SuiteKeys(store, MARKS)
        self._record = record
        self._chance = random.Random(seed)
        self._accounts: list[_Account] = []
        self._keys: dict[str, TenantId] = {}

    async def work(self) -> None:
        """Write until cancelled. A write that was refused, or whose end is unknown, promises nothing."""
        while True:
            with suppress(RelayError):
                await self._chance.choice([self._admit, self._renew, self._renew, self._issue])()
            await asyncio.sleep(self._chance.expovariate(1 / _PAUSE_S))

    async def note_found(self, store: Store) -> None:
        """Note what is there of all that was acknowledged."""
        tenants, vault, suite_keys = Tenants(store), Vault(store, RING), SuiteKeys(store, MARKS)
        for each in self._accounts:
            if await tenants.load(each.tenant) is not None:
                self._record.note(Found("tenant", each.tenant, 1))
            if (grant := await vault.load(each.tenant, each.account)) is not None and not grant.sealed_shut:
                self._record.note(Found("grant", each.account, int(grant.upn)))
            for key in await suite_keys.list(each.tenant):
                self._record.note(Found("suite key", key.key_id, 1))

    async def _admit(self) -> None:
        tenant = TenantId(str(uuid.UUID(int=self._chance.getrandbits(128))))
        await self._tenants.put(Tenant(tenant_id=tenant, state=TenantState.SUSPENDED, created=datetime.now(UTC)))
        self._record.note(Acknowledged(_now(), "tenant", tenant, 1))
        self._accounts.append(_Account(tenant, UserId(str(uuid.UUID(int=self._chance.getrandbits(128))))))

    async def _renew(self) -> None:
        if not self._accounts:
            return
        each = self._chance.choice(self._accounts)
        kept = await self._vault.load(each.tenant, each.account)
        # What a write whose end is unknown has left counts on.
        each.writes = max(each.writes, int(kept.upn) if kept is not None else 0) + 1
        grant = Grant(
            tenant_id=each.tenant,
            account_id=each.account,
            upn=str(each.writes),
            token_cache="{}",
            created=datetime.now(UTC),
        )
        await self._vault.save(grant, kept.version if kept is not None else NEW)
        self._record.note(Acknowledged(_now(), "grant", each.account, each.writes))

    async def _issue(self) -> None:
        if not self._accounts or len(self._keys) >= _KEYS:
            return
        tenant = self._chance.choice(self._accounts).tenant
        key = await self._suite_keys.issue(tenant, "chaos")
        self._keys[key.key_id] = tenant
        self._record.note(Acknowledged(_now(), "suite key", key.key_id, 1))


def _now() -> float:
    return datetime.now(UTC).timestamp()
