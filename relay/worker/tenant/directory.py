"""The tenant's names in the store: the users that they stand for, written in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from relay.ops.turns import in_slices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relay.core.presence import Name, TenantId
    from relay.store.presence.values import DirectoryEntry
    from relay.worker.context import Resources
    from relay.worker.ownership import Ownership
    from relay.worker.tenant.names import NameBook


class DirectoryWriter:
    """Writes the users of names, except entries that were replaced before their turn.

    One write at a time, because the store could carry out the older of two concurrent writes last.
    """

    def __init__(self, tenant_id: TenantId, resources: Resources, ownership: Ownership, names: NameBook) -> None:
        self._tenant_id = tenant_id
        self._presences = resources.presences
        self._ownership = ownership
        self._names = names
        self._turn = asyncio.Lock()

    async def write(self, entries: Mapping[Name, DirectoryEntry]) -> None:
        """Store these entries, except those that were replaced meanwhile."""
        async with self._turn:
            directory = self._names.directory
            believed = {name: entry for name, entry in entries.items() if directory.get(name) is entry}
            await self._presences.name(self._ownership.lease, self._tenant_id, believed)

    async def write_all(self) -> None:
        """Store all known entries, because the store may have lost some of them."""
        async for some in in_slices(list(self._names.directory.items())):
            await self.write(dict(some))

    async def forget(self, names: Iterable[Name]) -> None:
        """Delete these names, except those that are known again."""
        async with self._turn:
            gone = [name for name in names if name not in self._names.directory]
            await self._presences.forget_names(self._ownership.lease, self._tenant_id, gone)
