"""Writes to the audit log which suite watched whom: gathered as names are added and removed, written once a minute.

The fan-out does not wait for it. `WatchIntervals`, which is bounded, holds the intervals until they are written in
portions, with other tasks in between. The operator's log counts dropped intervals, because the audit log cannot record
them while the store is unavailable.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from relay.core.audit.events import Actor
from relay.core.audit.watch_intervals import WatchIntervals
from relay.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from relay.core.audit.events import Entry
    from relay.core.presence import Name, TenantId
    from relay.ops.clock import Clock
    from relay.store.custody.audit import AuditLog
    from relay.store.custody.suite_key_records import KeyRecord

_log = structlog.get_logger(__name__)

MOST_AT_ONCE: Final = 5_000
"""Entries of one tenant in one round; the rest follows in the next round. A suite with 5,000 users makes 50 entries
when it connects; the log keeps the newest 20,000."""
_BATCH: Final = 100  # entries in one script: under a millisecond of the server
_LAST_WRITE_S: Final = 2.0


class WatchAudit:
    """The watches of an edge's streams that wait to be written to the audit logs of their tenants."""

    def __init__(self, audit: AuditLog, every: timedelta, goes_on_for: timedelta, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._every_s = every.total_seconds()
        self._intervals = WatchIntervals(goes_on_for)
        self._waiting: dict[TenantId, list[Entry]] = {}  # one portion for each tenant, which the store did not accept
        self._writing = asyncio.Lock()

    @property
    def names(self) -> int:
        """Return how many names are held, each counted once per suite."""
        return self._intervals.names

    def want(self, key: KeyRecord, names: Iterable[Name]) -> None:
        """Add a stream with this key that watches these names."""
        self._intervals.want(key.tenant_id, Actor.suite(key.key_id, key.label), names, self._now())

    def release(self, key: KeyRecord, names: Iterable[Name]) -> None:
        """Remove a stream with this key that watched these names."""
        self._intervals.release(key.tenant_id, Actor.suite(key.key_id, key.label), names, self._now())

    async def run(self) -> None:
        """Write waiting entries at intervals, until cancelled."""
        while True:
            await self._clock.sleep(self._every_s)
            with suppress(StoreUnavailable):  # the hub logs it; the entries keep waiting
                await self.write()

    async def write(self, *, all_end: bool = False) -> None:
        """Write the waiting begins and ends of watches.

        Args:
            all_end: True when the edge ends, which ends every watch of its suites.

        Raises:
            StoreUnavailable: some entries wait for the next round; some of those may be written twice.
        """
        async with self._writing:
            await self._write(all_end=all_end)

    async def _write(self, *, all_end: bool) -> None:
        if all_end:
            self._intervals.end(self._now())
        for tenant_id in {**self._waiting, **dict.fromkeys(self._intervals.tenants)}:
            await self._write_tenant(tenant_id, all_end=all_end)
        for tenant_id, dropped in self._intervals.count_dropped().items():
            _log.warning("watches_not_logged", tenant_id=tenant_id, names=dropped)

    async def _write_tenant(self, tenant_id: TenantId, *, all_end: bool) -> None:
        """Write the waiting entries of a tenant, up to the limit of one round."""
        written, most = 0, math.inf if all_end else MOST_AT_ONCE
        while written < most:
            waiting = self._waiting.get(tenant_id) or self._intervals.take(tenant_id, self._now(), goes_on=not all_end)
            if not waiting:
                break
            self._waiting[tenant_id] = waiting
            while waiting:
                await self._audit.append_watches(tenant_id, waiting[:_BATCH])
                written += len(waiting[:_BATCH])
                del waiting[:_BATCH]
        if not self._waiting.get(tenant_id):
            self._waiting.pop(tenant_id, None)

    async def aclose(self) -> None:
        """Write that all watches end with this edge, if the store answers soon."""
        try:
            async with asyncio.timeout(_LAST_WRITE_S):
                await self.write(all_end=True)
        except (StoreUnavailable, TimeoutError):
            _log.warning("watches_not_logged", entries=sum(map(len, self._waiting.values())))

    def _now(self) -> datetime:
        return self._clock.wall().replace(microsecond=0)
