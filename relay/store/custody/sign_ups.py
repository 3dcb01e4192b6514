"""Limits on tenants that sign up without an invitation: per hour, and on those that wait. On custody's server.

    {sign-ups}:arrived    sorted set: tenant id -> time of the sign-up, kept for an hour
    {sign-ups}:pending    sorted set: tenant id -> end of its wait for the operator
    {sign-ups}:told       the limit that the operator was notified of, for an hour

A place is taken before the tenant is written, so that concurrent sign-ups cannot exceed the limit. A place whose tenant
was never written is free again when its time ends. A tenant with an invitation takes no place.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from relay.core.presence import TenantId
from relay.errors import RelayError
from relay.store.custody.turned_away import now_ms
from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from relay.store.server.connection import Store

HOUR: Final = timedelta(hours=1)
_TAKE = Script("sign_up_take")
_MS: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpLimits:
    """The limits on tenants that sign up without an invitation.

    Attributes:
        hourly: most sign-ups in an hour: ten times those of a busy operator. It stops a flood of fake tenants; tenants
            with an invitation are not affected.
        pending: most tenants that wait for the operator. One person can still review so many.
        waits: longest wait; then the tenant's consent is deleted. Longer than a holiday.
    """

    hourly: int = 30
    pending: int = 200
    waits: timedelta = timedelta(days=30)


class SignUpsFull(RelayError):
    """Too many tenants signed up or are waiting: this one was not accepted.

    Attributes:
        why: the limit, `hourly` or `pending`.
        most: value of the limit.
    """

    def __init__(self, why: str, most: int) -> None:
        super().__init__(f"No more tenants are accepted for now ({why})")
        self.why = why
        self.most = most

    @property
    def setting(self) -> str:
        """The limit's setting, with its value."""
        name = "RELAY_WEB_SIGN_UPS_PER_HOUR" if self.why == "hourly" else "RELAY_WEB_PENDING_MOST"
        return f"{name}={self.most}"


class SignUps:
    """Counts sign-ups. Every call can be repeated: a tenant counts once."""

    def __init__(self, store: Store, limits: SignUpLimits) -> None:
        self._store = store
        self._limits = limits

    async def take(self, tenant_id: TenantId, *, waits: bool) -> None:
        """Take a place for a new tenant.

        Raises:
            SignUpsFull: no place is free.
        """
        now, limits = now_ms(), self._limits
        until = now + int(limits.waits / _MS) if waits else 0
        call = _TAKE(
            arrived=keys.SIGN_UPS_ARRIVED,
            pending=keys.SIGN_UPS_PENDING,
            tenant_id=tenant_id,
            now_ms=now,
            hour_ago_ms=now - int(HOUR / _MS),
            most_arrived=limits.hourly,
            most_pending=limits.pending,
            waits_until_ms=until,
        )
        reply = await self._store.vault_run(call)
        if reply:
            why = reply.decode()
            raise SignUpsFull(why, limits.hourly if why == "hourly" else limits.pending)

    async def is_to_be_told(self, full: SignUpsFull) -> bool:
        """Return whether to notify the operator of a limit now: at most once an hour, for all limits and processes."""
        life = int(HOUR.total_seconds())
        return bool(await self._store.vault_command("SET", keys.SIGN_UPS_TOLD, full.why, "NX", "EX", life))

    async def overdue(self) -> list[TenantId]:
        """List the tenants whose wait has ended."""
        found = await self._store.vault_command("ZRANGEBYSCORE", keys.SIGN_UPS_PENDING, "-inf", now_ms())
        return [TenantId(tenant_id.decode()) for tenant_id in found]

    async def waits_no_more(self, tenant_id: TenantId) -> None:
        """Free the place of a tenant that was approved, refused or removed."""
        await waits_no_more(self._store, tenant_id)


async def waits_no_more(store: Store, tenant_id: TenantId) -> None:
    """See `SignUps.waits_no_more`."""
    await store.vault_command("ZREM", keys.SIGN_UPS_PENDING, tenant_id)
