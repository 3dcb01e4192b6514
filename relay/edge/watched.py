"""Tells the audit log which suite watched whom: gathered as names come and go, written once a minute.

The fan-out knows nothing of it. What could not be written waits, up to a bound; what is left out then is counted in the log of
the operator, for the audit log of a store that is away cannot say so.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from relay.core.audit import Actor
from relay.core.spans import Spans
from relay.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from relay.core.audit import Entry
    from relay.core.presence import Name, TenantId
    from relay.store.audit import AuditLog
    from relay.store.suite_keys import KeyRecord

_log = structlog.get_logger(__name__)

MOST_WAITING: Final = 5_000
"""Entries of one tenant that wait for the store, 3 KB each at the most; a suite with 5,000 users makes 50 when it comes."""
_BATCH: Final = 100  # entries in one script: under a millisecond of the server
_LAST_WRITE_S: Final = 2.0


class WatchLog:
    """What the streams of an edge watch, on its way to the audit logs of their tenants."""

    def __init__(self, audit: AuditLog, every: timedelta, goes_on_for: timedelta) -> None:
        self._audit = audit
        self._every_s = every.total_seconds()
        self._spans = Spans(goes_on_for)
        self._waiting: dict[TenantId, list[Entry]] = {}
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
            try:
                await self.write()
            except StoreUnavailable:
                pass  # the hub says so; what waits goes on waiting
            except Exception:
                _log.exception("watch_log_failed")

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
        for tenant_id in self._spans.tenants:
            waiting = self._waiting.setdefault(tenant_id, [])
            waiting += self._spans.take(tenant_id, _now(), goes_on=not all_end)
            if len(waiting) > MOST_WAITING:
                _log.warning("watches_not_logged", tenant_id=tenant_id, entries=len(waiting) - MOST_WAITING)
                del waiting[:-MOST_WAITING]
            await asyncio.sleep(0)  # streams have their turn between tenants
        for tenant_id, waiting in list(self._waiting.items()):
            while waiting:
                await self._audit.append_watches(tenant_id, waiting[:_BATCH])
                del waiting[:_BATCH]
            del self._waiting[tenant_id]

    async def aclose(self) -> None:
        """The edge ends, and with it everything that its suites watch here: say so, if the store answers soon."""
        try:
            async with asyncio.timeout(_LAST_WRITE_S):
                await self.write(all_end=True)
        except (StoreUnavailable, TimeoutError):
            _log.warning("watches_not_logged", entries=sum(map(len, self._waiting.values())))


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
