"""The number of users of each tenant with push, and why others have none. Only operators need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from relay.errors import LeaseLost
from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from relay.core.presence import TenantId
    from relay.store.presence.leases import Lease
    from relay.store.server.connection import Store

_PUT = Script("push_status")


class PushStatus(msgspec.Struct, frozen=True):
    """A tenant's users, by the way in which the relay learns of their changes."""

    pushed: int = 0
    """The number of users whose changes arrive as change notifications."""
    polled: int = 0
    """The number of users who are polled."""
    silent: int = 0
    """The polled users that should have change notifications, and no longer get them."""
    reason: str = ""
    """The reason why users that could have push are polled; empty if there is no problem."""
    is_off: bool = False
    """True if there are no subscriptions: no webhook is set up, or this cloud has no notifications."""


class PushStatuses:
    """The push status of all tenants, as their owners last wrote it. It is deleted when the tenant leaves."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, lease: Lease, tenant_id: TenantId, status: PushStatus) -> None:
        """Write a tenant's status. Raises LeaseLost when the partition has another owner."""
        if keys.partition_of(tenant_id) != lease.partition:
            raise LeaseLost("The lease is not of this tenant's partition")
        await self._store.run(
            _PUT(
                lease=keys.lease(lease.partition),
                push=keys.tenant_push(tenant_id),
                lease_value=lease.value,
                status=_encode(status),
            )
        )

    async def load(self, tenant_id: TenantId) -> PushStatus | None:
        """Return a tenant's status; None if there is none, or this release cannot read it."""
        text = await self._store.command("GET", keys.tenant_push(tenant_id))
        try:
            return None if text is None else _decode(text)
        except msgspec.DecodeError:
            return None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(PushStatus).decode
