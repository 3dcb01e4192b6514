"""Limits on tenants that sign up by themselves: one for each hour, and one on those that wait. On custody's server.

    {sign-ups}:arrived    sorted set: tenant id -> time of arrival, kept for an hour
    {sign-ups}:pending    sorted set: tenant id -> until when it waits for the operator
    {sign-ups}:told       the limit that the operator was notified of, for an hour

A place is taken before the tenant is written, so that many at once cannot pass the limit together. A place whose tenant never
came is free again when its time is over. A tenant with an invitation takes no place.
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
    """The limits on tenants that sign up by themselves.

    Attributes:
        hourly: within an hour. Ten times what a busy operator takes in; a flood of made-up tenants ends there, and those with
            an invitation come in all the same.
        pending: waiting for the operator at once. A person can look through so many.
        waits: how long one waits; then its consent is deleted. Longer than a holiday.
    """

    hourly: int = 30
    pending: int = 200
    waits: timedelta = timedelta(days=30)


class SignUpsFull(RelayError):
    """Too many tenants came, or wait: this one was not taken in.

    Attributes:
        why: `hourly` or `pending`.
        most: how many that is.
    """

    def __init__(self, why: str, most: int) -> None:
        super().__init__(f"No more tenants are accepted for now ({why})")
        self.why = why
        self.most = most

    @property
    def setting(self) -> str:
        """The bound as the operator set it."""
        name = "RELAY_WEB_SIGN_UPS_PER_HOUR" if self.why == "hourly" else "RELAY_WEB_PENDING_MOST"
        return f"{name}={self.most}"


class SignUps:
    """Counts those that come. Repeating anything is safe: a tenant counts once."""

    def __init__(self, store: Store, limits: SignUpLimits) -> None:
        self._store = store
        self._limits = limits

    async def take(self, tenant_id: TenantId, *, waits: bool) -> None:
        """Take a place for a tenant that is new.

        Raises:
            SignUpsFull: there is none.
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
        """Return whether to notify the operator of a limit now: once an hour, for all limits and all processes together."""
        life = int(HOUR.total_seconds())
        return bool(await self._store.vault_command("SET", keys.SIGN_UPS_TOLD, full.why, "NX", "EX", life))

    async def overdue(self) -> list[TenantId]:
        """List the tenants that have waited for too long."""
        found = await self._store.vault_command("ZRANGEBYSCORE", keys.SIGN_UPS_PENDING, "-inf", now_ms())
        return [TenantId(tenant_id.decode()) for tenant_id in found]

    async def waits_no_more(self, tenant_id: TenantId) -> None:
        """Free the place of a tenant that was decided about, or is gone."""
        await waits_no_more(self._store, tenant_id)


async def waits_no_more(store: Store, tenant_id: TenantId) -> None:
    """See `SignUps.waits_no_more`."""
    await store.vault_command("ZREM", keys.SIGN_UPS_PENDING, tenant_id)
