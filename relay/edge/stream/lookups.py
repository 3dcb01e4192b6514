"""Snapshots of the names that one stream requests: one task reads them, and repeats a snapshot until it can be used.

    names ──► in the store's interest ──► a turn ──► the hub keeps what it reads meanwhile ──► snapshot ──► watch

A worker must know a name before its snapshot counts. Entries that the hub reads during a snapshot are applied after it.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from relay.core.watching.values import NamesSnapshot
from relay.edge.hub.history import vouched
from relay.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from relay.core.presence import Name
    from relay.core.watching.watch import Watch
    from relay.edge.context import EdgeContext
    from relay.edge.hub.tenants import TenantView
    from relay.edge.stream.ending import Ending

_MOST_NAMES: Final = 2000
"""Names of one snapshot: encoding them, Redis' work and processing the snapshot take some 5 ms each."""
_LEAST_WEIGHT: Final = 250
"""Smallest weight of a snapshot: one of few names also takes a connection to the store."""
_FIRST_RETRY_S: Final = 0.05
_LAST_RETRY_S: Final = 1.0


class Lookups:
    """Looks up a stream's names. Nothing is read before `begin`, or after the end of the stream."""

    def __init__(self, edge: EdgeContext, watch: Watch[bytes], ending: Ending, wake: Callable[[], None]) -> None:
        """Make it.

        Args:
            edge: parts that all streams of the edge use.
            watch: has the names to look up, and receives the snapshots.
            ending: ends with an error that cannot be retried.
            wake: called after the watch has received a snapshot.
        """
        self._edge = edge
        self._watch = watch
        self._ending = ending
        self._wake = wake
        self._view: TenantView | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, view: TenantView) -> None:
        """Look up names from now on: all of them are registered with the edge's interest."""
        self._view = view
        self.look_up()

    def look_up(self) -> None:
        """Start looking up names, if there are any and no task is running."""
        view = self._view
        if self._task is None and view is not None and self._watch.wants_lookup and not self._ending.is_reached:
            self._task = self._edge.tasks.start(self._run(view), "stream-look-up")

    async def aclose(self) -> None:
        """Stop."""
        self._view = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self, view: TenantView) -> None:
        retry_s = _FIRST_RETRY_S
        try:
            while self._watch.wants_lookup:
                try:
                    is_used = await self._read_snapshot(view)
                except StoreUnavailable:
                    is_used = False
                if is_used:
                    retry_s = _FIRST_RETRY_S
                    self._wake()
                else:
                    await self._edge.clock.sleep(retry_s * random.uniform(0.5, 1))  # noqa: S311 spreading, not secrecy
                    retry_s = min(2 * retry_s, _LAST_RETRY_S)
        except Exception as error:
            self._ending.reach(error)
        finally:
            self._task = None

    async def _read_snapshot(self, view: TenantView) -> bool:
        """Read one snapshot and apply it; return False if it could not be used and should be read again later."""
        edge, watch, tenant_id = self._edge, self._watch, self._watch.tenant_id
        asked = watch.next_lookups(_MOST_NAMES)
        await edge.interest.sync(tenant_id, asked)  # the worker must know a name before its snapshot counts
        if not edge.hub.is_whole(tenant_id):
            await edge.hub.check(tenant_id)
            return False
        weight = max(_LEAST_WEIGHT, len(asked))
        async with view.lookups.taken(weight), edge.lookups.taken(weight):
            if not watch.wants_lookup:
                return True  # unsubscribed while waiting for its turn
            names = watch.take_lookups(asked)
            with edge.hub.hold(view) as hold:
                try:
                    snapshot, is_vouched = await self._snapshot(names)
                except BaseException:
                    if not hold.void:
                        watch.put_back()
                    raise
            # No await from here on: what the hub reads next comes after the snapshot.
            if hold.void:
                return True  # the names are waiting to be looked up again
            position = edge.hub.position(tenant_id)
            if position is not None and snapshot.epoch == position.epoch and is_vouched:
                watch.apply(snapshot, hold.missed, position)
                return True
            watch.put_back()
        await edge.hub.check(tenant_id)
        return False

    async def _snapshot(self, names: Sequence[Name]) -> tuple[NamesSnapshot[bytes], bool]:
        """Return the store's snapshot of the names, and whether its epoch belongs to the server's current history."""
        if not names:
            return await self._edge.empty_snapshot(self._watch.tenant_id), True
        found = await self._edge.presences.snapshot(self._watch.tenant_id, names)
        if found.epoch is None:
            raise StoreUnavailable("No worker owns this partition yet")
        if found.is_held_back:
            raise StoreUnavailable("The tenant's permission was changed, and the worker has not enforced it yet")
        return NamesSnapshot(found.last, found.epoch, found.names, found.answers), vouched(found.epoch, found.replid)
