"""Tenants that the operator removed or refused. Custody: acknowledged means on disk.

    {pNN}:turned-away     hash: tenant id -> time, removed or refused, and the reason that its users are shown

A mark stays after the tenant's record was deleted. While it exists, no consent on any page can admit the tenant; the
script that admits a tenant checks the mark in the same step. Only the operator can lift it: with `tenants lift`, by
onboarding the tenant on the command line, or by an invitation that is newer than the mark. A tenant that left on its
own has no mark.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from relay.core.presence import TenantId
from relay.errors import RelayError
from relay.store.server import keys

if TYPE_CHECKING:
    from relay.store.server.connection import Store

MAX_REASON_CHARS = 300


class Away(enum.StrEnum):
    """The kind of decision."""

    REMOVED = "removed"
    REFUSED = "refused"


class TurnedAwayMark(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant's mark.

    Attributes:
        at_ms: when it was made, in ms since 1970.
        kind: removed or refused.
        reason: the operator's reason, for the tenant's users; may be empty.
    """

    at_ms: int
    kind: Away
    reason: str = ""

    @property
    def at(self) -> datetime:
        """The time at which the mark was made."""
        return datetime.fromtimestamp(self.at_ms / 1000, UTC)

    def is_lifted_by(self, word_ms: int) -> bool:
        """Return whether an invitation by the operator at that time, in ms since 1970, is newer."""
        return word_ms > self.at_ms


class TurnedAwayError(RelayError):
    """The operator removed or refused the tenant: nothing was written.

    Attributes:
        mark: when and why.
    """

    def __init__(self, mark: TurnedAwayMark) -> None:
        super().__init__(f"The operator {mark.kind} this tenant on {mark.at:%Y-%m-%d}")
        self.mark = mark


def new_mark(kind: Away, reason: str = "") -> TurnedAwayMark:
    """Return a mark with the present time."""
    return TurnedAwayMark(at_ms=now_ms(), kind=kind, reason=reason[:MAX_REASON_CHARS])


def now_ms() -> int:
    """Return the present time in ms since 1970, UTC."""
    return int(datetime.now(UTC).timestamp() * 1000)


def encode(mark: TurnedAwayMark | None) -> bytes:
    """Return a mark in its stored form; empty for None."""
    return b"" if mark is None else msgspec.json.encode(mark)


def decode(kept: bytes) -> TurnedAwayMark:
    """Return a mark from its stored form. A mark that this release cannot read still applies, without a reason."""
    try:
        return msgspec.json.decode(kept, type=TurnedAwayMark)
    except msgspec.DecodeError:
        return TurnedAwayMark(at_ms=now_ms(), kind=Away.REMOVED)


class TurnedAway:
    """The marks of all tenants. `Tenants.remove` and `Tenants.refuse` make them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self, tenant_id: TenantId) -> TurnedAwayMark | None:
        """Return a tenant's mark; None if it is not turned away."""
        key = keys.turned_away(keys.partition_of(tenant_id))
        kept = await self._store.vault_command("HGET", key, tenant_id)
        return None if kept is None else decode(kept)

    async def list(self) -> list[tuple[TenantId, TurnedAwayMark]]:
        """List all marks, newest first."""
        commands = [("HGETALL", keys.turned_away(partition)) for partition in range(keys.PARTITIONS)]
        found = [
            (TenantId(tenant_id.decode()), decode(kept))
            for marks in await self._store.many(commands, vault=True)
            for tenant_id, kept in marks.items()
        ]
        return sorted(found, key=lambda one: one[1].at_ms, reverse=True)

    async def lift(self, tenant_id: TenantId) -> bool:
        """Delete a tenant's mark, durably, so that it can be admitted again; False if there is none."""
        key = keys.turned_away(keys.partition_of(tenant_id))
        async with self._store.durable() as vault:
            lifted = await vault.execute("HDEL", key, tenant_id)
            await vault.confirm()
        return bool(lifted)
