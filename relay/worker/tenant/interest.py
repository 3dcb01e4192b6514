"""The names that a tenant's edges watch: applies hints, and reads whole sets when hints may be lost."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from relay.core.watching.readings import InterestChange, Readings
from relay.ops.turns import in_slices

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Mapping

    from relay.core.presence import Name, TenantId
    from relay.core.watching.wanted import WantedNames
    from relay.store.presence.hints import InterestChanged
    from relay.worker.context import Resources
    from relay.worker.tenant.names import NameBook

_READ_PAUSE: Final = 4
"""Pause between two reads of an edge's names, as a multiple of the time of one: reads take a fifth of the process."""
_MOST_READ_PAUSE_S: Final = 5.0


class InterestReader:
    """Keeps the wanted names equal to those of the edges. Hints that arrive while an edge is read are applied after it."""

    def __init__(
        self, tenant_id: TenantId, resources: Resources, wanted: WantedNames, names: NameBook, wake: asyncio.Event
    ) -> None:
        """Read the interest of one tenant.

        Args:
            tenant_id: the tenant.
            resources: the worker's resources.
            wanted: the wanted names, which this object updates.
            names: resolves new names.
            wake: set when there are new names.
        """
        self._tenant_id = tenant_id
        self._interest = resources.interest
        self._clock = resources.clock
        self._wanted = wanted
        self._names = names
        self._wake = wake
        self._readings = Readings()

    def take_in(self, hint: InterestChanged) -> bool:
        """Process a hint; return whether the edge's whole set must be read, because the hint does not contain the change."""
        change = InterestChange(hint.added, hint.removed)
        if not hint.added and not hint.removed:
            return True
        if not self._readings.hold(hint.edge, change):
            self._apply(hint.edge, change)
        return False

    async def load(self, interest: Mapping[str, set[Name]]) -> None:
        """Load the sets of all edges, just read. Call it before any other method."""
        for edge, names in interest.items():
            await self._replace(edge, names)

    async def read(self, edges: Iterable[str]) -> None:
        """Read the whole sets of these edges. An edge that is being read already is read again after that."""
        waiting = deque(edges)
        while waiting:
            edge = waiting.popleft()
            if not self._readings.begin(edge):
                continue
            began = self._clock.monotonic()
            try:
                await self._replace(edge, await self._interest.read_edge(self._tenant_id, edge))
                if self._readings.heard(edge):
                    # The edge has changed meanwhile. The pause limits the reads of an edge that changes all the time.
                    pause_s = _READ_PAUSE * (self._clock.monotonic() - began)
                    await self._clock.sleep(min(_MOST_READ_PAUSE_S, pause_s))
            finally:
                held = self._readings.end(edge)
            for change in held.changes:
                self._apply(edge, change)
            if held.again:
                waiting.append(edge)

    async def read_all(self) -> None:
        """Read the sets of all edges, because hints were lost."""
        edges = await self._interest.read_edges(self._tenant_id)
        await self.read(edges | self._wanted.edges)

    async def drop_expired(self) -> None:
        """Drop the names of killed edges, whose interest has expired in the store."""
        live = await self._interest.read_edges(self._tenant_id)
        if gone := self._wanted.edges - live:
            await self.read(gone)

    def _apply(self, edge: str, change: InterestChange) -> None:
        self._want(self._wanted.add(edge, change.added))
        self._wanted.remove(edge, change.removed, self._clock.monotonic())

    async def _replace(self, edge: str, names: set[Name]) -> None:
        """Set the names of an edge, in slices, so that other tenants run in between."""
        async for gone in in_slices(self._wanted.names_of(edge) - names):
            self._wanted.remove(edge, gone, self._clock.monotonic())
        async for some in in_slices(names):
            self._want(self._wanted.add(edge, some))

    def _want(self, new: Iterable[Name]) -> None:
        now = self._clock.wall()
        self._names.want([name for name in new if self._names.is_unknown(name, now)])
        self._wake.set()
