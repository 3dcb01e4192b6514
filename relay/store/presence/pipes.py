"""The two streams of a partition: `inbox` with hints for its worker, and `changes` with the worker's results.

Both are chained: each entry has the id of the entry before it. If that id is not a reader's position, the reader has
missed entries (they were trimmed, or history was lost). It then reads the data itself: the worker reads all interest
and all grants, a reader of `changes` reads a snapshot of its users.

    edge, webhook, web ──► inbox ──► worker ──► changes ──► edges
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from relay.core.presence import TenantId
from relay.core.revision import Revision, parse, render
from relay.errors import RelayError
from relay.store.presence import entries, hints
from relay.store.server import keys
from relay.store.server.blocking import BLOCK, START_ID
from relay.store.server.scripting import Arg, Script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.store.presence.leases import Lease
    from relay.store.server.connection import Store

INBOX_PER_TENANT: Final = 1000
"""Hints of one tenant that may wait for its worker; each notification counts as one. A tenant that floods the inbox
causes a full read of itself only, and does not affect other tenants."""
INBOX_ENTRIES: Final = 100_000
"""Upper bound for a partition whose worker is unavailable for a long time; its next worker reads everything anyway."""
CHANGES_ENTRIES: Final = 1000

_APPEND = Script("inbox_append")
_SAVE = Script("cursor_save")
_ENDED = Script("ended")


def inbox_values(tenant_id: TenantId) -> dict[str, Any]:
    """Return the keys and arguments that scripts with `_hint.lua` need, by name."""
    partition = keys.partition_of(tenant_id)
    return {
        "inbox": keys.inbox(partition),
        "inbox_head": keys.inbox_head(partition),
        "inbox_pending": keys.inbox_pending(partition),
        "tenant_id": tenant_id,
        "most_hints": INBOX_PER_TENANT,
        "inbox_length": INBOX_ENTRIES,
    }


async def append_hints(store: Store, hint: hints.Hint, *more: hints.Hint) -> None:
    """Append hints of one tenant to the inbox of its partition, in one step; see `Inbox`."""
    pairs: list[Arg] = []
    for each in (hint, *more):
        pairs += [hints.weight(each), hints.encode(each)]
    await store.run_once(_APPEND(*pairs, **inbox_values(hint.tenant_id)))


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """One entry of an inbox. `hint` is None if this release cannot read it; then read everything again."""

    partition: int
    position: bytes
    hint: hints.Hint | None
    gap: bool
    """True if entries before this one were lost; then read everything again."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position of the partition's last worker, and its age."""

    position: bytes
    age: timedelta


class Inbox:
    """The hints to the workers, in order of arrival within each partition.

    Delivery is at least once: a worker that continues from a saved cursor may see hints again. Hints may be omitted,
    and the worker always learns of it: hints of a tenant beyond `INBOX_PER_TENANT` since the cursor was saved (the next
    `save` returns the tenant), and the oldest hints of a partition whose worker is unavailable (`gap`). To miss
    nothing, call `last` before reading the data, and read the inbox from there.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._streams = store.streams()

    async def append(self, hint: hints.Hint, *more: hints.Hint) -> None:
        """Append hints for the worker of their tenant; all are of one tenant."""
        await append_hints(self._store, hint, *more)

    async def last(self, partition: int) -> bytes:
        """Return the position of the newest hint."""
        return await self._store.command("GET", keys.inbox_head(partition)) or START_ID

    async def read(self, positions: Mapping[int, bytes], block: timedelta = BLOCK) -> list[InboxEntry]:
        """Return the entries after these positions (partition -> position); empty after `block` without any.

        One caller at a time. `wake` makes it return early.
        """
        if not positions:
            return []
        streams = {keys.inbox(partition): partition for partition in positions}
        read = []
        for stream, items in await self._streams.read(
            {stream: positions[partition] for stream, partition in streams.items()}, block
        ):
            partition = streams[stream]
            position = positions[partition]
            for entry_id, fields in items:
                read.append(InboxEntry(partition, entry_id, hints.decode(fields[3]), fields[1] != position))
                position = entry_id
        return read

    async def wake(self) -> None:
        """Make a running `read` return now."""
        await self._streams.wake()

    async def load(self, partition: int) -> Cursor | None:
        """Return the saved position of the last worker; None if there is none."""
        saved, (seconds, micros) = await self._store.many([("GET", keys.cursor(partition)), ("TIME",)])
        if saved is None:
            return None
        position, _, saved_ms = saved.partition(b" ")
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return Cursor(position, timedelta(milliseconds=max(0, now_ms - int(saved_ms))))

    async def save(self, lease: Lease, position: bytes) -> set[TenantId]:
        """Save that all hints up to `position` were processed, and trim them.

        Returns:
            Tenants with omitted hints since the last save: read all their data again.

        Raises:
            LeaseLost: the partition has another owner.
        """
        partition = lease.partition
        call = _SAVE(
            lease=keys.lease(partition),
            cursor=keys.cursor(partition),
            inbox=keys.inbox(partition),
            inbox_pending=keys.inbox_pending(partition),
            lease_value=lease.value,
            position=position,
            most_hints=INBOX_PER_TENANT,
        )
        missed = await self._store.run_once(call)
        return {TenantId(tenant_id.decode()) for tenant_id in missed}

    async def aclose(self) -> None:
        """Close what `read` uses."""
        await self._streams.aclose()


class Changes:
    """Appends to `changes` for processes other than the partition's owner, in one order with the owner's entries."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def last(self, partition: int) -> Revision:
        """Return the newest entry's revision; START if there is none. A revision that goes back means lost history."""
        return parse(await self._store.command("GET", keys.changes_head(partition)) or START_ID)

    async def key_revoked(self, tenant_id: TenantId, key_id: str) -> None:
        """End the streams that use this suite key."""
        await self._ended(tenant_id, key_id)

    async def tenant_removed(self, tenant_id: TenantId) -> None:
        """End all streams of the tenant."""
        await self._ended(tenant_id, "")

    async def _ended(self, tenant_id: TenantId, key_id: str) -> None:
        partition = keys.partition_of(tenant_id)
        await self._store.run_once(
            _ENDED(
                changes=keys.changes(partition),
                changes_head=keys.changes_head(partition),
                changes_length=CHANGES_ENTRIES,
                tenant_id=tenant_id,
                key_id=key_id,
            )
        )


