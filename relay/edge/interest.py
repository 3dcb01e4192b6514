"""The names that this edge's suites watch, kept in sync with the store.

A stream registers its names and waits for `sync` before it reads a snapshot, so the worker knows a name before a suite
may rely on its changes. Names that no stream wants any more are removed a moment later, all at once, so that a suite
that closes one stream and opens the next causes no writes.

    added ──sync──► in the store ──no stream wants it──► gone ──run, a second later──► out of the store

A tenant may watch a limited number of distinct names, on all edges together. A name beyond the limit is refused only to
the stream that requests it. The first stream to register also registers the names of the waiting streams, so that
streams that reconnect together do not wait for each other one by one; if these are too many, each stream registers its
own names. An admitted name is never refused later, even when it has to be registered again.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from relay.core.watching.limits import PER_NAME
from relay.edge.open_calls import PER
from relay.errors import StoreUnavailable, TooManyUsers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import timedelta

    from relay.core.presence import Name, TenantId
    from relay.ops.clock import Clock
    from relay.store.presence.interest import Interest

_log = structlog.get_logger(__name__)

_FLUSH_S: Final = 1.0
"""Time for which an unwanted name stays in the store: longer than a suite needs to open its next stream."""
_LAST_FLUSH_S: Final = 2.0
_TOGETHER: Final = 3_000
"""Names of other streams that one registration includes: together with its own, of which a lookup has 2,000, one step
of the store."""


@dataclass(slots=True)
class _Tenant:
    counts: dict[Name, int] = field(default_factory=dict)  # name -> how many streams want it; never 0
    added: set[Name] = field(default_factory=set)  # wanted, but not in the store
    gone: set[Name] = field(default_factory=set)  # in the store, but not wanted
    asked: set[Name] = field(default_factory=set)  # names that streams waiting for the lock want to register
    places: int = 0  # the sum of the counts
    rewrite: bool = False  # the store's set may be wrong
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_in_step(self) -> bool:
        return not (self.added or self.gone or self.rewrite or self.lock.locked())

    @property
    def registered(self) -> int:
        """Return how many names the store should have when no change is under way."""
        return len(self.counts) - len(self.added) + len(self.gone)


class LocalInterest:
    """Counts the streams that want each name, and keeps the store's sets up to date.

    Counting is immediate and never fails; the store follows with `sync` and `run`.
    """

    def __init__(
        self,
        interest: Interest,
        edge_id: str,
        renewal: timedelta,
        most: Callable[[TenantId], Awaitable[int]],
        clock: Clock,
    ) -> None:
        """Start without streams.

        Args:
            interest: of the store.
            edge_id: of the edge.
            renewal: the time between two renewals.
            most: returns how many distinct names a tenant may watch.
            clock: of the edge.
        """
        self.edge_id = edge_id
        self._clock = clock
        self._interest = interest
        self._renewal_s = renewal.total_seconds()
        self._most = most
        self._tenants: dict[TenantId, _Tenant] = {}

    @property
    def names(self) -> int:
        """Return how many names are watched, each counted once per tenant."""
        return sum(len(tenant.counts) for tenant in self._tenants.values())

    @property
    def tenants(self) -> int:
        """Return the number of tenants with names, or with names that are still to be removed from the store."""
        return len(self._tenants)

    def want(self, tenant_id: TenantId, names: Iterable[Name]) -> None:
        """Add a stream that wants these names."""
        tenant = self._tenants.setdefault(tenant_id, _Tenant())
        counts = tenant.counts
        for name in names:
            count = counts.get(name, 0)
            counts[name] = count + 1
            tenant.places += 1
            if count:
                continue
            if name in tenant.gone:
                tenant.gone.discard(name)
            else:
                tenant.added.add(name)

    def release(self, tenant_id: TenantId, names: Iterable[Name]) -> None:
        """Remove a stream that wanted these names."""
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            return
        counts = tenant.counts
        for name in names:
            left = counts.get(name, 0) - 1
            if left >= 0:
                tenant.places -= 1
            if left > 0:
                counts[name] = left
            elif counts.pop(name, None) is not None:
                if name in tenant.added:
                    tenant.added.discard(name)
                else:
                    tenant.gone.add(name)

    def distrust(self, tenant_ids: Iterable[TenantId]) -> None:
        """Register all names of these tenants again, because history was lost."""
        for tenant_id in tenant_ids:
            tenant = self._tenants.get(tenant_id)
            if tenant is not None:
                tenant.rewrite = True

    async def sync(self, tenant_id: TenantId, names: Iterable[Name]) -> None:
        """Return when the store has these names, as far as streams still want them.

        Args:
            tenant_id: whose.
            names: of one stream; at most 5,000 are registered all or not at all.

        Raises:
            StoreUnavailable: the store may or may not have them; call again.
            TooManyUsers: the tenant would exceed its limit. Names that were registered before stay registered.
        """
        tenant = self._tenants.get(tenant_id)
        if tenant is None or tenant.is_in_step():
            return
        wanted = tenant.counts.keys() & set(names)
        if len(tenant.asked) + len(wanted) <= _TOGETHER:
            tenant.asked |= wanted
        async with tenant.lock:
            if tenant.rewrite:
                await self._rewrite(tenant_id, tenant)
            if tenant.added.isdisjoint(wanted):
                return  # registered by the previous holder of the lock
            asked, tenant.asked = tenant.asked, set()
            if not tenant.added.isdisjoint(asked - wanted):
                with suppress(TooManyUsers):
                    await self._add(tenant_id, tenant, tenant.added & (asked | wanted))
            if new := tenant.added & wanted:
                await self._add(tenant_id, tenant, new)

    async def check_places(self, tenant_id: TenantId) -> None:
        """Check the tenant's limit for this edge after a stream added names.

        Raises:
            TooManyUsers: the tenant's streams at this edge have too many names together, where a name counts once for each stream.
        """
        tenant = self._tenants.get(tenant_id)
        if tenant is not None and tenant.places > PER_NAME * await self._most(tenant_id):
            limit = PER_NAME * await self._most(tenant_id)
            message = f"All streams of the tenant at this address may watch {limit} users together; a user counts once for each stream"
            raise TooManyUsers(message, limit=str(limit), per=PER)

    async def _add(self, tenant_id: TenantId, tenant: _Tenant, new: set[Name]) -> None:
        most = await self._most(tenant_id)
        tenant.added -= new  # so that a stream that releases a name meanwhile finds it registered
        try:
            try:
                count = await self._interest.add(tenant_id, self.edge_id, new, most)
            except TooManyUsers:
                # Names that no stream wants any more make room.
                if not tenant.gone:
                    raise
                await self._remove_gone(tenant_id, tenant)
                count = await self._interest.add(tenant_id, self.edge_id, new, most)
        except BaseException as error:
            if isinstance(error, TooManyUsers):
                tenant.gone -= new  # they are not in the store
            tenant.added |= tenant.counts.keys() & new
            raise
        self._compare(tenant, count)

    async def _remove_gone(self, tenant_id: TenantId, tenant: _Tenant) -> None:
        gone, tenant.gone = tenant.gone, set()
        try:
            count = await self._interest.remove(tenant_id, self.edge_id, gone)
        except BaseException:
            tenant.gone |= gone - tenant.counts.keys()
            raise
        if not tenant.rewrite:
            self._compare(tenant, count)

    def _compare(self, tenant: _Tenant, count: int) -> None:
        """Rewrite a tenant whose count is not the expected one: the store forgot some. (Names that come or go meanwhile do not change it.)"""
        if count != tenant.registered:
            tenant.rewrite = True

    async def _rewrite(self, tenant_id: TenantId, tenant: _Tenant) -> None:
        """Register again the names that were registered before, regardless of the limit; `sync` registers new names."""
        gone, tenant.gone = tenant.gone, set()
        tenant.rewrite = False
        names = [name for name in tenant.counts if name not in tenant.added]
        try:
            await self._interest.replace(tenant_id, self.edge_id, names)
        except BaseException:
            tenant.rewrite = True
            tenant.gone |= gone - tenant.counts.keys()
            raise

    async def run(self) -> None:
        """Take unwanted names out of the store, and renew the rest; until cancelled."""
        renew_at = self._clock.monotonic() + self._renewal_s
        while True:
            await self._clock.sleep(_FLUSH_S)
            try:
                if self._clock.monotonic() >= renew_at:
                    renew_at = self._clock.monotonic() + self._renewal_s
                    await self.renew()
                await self.flush()
            except StoreUnavailable:
                pass  # the hub logs it; changed tenants stay marked

    async def flush(self) -> None:
        """Remove unwanted names and rewrite wrong sets; streams register new names themselves."""
        for tenant_id, tenant in list(self._tenants.items()):
            if tenant.gone or tenant.rewrite:
                async with tenant.lock:
                    if tenant.gone and not tenant.rewrite:
                        await self._remove_gone(tenant_id, tenant)
                    if tenant.rewrite:
                        await self._rewrite(tenant_id, tenant)
            if not tenant.counts and tenant.is_in_step():
                self._tenants.pop(tenant_id, None)

    async def renew(self) -> None:
        """Renew interest; register a tenant again if the store has another number of its names."""
        in_step = {tenant_id: tenant for tenant_id, tenant in self._tenants.items() if tenant.is_in_step()}
        found = await self._interest.renew(list(self._tenants), self.edge_id)
        for tenant_id, tenant in in_step.items():
            if tenant.is_in_step() and found[tenant_id] != len(tenant.counts):
                _log.info("interest_registered_again", tenant_id=tenant_id, names=len(tenant.counts))
                tenant.rewrite = True

    async def aclose(self) -> None:
        """Remove the remaining names, if the store answers soon; otherwise they expire."""
        try:
            async with asyncio.timeout(_LAST_FLUSH_S):
                await self.flush()
        except (StoreUnavailable, TimeoutError):
            pass
