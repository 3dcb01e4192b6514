"""Judges a tenant's connection to Microsoft by its record, its grants and its worker's last report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.core.consent.grants import GrantState
from relay.core.showing.diagnosis import Connector, Seen, connector
from relay.store.presence.presences import Presences
from relay.store.presence.push import PushStatus, PushStatuses

if TYPE_CHECKING:
    from relay.core.presence import TenantId
    from relay.store.custody.tenants import Tenant
    from relay.store.custody.vault import Grant, Vault
    from relay.store.server.connection import Store


@dataclass(frozen=True, slots=True)
class Connection:
    """A tenant's connection to Microsoft, with its reason.

    Attributes:
        connector: its state and why.
        accounts: object id -> user name of the accounts that have consented.
    """

    connector: Connector
    accounts: dict[str, str]


async def read(store: Store, vault: Vault, tenant: Tenant) -> Connection:
    """Read the state of the tenant's connection to Microsoft."""
    grants = await vault.list(tenant.tenant_id)
    accounts = {str(grant.account_id): grant.upn or str(grant.account_id) for grant in grants}
    return Connection(connector(await _seen(store, tenant, grants)), accounts)


async def _seen(store: Store, tenant: Tenant, grants: list[Grant]) -> Seen:
    tenant_id: TenantId = tenant.tenant_id
    contact = await Presences(store).contact_of(tenant_id)
    push = await PushStatuses(store).load(tenant_id) or PushStatus(is_off=True)
    dead = [grant for grant in grants if grant.state is GrantState.DEAD or grant.sealed_shut]
    return Seen(
        state=tenant.state,
        grants=len(grants),
        dead=len(dead),
        code=next((grant.error for grant in dead if grant.error), ""),
        status=contact.status if contact is not None else None,
        age_s=max(0.0, time.time() - contact.contact_ms / 1000) if contact is not None and contact.contact_ms else None,
        interval_s=contact.interval_ms / 1000 if contact is not None else 0.0,
        pushed=push.pushed,
        polled=push.polled,
        silent=push.silent,
        is_push_off=push.is_off,
        push_reason=push.reason,
    )