class ChangesReader:
    """Reads `changes` of several partitions.

    Entries of a partition come in order, each once, from the position given to `set`; there is no order between
    partitions. The reader keeps only positions: entries that were trimmed before they were read are lost, and `gap` of
    the next entry shows it. `read` raises StoreUnavailable and keeps the positions, so the next `read` continues from
    them.
    """

    def __init__(self, store: Store) -> None:
        self._streams = store.streams()
        self._positions: dict[int, Revision] = {}
        self._any = asyncio.Event()
        self._waking: set[asyncio.Task[None]] = set()

    def position(self, partition: int) -> Revision | None:
        """Return the revision up to which the partition was read; None if it is not read."""
        return self._positions.get(partition)

    def set(self, partition: int, revision: Revision) -> None:
        """Read the partition from after `revision`, even if that repeats entries."""
        self._positions[partition] = revision
        self._any.set()
        self._wake()

    def drop(self, partition: int) -> None:
        """Stop reading the partition."""
        self._positions.pop(partition, None)
        if not self._positions:
            self._any.clear()
        self._wake()

    async def read(self) -> list[tuple[int, entries.ChangesEntry]]:
        """Return the next entries, at most `blocking.READ_COUNT` for each partition; empty after `BLOCK` or a wake.

        One caller at a time.
        """
        if not self._positions:
            return await self._idle()
        asked = dict(self._positions)
        streams = {keys.changes(partition): partition for partition in asked}
        reply = await self._streams.read(
            {stream: render(asked[partition]) for stream, partition in streams.items()}, BLOCK
        )
        read: list[tuple[int, entries.ChangesEntry]] = []
        for stream, items in reply:
            partition = streams[stream]
            position = asked[partition]
            if self._positions.get(partition) != position:
                continue  # moved or dropped during the read: the entries belong to the old position
            for entry_id, fields in items:
                entry = entries.parse(entry_id, fields, position)
                position = entry.revision
                read.append((partition, entry))
            self._positions[partition] = position
        return read

    async def aclose(self) -> None:
        """Close the connection."""
        for task in self._waking:
            task.cancel()
        await self._streams.aclose()

    async def _idle(self) -> list[tuple[int, entries.ChangesEntry]]:
        with suppress(TimeoutError):
            async with asyncio.timeout(BLOCK.total_seconds()):
                await self._any.wait()
        return []

    def _wake(self) -> None:
        task = asyncio.get_running_loop().create_task(self._wake_quietly(), name="changes-reader-wake")
        self._waking.add(task)
        task.add_done_callback(self._waking.discard)

    async def _wake_quietly(self) -> None:
        # A failed wake only causes a delay: the read ends within BLOCK anyway, and raises the store's error itself.
        with suppress(RelayError):
            await self._streams.wake()
