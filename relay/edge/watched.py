"""Tells the audit log which suite watched whom: gathered as names come and go, written once a minute.

The fan-out knows nothing of it. What is to be told stays with `Spans`, which are bounded, until it is written, a portion after
the other, with other tasks in between. What is left out is counted in the log of the operator, for the audit log of a store that is
away cannot say so.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from relay.core.audit.events import Actor
from relay.core.watching.watch_intervals import Spans
from relay.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from relay.core.audit.events import Entry
    from relay.core.presence import Name, TenantId
    from relay.store.custody.audit import AuditLog
    from relay.store.custody.suite_keys import KeyRecord

_log = structlog.get_logger(__name__)

MOST_AT_ONCE: Final = 5_000
"""Entries of one tenant in one round; the rest comes with the next one. A suite with 5,000 users makes 50 when it comes; the log
keeps the newest 20,000."""
_BATCH: Final = 100  # entries in one script: under a millisecond of the server
_LAST_WRITE_S: Final = 2.0


class WatchLog:
    """What the streams of an edge watch, on its way to the audit logs of their tenants."""

    def __init__(self, audit: AuditLog, every: timedelta, goes_on_for: timedelta) -> None:
        self._audit = audit
        self._every_s = every.total_seconds()
        self._spans = Spans(goes_on_for)
        self._waiting: dict[TenantId, list[Entry]] = {}  # one portion each, which the store did not take
        self._writing = asyncio.Lock()

    @property
    def names(self) -> int:
        """How many names are held, each once a suite."""
        return self._spans.names

    def want(self, key: KeyRecord, names: Iterable[Name]) -> None:
        """One more stream with this key watches these names."""
        self._spans.want(key.tenant_id, Actor.suite(key.key_id, key.label), names, _now())

    def release(self, key: KeyRecord, names: Iterable[Name]) -> None:
        """A stream with this key watches these names no longer."""
        self._spans.release(key.tenant_id, Actor.suite(key.key_id, key.label), names, _now())

    async def run(self) -> None:
        """Write what there is to tell, again and again; until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            with suppress(StoreUnavailable):  # the hub says so; what waits goes on waiting
                await self.write()

    async def write(self, *, all_end: bool = False) -> None:
        """Write what there is to tell.

        Args:
            all_end: the edge ends, and whatever is watched here with it.

        Raises:
            StoreUnavailable: some of it waits for the next time; of that a part may be written twice.
        """
        async with self._writing:
            await self._write(all_end=all_end)

    async def _write(self, *, all_end: bool) -> None:
        if all_end:
            self._spans.end(_now())
        for tenant_id in {**self._waiting, **dict.fromkeys(self._spans.tenants)}:
            await self._write_tenant(tenant_id, all_end=all_end)
        for tenant_id, dropped in self._spans.count_dropped().items():
            _log.warning("watches_not_logged", tenant_id=tenant_id, names=dropped)

    async def _write_tenant(self, tenant_id: TenantId, *, all_end: bool) -> None:
        """Write what there is to tell of a tenant, as much as one round may have."""
        written, most = 0, math.inf if all_end else MOST_AT_ONCE
        while written < most:
            waiting = self._waiting.get(tenant_id) or self._spans.take(tenant_id, _now(), goes_on=not all_end)
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
        """The edge ends, and with it everything that its suites watch here: say so, if the store answers soon."""
        try:
            async with asyncio.timeout(_LAST_WRITE_S):
                await self.write(all_end=True)
        except (StoreUnavailable, TimeoutError):
            _log.warning("watches_not_logged", entries=sum(map(len, self._waiting.values())))


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
