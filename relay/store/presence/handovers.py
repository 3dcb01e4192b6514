"""The handover of a partition: an owner that shuts down cleanly writes it, and the next owner continues from it.

    {pNN}:handover     tenant id -> Handover      ""  -> "<fencing token> <position in the inbox>", written last

It is valid for the next owner only if its fencing token directly precedes the next owner's: then there was no owner in
between, and nothing was accepted since. A killed worker writes none, and a tenant whose work did not end in time has
none. All times in it are by the store's clock, in ms since 1970. If it is lost, all users are read at once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from relay.core.presence import TenantId, UserId
from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.store.presence.leases import Lease
    from relay.store.server.connection import Store

_PUT = Script("handover_put")
_KEPT: Final = timedelta(minutes=10)
"""After this time a handover has no use: every page is due."""


class HandedPage(msgspec.Struct, frozen=True, array_like=True):
    """Users that were read together; see `core.reading.pages.ReadPage`."""

    users: tuple[UserId, ...]
    covered: bool
    confirmed_ms: int
    due_ms: int


class HandedRefusal(msgspec.Struct, frozen=True, array_like=True):
    """A user whose id Graph refuses; see `core.reading.refused_ids.Refused`."""

    user_id: UserId
    in_a_row: int
    not_before_ms: int | None


class Handover(msgspec.Struct, frozen=True, array_like=True):
    """One tenant, as its owner left it.

    Attributes:
        fence: fencing token of that owner.
        settings: digest of the tenant's settings that it used; with other settings the handover is not valid.
        pages: users without work in progress.
        unseen: those of them whose stored sequence number is not the newest that was seen.
        refused: users whose ids Graph refuses.
        renewals: account -> time to renew its subscription, for subscriptions without a problem.
        slow_down: factor by which the tenant was read slower than Graph's limit.
        blocked_until_ms: end of the wait that Graph requested.
    """

    fence: int
    settings: str
    pages: tuple[HandedPage, ...] = ()
    unseen: tuple[UserId, ...] = ()
    refused: tuple[HandedRefusal, ...] = ()
    renewals: dict[UserId, int] = {}
    slow_down: float = 1.0
    blocked_until_ms: int = 0


class Handovers:
    """The handovers of all partitions. Raises StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def leave(self, lease: Lease, position: bytes, handovers: Mapping[TenantId, Handover]) -> None:
        """Write handovers, and the inbox position from which to continue. Call it after the last answer was accepted.

        Raises:
            LeaseLost: the partition has another owner.
        """
        fields: dict[str, bytes] = {tenant_id: _encode(each) for tenant_id, each in handovers.items()}
        # Last, because it makes all of them valid.
        fields[_OWNER] = b"%d %s" % (lease.fence, position)
        calls = [
            _PUT(
                lease=keys.lease(lease.partition),
                handover=keys.handover(lease.partition),
                lease_value=lease.value,
                ttl_ms=int(_KEPT / timedelta(milliseconds=1)),
                field=field,
                value=value,
            )
            for field, value in fields.items()
        ]
        await self._store.run_many(calls)

    async def load(self, tenant_id: TenantId, fence: int) -> Handover | None:
        """Return a tenant's handover from the owner with this fencing token.

        None if there is none, or none that this release can read.
        """
        key = keys.handover(keys.partition_of(tenant_id))
        [value] = await self._store.many([("HGET", key, tenant_id)])
        return _decoded(value, fence)


def _decoded(value: bytes | None, fence: int) -> Handover | None:
    try:
        found = None if value is None else _decode(value)
    except msgspec.DecodeError:
        return None
    return found if found is not None and found.fence == fence else None


_OWNER: Final = ""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Handover).decode
