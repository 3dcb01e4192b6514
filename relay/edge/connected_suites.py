"""Checks the suite keys of open streams: ends streams whose key is no longer valid, and publishes which suites are connected.

A revocation ends its streams through `changes`, at once. This check finds the other cases: keys that expire because
another key replaced them, and revocations by a process that was killed before it wrote its entry. It reads all keys in
a few round trips, whatever the number of streams, and writes only a heartbeat while nothing changes.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from relay.errors import StoreUnavailable, SuiteKeyRevoked
from relay.store.custody.suite_keys import TOUCH_CHANGED_EVERY, TOUCH_EVERY
from relay.store.presence.connected import OpenStreams

if TYPE_CHECKING:
    from datetime import timedelta

    from relay.core.presence import TenantId
    from relay.edge.hub.hub import Hub
    from relay.ops.clock import Clock
    from relay.store.custody.suite_key_records import KeyRecord
    from relay.store.custody.suite_keys import SuiteKeys
    from relay.store.presence.connected import ConnectedSuites

_log = structlog.get_logger(__name__)

SWEEP_S: Final = 4.0
"""Longest time that a stream outlives its key, and until a tenant's page shows a new suite."""
_KEYS: Final = 500
"""Keys in one round trip, so that no reply blocks the event loop for long."""

Open = dict[str, OpenStreams]


class SuiteSweeper:
    """The suites that are connected to this edge."""

    def __init__(
        self,
        connected: ConnectedSuites,
        hub: Hub,
        suite_keys: SuiteKeys,
        edge_id: str,
        renewal: timedelta,
        clock: Clock,
    ) -> None:
        """Make it.

        Args:
            connected: publishes the connected suites.
            hub: knows the open streams.
            suite_keys: reads which keys are no longer valid.
            edge_id: of this edge.
            renewal: the longest time between two heartbeats.
            clock: of the edge.
        """
        self._clock = clock
        self._hub = hub
        self._suite_keys = suite_keys
        self._connected = connected
        self._edge_id = edge_id
        self._renewal_s = renewal.total_seconds()
        self._published: dict[TenantId, Open] = {}
        self._renew_at = 0.0

    async def run(self) -> None:
        """Sweep at intervals, until cancelled."""
        while True:
            await self._clock.sleep(min(SWEEP_S, self._renewal_s))
            with suppress(StoreUnavailable):  # the hub logs it; streams stay open while the store is unavailable
                await self.sweep()

    async def sweep(self) -> None:
        """End the streams of keys that are no longer valid, and publish which suites are connected.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        await self._end_revoked()
        await self._publish()

    async def note_use(self, key: KeyRecord, client: str, version: str) -> None:
        """Record the use of a key by a new stream, unless a recent use is recorded."""
        is_changed = (key.client, key.client_version) != (client, version)
        age = None if key.last_used is None else self._clock.wall() - key.last_used
        if age is not None and age < (TOUCH_CHANGED_EVERY if is_changed else TOUCH_EVERY):
            return
        try:
            await self._suite_keys.touch(key.key_id, client, version)
        except StoreUnavailable:
            _log.debug("suite_key_use_not_recorded", key_id=key.key_id)

    async def aclose(self) -> None:
        """Publish that no suite is connected, if the store answers soon."""
        try:
            async with asyncio.timeout(1.0):
                await self._connected.say(self._edge_id, {tenant_id: {} for tenant_id in self._published})
        except (StoreUnavailable, TimeoutError):
            pass  # the published entry expires

    async def _end_revoked(self) -> None:
        open_ = sorted({stream.key_id for view in self._hub.tenants.values() for stream in view.streams})
        for start in range(0, len(open_), _KEYS):
            ended = await self._suite_keys.ended(open_[start : start + _KEYS])
            for view in list(self._hub.tenants.values()) if ended else ():
                for stream in [stream for stream in view.streams if stream.key_id in ended]:
                    stream.end(SuiteKeyRevoked("This suite key has ended", key_id=stream.key_id))

    async def _publish(self) -> None:
        now = self._clock.monotonic()
        is_due = now >= self._renew_at
        open_ = {tenant_id: self._open(tenant_id) for tenant_id in self._hub.tenants}
        gone: dict[TenantId, Open] = {tenant_id: {} for tenant_id in self._published.keys() - open_.keys()}
        news = {one: suites for one, suites in open_.items() if is_due or suites != self._published.get(one)}
        await self._connected.say(self._edge_id, {**news, **gone})
        self._published = open_
        if is_due:
            self._renew_at = now + self._renewal_s

    def _open(self, tenant_id: TenantId) -> Open:
        found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        for stream in self._hub.tenants[tenant_id].streams:
            found[stream.key_id][0] += 1
            found[stream.key_id][1] += len(stream.watch)
        return {key_id: OpenStreams(streams, users) for key_id, (streams, users) in found.items()}
