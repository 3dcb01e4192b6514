"""The names that this edge's suites watch, in step with the store.

A stream says which names it wants and waits for `sync` before it reads a snapshot: so the worker knows of a name before
anybody may rely on being told of its changes. Names that no stream wants any more are taken out a moment later, all at once,
so that a suite which closes one stream and opens the next changes nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from relay.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from relay.core.presence import Name, TenantId
    from relay.store.interest import Interest

_log = structlog.get_logger(__name__)

_FLUSH_S: Final = 1.0
"""How long a name that nobody wants any more stays: longer than a suite needs to open its next stream."""
_LAST_FLUSH_S: Final = 2.0


@dataclass(slots=True)
class _Tenant:
    counts: dict[Name, int] = field(default_factory=dict)  # name -> how many streams want it; never 0
    dirty: set[Name] = field(default_factory=set)  # what the store has of these may be wrong
    rewrite: bool = False  # what the store has of all may be wrong
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_in_step(self) -> bool:
        return not (self.dirty or self.rewrite or self.lock.locked())


class LocalInterest:
    """Counts the streams that want each name, and keeps the store's sets right.

    Counting is immediate and never fails; the store follows with `sync` and `run`.
    """

    def __init__(self, interest: Interest, edge_id: str, renewal: timedelta) -> None:
        self.edge_id = edge_id
        self._interest = interest
        self._renewal_s = renewal.total_seconds()
        self._tenants: dict[TenantId, _Tenant] = {}

    @property
    def names(self) -> int:
        """How many names are watched, each once a tenant."""
        return sum(len(tenant.counts) for tenant in self._tenants.values())

    def want(self, tenant_id: TenantId, names: Iterable[Name]) -> None:
        """One more stream wants these names."""
        tenant = self._tenants.setdefault(tenant_id, _Tenant())
        counts = tenant.counts
        for name in names:
            count = counts.get(name, 0)
            counts[name] = count + 1
            if not count:
                tenant.dirty.add(name)

    def release(self, tenant_id: TenantId, names: Iterable[Name]) -> None:
        """A stream that wanted these names does no longer."""
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            return
        counts = tenant.counts
        for name in names:
            left = counts.get(name, 0) - 1
            if left > 0:
                counts[name] = left
            elif counts.pop(name, None) is not None:
                tenant.dirty.add(name)

    def distrust(self, tenant_ids: Iterable[TenantId]) -> None:
        """History was lost: register everything of these tenants again."""
        for tenant_id in tenant_ids:
            tenant = self._tenants.get(tenant_id)
            if tenant is not None:
                tenant.rewrite = True

    async def sync(self, tenant_id: TenantId) -> None:
        """Return when the store has what was wanted before this call.

        Raises:
            StoreUnavailable: it may or may not; call again.
        """
        tenant = self._tenants.get(tenant_id)
        if tenant is None or tenant.is_in_step():
            return
        async with tenant.lock:
            if tenant.dirty and not tenant.rewrite:
                await self._write_dirty(tenant_id, tenant)
            if tenant.rewrite:
                await self._rewrite(tenant_id, tenant)
        if not tenant.counts and tenant.is_in_step():
            self._tenants.pop(tenant_id, None)

    async def _write_dirty(self, tenant_id: TenantId, tenant: _Tenant) -> None:
        dirty, tenant.dirty = tenant.dirty, set()
        added = [name for name in dirty if name in tenant.counts]
        removed = [name for name in dirty if name not in tenant.counts]
        count = None
        try:
            if removed:
                count = await self._interest.remove(tenant_id, self.edge_id, removed)
            if added:
                count = await self._interest.add(tenant_id, self.edge_id, added)
        except BaseException:
            tenant.dirty |= dirty
            raise
        # Unless names came or went meanwhile, another count means that the store forgot some.
        if not tenant.dirty and count is not None and count != len(tenant.counts):
            tenant.rewrite = True

    async def _rewrite(self, tenant_id: TenantId, tenant: _Tenant) -> None:
        dirty, tenant.dirty = tenant.dirty, set()
        tenant.rewrite = False
        try:
            await self._interest.replace(tenant_id, self.edge_id, list(tenant.counts))
        except BaseException:
            tenant.rewrite = True
            tenant.dirty |= dirty
            raise

    async def run(self) -> None:
        """Take out what nobody wants, and renew the rest; until cancelled."""
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + self._renewal_s
        while True:
            await asyncio.sleep(_FLUSH_S)
            try:
                if loop.time() >= renew_at:
                    renew_at = loop.time() + self._renewal_s
                    await self.renew()
                await self.flush()
            except StoreUnavailable:
                pass  # the hub says so; what is dirty stays dirty
            except Exception:
                _log.exception("interest_failed")

    async def flush(self) -> None:
        """Bring every tenant in step."""
        for tenant_id in [tenant_id for tenant_id, tenant in self._tenants.items() if not tenant.is_in_step()]:
            await self.sync(tenant_id)

    async def renew(self) -> None:
        """Keep interest alive; a tenant of which the store has another number of names is registered again."""
        tenants = {tenant_id: tenant for tenant_id, tenant in self._tenants.items() if tenant.is_in_step()}
        found = await self._interest.renew(list(tenants), self.edge_id)
        for tenant_id, tenant in tenants.items():
            if tenant.is_in_step() and found[tenant_id] != len(tenant.counts):
                _log.info("interest_registered_again", tenant_id=tenant_id, names=len(tenant.counts))
                tenant.rewrite = True

    async def aclose(self) -> None:
        """Take out what is left, if the store answers soon; otherwise it expires by itself."""
        try:
            async with asyncio.timeout(_LAST_FLUSH_S):
                await self.flush()
        except (StoreUnavailable, TimeoutError):
            pass
