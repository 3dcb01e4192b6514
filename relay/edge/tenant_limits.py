"""Reads the limit on watched names from each tenant's record, and caches it for some seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.core.watching.limits import most_names
from relay.errors import StoreUnavailable

if TYPE_CHECKING:
    from relay.core.presence import TenantId
    from relay.ops.clock import Clock
    from relay.store.custody.tenants import Tenants

_GOOD_FOR_S: Final = 10.0
"""Longest time in seconds until a raised limit takes effect."""
_MOST: Final = 10_000


class TenantLimits:
    """The limits of the tenants that have streams here."""

    def __init__(self, tenants: Tenants, default: int, clock: Clock) -> None:
        self._clock = clock
        self._tenants = tenants
        self._default = default
        self._known: dict[TenantId, tuple[float, int]] = {}  # oldest first

    async def names(self, tenant_id: TenantId) -> int:
        """Return how many distinct names the tenant may watch on all streams of all edges.

        While custody is unavailable the last known limit holds, or else the default, so that streams continue.
        """
        now = self._clock.monotonic()
        known = self._known.get(tenant_id)
        if known is not None and now < known[0]:
            return known[1]
        try:
            most = most_names(await self._tenants.settings(tenant_id), self._default)
        except StoreUnavailable:
            return self._default if known is None else known[1]
        self._known.pop(tenant_id, None)
        self._known[tenant_id] = now + _GOOD_FOR_S, most
        while len(self._known) > _MOST:
            del self._known[next(iter(self._known))]
        return most
