"""Checks that the store's history is still the one that the streams have seen, and repairs missed entries.

    check      once a second, after a reconnect and at a gap: all partitions in use, in one round trip (`history.py`)
    act        history was lost: streams are reset. Entries were missed: streams are read again from where they were
    repair     contact, and keys and tenants that ended, are read again, as missed entries may have carried them

An unavailable store ends no stream: positions stay as they are.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from relay.edge.hub.coalesced import Coalesced
from relay.edge.hub.endings import removed, revoked
from relay.edge.hub.history import History, HistoryFinding, Partition, Verdict
from relay.errors import StoreUnavailable
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.presence.presences import Presences

if TYPE_CHECKING:
    from relay.edge.hub.registry import Registry
    from relay.edge.hub.tenants import TenantView
    from relay.edge.interest import LocalInterest
    from relay.edge.settings import EdgeSettings
    from relay.ops.clock import Clock
    from relay.store.presence.pipes import ChangesReader
    from relay.store.server.connection import Store

_log = structlog.get_logger(__name__)

RETRY_S: Final = 0.2
"""Pause between attempts while the store is unavailable: short for a suite that waits, and little load."""
_REPAIRS_AT_ONCE: Final = 16
"""Tenants whose contact and keys are read at the same time: half of the connections to the store."""


class Repair:
    """Keeps the positions of all partitions in use correct.

    Attributes:
        is_away: whether the store failed to answer the last time.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        reader: ChangesReader,
        interest: LocalInterest,
        settings: EdgeSettings,
        clock: Clock,
    ) -> None:
        self.is_away = False
        self._registry = registry
        self._reader = reader
        self._interest = interest
        self._clock = clock
        self._every_s = settings.history_check.total_seconds()
        self._presences = Presences(store)
        self._suite_keys = SuiteKeys(store)
        self._history = History(store, self._presences)
        self._checks = Coalesced(self._check_all, "hub-checks")
        self._check_now = asyncio.Event()

    async def aclose(self) -> None:
        """End the check under way."""
        await self._checks.aclose()

    async def run(self) -> None:
        """Check at intervals, and repair, until cancelled."""
        while True:
            timer = self._clock.call_at(self._clock.monotonic() + self._every_s, self._check_now.set)
            try:
                await self._check_now.wait()
            finally:
                timer.cancel()
            self._check_now.clear()
            try:
                await self._checks.run()
                await self._repair()
            except StoreUnavailable as error:
                self.store_is_away(error)
                await self._clock.sleep(RETRY_S)

    async def check(self) -> None:
        """Check the history of all partitions in use now; concurrent callers share one check.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        await self._checks.run()

    def check_soon(self) -> None:
        """Make `run` check at once."""
        self._check_now.set()

    async def find_position(self, partition: Partition) -> None:
        """Set the position of a partition that is not read yet, if a worker has declared its epoch.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        await self._checks.finish()  # it may be about this partition already
        if partition.position is None:
            await self._checks.run()

    async def fetch_contact(self, view: TenantView) -> None:
        """Read a tenant's contact time from the store, unless a newer one arrives meanwhile.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        known = view.contact
        kept = await self._presences.kept_contact(view.tenant_id)
        if kept is not None and view.contact is known:  # an entry that came meanwhile is newer
            view.set_kept_contact(kept.contact, kept.ago_s, self._clock.monotonic())

    def store_is_away(self, error: StoreUnavailable) -> None:
        """Note that the store does not answer."""
        if not self.is_away:
            self.is_away = True
            _log.warning("store_unavailable", reason=str(error))

    def store_is_back(self) -> None:
        """Note that the store answers again; everything is checked and repaired soon."""
        self.is_away = False
        self.check_soon()
        _log.info("store_available_again")

    async def _check_all(self) -> None:
        """Check all partitions in use; only to be run by `_checks`."""
        partitions = self._registry.partitions
        if partitions:
            for partition, finding in await self._history.examine(list(partitions.values())):
                if partitions.get(partition.number) is partition:
                    self._act(partition, finding)

    def _act(self, partition: Partition, finding: HistoryFinding) -> None:
        """Apply the findings, without an await between a finding and the new position."""
        position, old = finding.position, partition.position
        if position is None:
            return
        streams = [stream for view in partition.views for stream in view.streams]
        if finding.verdict is not Verdict.FIRST:
            for view in partition.views:
                view.void_holds()
        if finding.verdict is Verdict.LOST:
            _log.warning("history_lost", partition=partition.number, streams=len(streams))
            self._interest.distrust(view.tenant_id for view in partition.views)
            for stream in streams:
                stream.watch.reset(None)
        elif finding.verdict is Verdict.MISSED and old is not None:
            _log.info("changes_missed", partition=partition.number, streams=len(streams))
            for stream in streams:
                stream.watch.resync(old)
        partition.position, partition.gap = position, False
        partition.repair = finding.verdict is not Verdict.FIRST
        self._reader.set(partition.number, position.revision)
        for stream in streams:
            stream.look_up()
        if partition.repair:
            self.check_soon()

    async def _repair(self) -> None:
        """Re-read what a missed entry may have carried: contact times, revoked keys, removed tenants."""
        for partition in [partition for partition in self._registry.partitions.values() if partition.repair]:
            partition.repair = False
            try:
                views = list(partition.views)
                for start in range(0, len(views), _REPAIRS_AT_ONCE):
                    await asyncio.gather(*map(self._repair_view, views[start : start + _REPAIRS_AT_ONCE]))
            except BaseException:
                partition.repair = True
                raise

    async def _repair_view(self, view: TenantView) -> None:
        await self.fetch_contact(view)
        await self._check_keys(view)

    async def _check_keys(self, view: TenantView) -> None:
        streams = list(view.streams)  # from before the read: a key made during the read is not in the list
        records = {key.key_id: key for key in await self._suite_keys.list(view.tenant_id)}
        for stream in streams:
            record = records.get(stream.key_id)
            if record is None:
                stream.end(removed())
            elif record.revoked is not None:
                stream.end(revoked(stream.key_id))
