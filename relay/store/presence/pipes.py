"""The two streams of a partition: `inbox` with hints for its worker, and `changes` with the worker's results.

Both are chained: each entry names the one before it. If the next entry does not name a reader's position, the reader has missed
something (it was trimmed away, or history was lost) and reads the data itself: the inbox's reader all interest and
all grants, a reader of `changes` a snapshot of its users.

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
"""Hints of one tenant that may wait for its worker, each notification counted by itself; a tenant that floods the inbox costs itself a full reading, and no
other tenant anything."""
INBOX_ENTRIES: Final = 100_000
"""The last bound, for a partition whose worker is away for long; its next worker reads everything anyway."""
CHANGES_ENTRIES: Final = 1000

_APPEND = Script("inbox_append")
_SAVE = Script("cursor_save")
_ENDED = Script("ended")


def inbox_values(tenant_id: TenantId) -> dict[str, Any]:
    """Return what a script that uses `_hint.lua` needs, by name."""
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
    """One entry of an inbox; `hint` is None when this release cannot read it (then look at everything)."""

    partition: int
    position: bytes
    hint: hints.Hint | None
    gap: bool
    """Entries before this one were lost: look at everything."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position of the partition's last worker, and its age."""

    position: bytes
    age: timedelta


class Inbox:
    """The hints to the workers, in the order in which they came, for each partition by itself.

    At least once: a worker that goes on from a saved cursor may see hints again. Hints may be left out, and the worker
    always learns of it: a tenant's beyond `INBOX_PER_TENANT` since the cursor was saved (named by the next `save`), and
    the oldest of a partition whose worker is away (`gap`). To miss nothing, take `last` before reading the truth, and
    read the inbox from there.
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
        """Return the entries behind these positions (partition -> position); empty when nothing came within `block`.

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
        """Make a `read` under way return now."""
        await self._streams.wake()

    async def load(self, partition: int) -> Cursor | None:
        """Return the position of the last worker; None when there was none."""
        saved, (seconds, micros) = await self._store.many([("GET", keys.cursor(partition)), ("TIME",)])
        if saved is None:
            return None
        position, _, saved_ms = saved.partition(b" ")
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return Cursor(position, timedelta(milliseconds=max(0, now_ms - int(saved_ms))))

    async def save(self, lease: Lease, position: bytes) -> set[TenantId]:
        """Save that everything up to `position` was dealt with, so that it may be trimmed away.

        Returns:
            Tenants of which hints were left out since the last save: look at them as a whole.

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
    """Appends to `changes` for others than the partition's owner, in order with what the owner appends."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def last(self, partition: int) -> Revision:
        """Return the newest entry's revision; START when there is none. Smaller than one seen before: history was lost."""
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

    Entries of a partition come in order, each once, from where `set` put the position; between partitions there is no
    order. Only positions are kept here, so entries that were trimmed before they were read are lost, and the next entry's `gap` shows
    it. Raises StoreUnavailable from `read`; positions stand, and the next `read` goes on from them.
    """

    def __init__(self, store: Store) -> None:
        self._streams = store.streams()
        self._positions: dict[int, Revision] = {}
        self._any = asyncio.Event()
        self._waking: set[asyncio.Task[None]] = set()

    def position(self, partition: int) -> Revision | None:
        """Return the revision up to which the partition was read; None when it is not being read."""
        return self._positions.get(partition)

    def set(self, partition: int, revision: Revision) -> None:
        """Read the partition from behind `revision` on, also when that means reading some entries again."""
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
        """The next entries, of at most `READ_COUNT` (see `blocking`) a partition; empty after `BLOCK` without any, or when woken.

        One caller at a time.
        """
        if not self._positions:
            return await self._idle()
        asked = dict(self._positions)
        streams = {keys.changes(partition): partition for partition in asked}
        reply = await self._streams.read({stream: render(asked[partition]) for stream, partition in streams.items()})
        read: list[tuple[int, entries.ChangesEntry]] = []
        for stream, items in reply:
            partition = streams[stream]
            position = asked[partition]
            if self._positions.get(partition) != position:
                continue  # moved or dropped while the read was under way: what came belongs to the old position
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
        # Not woken is only late: the read ends by itself within BLOCK, and says itself what is wrong with the store.
        with suppress(RelayError):
            await self._streams.wake()
