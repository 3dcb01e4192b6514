"""Presence, which workers write and edges read: answers, resolved names, contact, epoch.

All of it can be read again from Graph, so no write here waits for the disk.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from relay.core.presence import Name, TenantId, UserId
from relay.core.revision import Epoch, Revision, parse
from relay.errors import Bug, LeaseLost
from relay.ops import span
from relay.store.presence import entries
from relay.store.presence.pipes import CHANGES_ENTRIES
from relay.store.presence.values import (
    Accepted,
    DirectoryEntry,
    KeptContact,
    Observed,
    PartitionHistory,
    StoredAnswer,
    StoredSnapshot,
    pack,
    revision_and_item,
    unpack,
)
from relay.store.server import keys
from relay.store.server.blocking import START_ID
from relay.store.server.scripting import Arg, Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from relay.store.presence.leases import Lease
    from relay.store.server.connection import Store

MAX_SNAPSHOT_NAMES: Final = 5000
"""Most names in one snapshot: they block the server for 7.6 ms (measured), and Lua cannot unpack many more."""
MAX_ENTRY_USERS: Final = 1000
"""Most answers or names in one entry of `changes`; more become several entries. A poll has at most 650."""
CONTACT_KEPT: Final = timedelta(days=7)
"""Time after which a tenant without reads has no contact time; it is stale long before that."""
_SCAN_COUNT: Final = 500

_ACCEPT = Script("accept")
_FORGET = Script("forget")
_DROP = Script("drop")
_NAME = Script("name")
_CONTACT = Script("contact")
_EPOCH = Script("epoch_renew")
_TRIM = Script("trim")
_SNAPSHOT = Script("snapshot", reads_only=True)


class Presences:
    """Answers, directory and contact of all tenants.

    Each call is atomic unless documented otherwise. A worker's writes carry its lease: a call that raises LeaseLost
    wrote nothing. A call that raises StoreUnavailable may have written, or may still write: it can wait in a socket
    until the server reads it. Repeating it stores nothing twice, but the repeated answers are then reported as refused.
    To find out what is stored, replace the lease of the call (`Leases.fence`), then read (`load`).

    Revisions of one partition grow with every entry and never repeat within an epoch. Only contact expires: the worker
    deletes data that is no longer watched.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    # ------------------------------------------------------------------ epoch

    async def epoch(self, partition: int) -> Epoch | None:
        """Return the identity of the partition's `changes`; None if it never had an owner."""
        value = await self._store.command("GET", keys.epoch(partition))
        return None if value is None else Epoch(value.decode())

    async def histories(self, partitions: Sequence[int]) -> dict[int, PartitionHistory]:
        """Return the history of each partition whose node is a primary, in one round trip to each node; others are absent.

        Raises:
            StoreUnavailable: no node answers.
        """
        found = await self._store.by_node(partitions, self._histories)
        return {partition: history for mine in found for partition, history in mine.items()}

    async def _histories(self, partitions: Sequence[int]) -> dict[int, PartitionHistory]:
        """Return the histories of partitions of one node; empty if it is not a primary."""
        held = [key for partition in partitions for key in (keys.epoch(partition), keys.changes_head(partition))]
        server, values = await asyncio.gather(
            self._store.identity(partitions[0]),
            self._store.many([("GET", key) for key in held]),
            return_exceptions=True,
        )
        for one in (server, values):
            if isinstance(one, BaseException):
                raise one
        assert not isinstance(server, BaseException)
        assert not isinstance(values, BaseException)
        if not server.is_primary:
            return {}
        return {
            partition: PartitionHistory(
                epoch=Epoch(epoch.decode()) if epoch else None, last=parse(head or START_ID), replid=server.replid
            )
            for partition, epoch, head in zip(partitions, values[::2], values[1::2], strict=True)
        }

    async def renew_epoch(self, lease: Lease, tenant_ids: Iterable[TenantId] = ()) -> Epoch:
        """Begin a new epoch, because earlier history cannot be trusted; see `renew_epochs`.

        Raises:
            LeaseLost: the lease is not in force; nothing was written.
        """
        renewed = await self.renew_epochs({lease: tenant_ids})
        if lease not in renewed:
            raise LeaseLost("The partition has another owner now")
        return renewed[lease]

    async def renew_epochs(self, tenants: Mapping[Lease, Iterable[TenantId]]) -> dict[Lease, Epoch]:
        """Begin new epochs, because history cannot be trusted, and delete the tenants' answers in the same step.

        A stored answer may be older than the answer that suites received from the lost history. Entries of `changes`
        stay; the worker reads all users again. Lost leases are absent from the result. One step for each partition, one
        round trip in all.
        """
        calls = [
            _EPOCH(
                more_keys=[*map(keys.answers, tenant_ids)],
                lease=keys.lease(lease.partition),
                epoch=keys.epoch(lease.partition),
                lease_value=lease.value,
                random=secrets.token_hex(8),
            )
            for lease, tenant_ids in tenants.items()
        ]
        # Urgent, because urgent calls are never retried: a late first try would delete answers accepted after the
        # second.
        replies = await self._store.run_many(calls, urgent=True)
        return {lease: Epoch(epoch.decode()) for lease, epoch in zip(tenants, replies, strict=True) if epoch}

    # ---------------------------------------------------------------- answers

    async def accept(
        self, lease: Lease, tenant_id: TenantId, answers: Sequence[Observed], epoch: Epoch | None = None
    ) -> Accepted:
        """Store the answers that are newer than the stored ones, and append them to `changes`.

        Args:
            lease: the lease of the tenant's partition.
            tenant_id: the users' tenant.
            answers: the answers, at most one for each user.
            epoch: the epoch in which the read began. It must still be the partition's, and belong to the server's
                history: a failover can restore an old lease, whose owner must not overwrite newer answers. None: no
                check.

        Answers are compared by sequence number if both have one. Without one, with equal ones, or with `restarts`, only
        a polled answer can be newer, by fencing token and poll number. Each `MAX_ENTRY_USERS` answers are one atomic
        step and one entry; if none of them is newer, nothing is written. An entry carries the current trace, if there
        is one.

        Raises:
            LeaseLost: the lease is not in force; nothing more was written.
            HistoryLost: the epoch is over; nothing more was written.
            Bug: a user has two answers.
        """
        self._demand(lease, tenant_id)
        if len({answer.user_id for answer in answers}) != len(answers):
            raise Bug("A user is accepted twice in one call")
        partition = lease.partition
        stored, refused = dict[UserId, Revision](), set[UserId]()
        for chunk in _chunks(answers, MAX_ENTRY_USERS):
            pairs: list[Arg] = []
            for answer in chunk:
                pairs += (answer.user_id, pack(answer))
            call = _ACCEPT(
                *pairs,
                lease=keys.lease(partition),
                answers=keys.answers(tenant_id),
                changes=keys.changes(partition),
                changes_head=keys.changes_head(partition),
                epoch=keys.epoch(partition),
                lease_value=lease.value,
                changes_length=CHANGES_ENTRIES,
                tenant_id=tenant_id,
                demanded=epoch or "",
                trace=span.carried(),
            )
            entry_id, left_out = await self._store.run_once(call)
            refused.update(UserId(user_id.decode()) for user_id in left_out)
            if entry_id:
                revision = parse(entry_id)
                stored.update((answer.user_id, revision) for answer in chunk if answer.user_id not in refused)
        return Accepted(stored, frozenset(refused))

    async def forget(self, lease: Lease, tenant_id: TenantId, user_ids: Iterable[UserId]) -> None:
        """Delete the answers of users who are no longer watched."""
        await self._forget(lease, tenant_id, keys.answers(tenant_id), list(user_ids))

    async def load(self, tenant_id: TenantId) -> dict[UserId, StoredAnswer]:
        """Return all answers of a tenant, read in parts so that the server is not blocked.

        Not a consistent snapshot. Only for the partition's owner, while it has no write in progress.
        """
        return {UserId(user.decode()): unpack(value) async for user, value in self._scan(keys.answers(tenant_id))}

    async def load_some(self, tenant_id: TenantId, user_ids: Iterable[UserId]) -> dict[UserId, StoredAnswer]:
        """Return the answers of these users; those without one are absent."""
        found = {}
        for chunk in _chunks(list(user_ids), MAX_SNAPSHOT_NAMES):
            values = await self._store.command("HMGET", keys.answers(tenant_id), *chunk)
            found.update({user: unpack(value) for user, value in zip(chunk, values, strict=True) if value})
        return found

    # -------------------------------------------------------------- directory

    async def name(self, lease: Lease, tenant_id: TenantId, resolved: Mapping[Name, DirectoryEntry]) -> Revision | None:
        """Store the resolutions of names, and append those that changed to `changes`.

        `expires` only says when the worker resolves the name again: edges still use an expired entry.

        Returns:
            The revision of the (last) entry; None if no name changed.
        """
        self._demand(lease, tenant_id)
        revision = None
        for chunk in _chunks(list(resolved.items()), MAX_ENTRY_USERS):
            triples: list[Arg] = []
            for name, entry in chunk:
                triples += (name, _ms(entry.expires), entries.render_resolution(entry.outcome))
            call = _NAME(
                *triples,
                lease=keys.lease(lease.partition),
                directory=keys.directory(tenant_id),
                changes=keys.changes(lease.partition),
                changes_head=keys.changes_head(lease.partition),
                lease_value=lease.value,
                changes_length=CHANGES_ENTRIES,
                tenant_id=tenant_id,
            )
            entry_id = await self._store.run_once(call)
            revision = parse(entry_id) if entry_id else revision
        return revision

    async def forget_names(self, lease: Lease, tenant_id: TenantId, names: Iterable[Name]) -> None:
        """Delete names that are no longer watched."""
        await self._forget(lease, tenant_id, keys.directory(tenant_id), list(names))

    async def load_directory(self, tenant_id: TenantId) -> dict[Name, DirectoryEntry]:
        """Return the resolutions of all names of a tenant; not a consistent snapshot, see `load`."""
        found = {}
        async for name, value in self._scan(keys.directory(tenant_id)):
            expires, _, outcome = value.partition(b" ")
            found[Name(name.decode())] = DirectoryEntry(entries.parse_resolution(outcome), _time(int(expires)))
        return found

    # ------------------------------------------------------------- for edges

    async def snapshot(self, tenant_id: TenantId, names: Sequence[Name]) -> StoredSnapshot:
        """Return the stored data on at most `MAX_SNAPSHOT_NAMES` names and on their users.

        A name may be an object id: the worker stores the resolution of object ids too.
        """
        if len(names) > MAX_SNAPSHOT_NAMES:
            raise Bug(f"A snapshot of {len(names)} names; {MAX_SNAPSHOT_NAMES} are the most")
        partition = keys.partition_of(tenant_id)
        call = _SNAPSHOT(
            *names,
            directory=keys.directory(tenant_id),
            answers=keys.answers(tenant_id),
            changes_head=keys.changes_head(partition),
            epoch=keys.epoch(partition),
            unenforced=keys.tenant_unenforced(tenant_id),
        )
        reply = await self._store.run(call)
        last, epoch, replid, outcomes, users, answers, held_back = reply
        return StoredSnapshot(
            last=parse(last or START_ID),
            epoch=Epoch(epoch.decode()) if epoch else None,
            replid=replid.decode(),
            names={name: entries.parse_resolution(found) for name, found in zip(names, outcomes, strict=True) if found},
            answers={
                UserId(user.decode()): revision_and_item(value)
                for user, value in zip(users, [] if held_back else answers, strict=not held_back)
                if value
            },
            is_held_back=bool(held_back),
        )

    # ---------------------------------------------------------------- contact

    async def contact(self, lease: Lease, contacts: Sequence[entries.TenantContact]) -> None:
        """Store the contact of tenants and append it to `changes`, up to 1,000 tenants in an entry.

        The caller must limit this to one entry per second for each partition.
        """
        partition = lease.partition
        for chunk in _chunks(contacts, MAX_ENTRY_USERS):
            kept, pairs = list[bytes](), list[Arg]()
            for contact in chunk:
                self._demand(lease, contact.tenant_id)
                kept.append(keys.tenant_contact(contact.tenant_id))
                pairs += (contact.tenant_id, entries.render_contact(contact))
            call = _CONTACT(
                *pairs,
                more_keys=kept,
                lease=keys.lease(partition),
                changes=keys.changes(partition),
                changes_head=keys.changes_head(partition),
                lease_value=lease.value,
                changes_length=CHANGES_ENTRIES,
                ttl_ms=int(CONTACT_KEPT / timedelta(milliseconds=1)),
            )
            await self._store.run_once(call)

    async def kept_contact(self, tenant_id: TenantId) -> KeptContact | None:
        """Return the tenant's newest contact and its age; None if the tenant was not read within a week."""
        text, (seconds, micros) = await self._store.many([("GET", keys.tenant_contact(tenant_id)), ("TIME",)])
        if text is None:
            return None
        kept_ms, now_ms = entries.kept_at(text), int(seconds) * 1000 + int(micros) // 1000
        ago_s = 0.0 if kept_ms is None else max(0, now_ms - kept_ms) / 1000
        return KeptContact(entries.contact(tenant_id, text), ago_s)

    async def contact_of(self, tenant_id: TenantId) -> entries.TenantContact | None:
        """Return the tenant's newest contact; None if the tenant was not read within a week."""
        text = await self._store.command("GET", keys.tenant_contact(tenant_id))
        return None if text is None else entries.contact(tenant_id, text)

    # ------------------------------------------------------------ housekeeping

    async def drop(self, lease: Lease, tenant_id: TenantId) -> None:
        """Delete all data of a tenant that left, including the records of its subscriptions."""
        self._demand(lease, tenant_id)
        gone = [
            keys.answers(tenant_id),
            keys.directory(tenant_id),
            keys.tenant_contact(tenant_id),
            keys.tenant_push(tenant_id),
            keys.tenant_unenforced(tenant_id),
            keys.tenant_connected(tenant_id),
            keys.tenant_shared(tenant_id),
        ]
        await self._store.run_once(
            _DROP(
                more_keys=gone,
                lease=keys.lease(lease.partition),
                routes=keys.tenant_subscriptions(tenant_id),
                lease_value=lease.value,
                subscription_prefix=keys.subscription_prefix(tenant_id),
            )
        )

    async def trim(self, lease: Lease, older_than: datetime) -> int:
        """Delete entries of `changes` from before a time (Redis' clock); return how many."""
        call = _TRIM(
            lease=keys.lease(lease.partition),
            changes=keys.changes(lease.partition),
            lease_value=lease.value,
            oldest_ms=_ms(older_than),
        )
        return int(await self._store.run_once(call))

    async def _forget(self, lease: Lease, tenant_id: TenantId, key: bytes, fields: list[Any]) -> None:
        self._demand(lease, tenant_id)
        for chunk in _chunks(fields, MAX_SNAPSHOT_NAMES):
            call = _FORGET(*chunk, lease=keys.lease(lease.partition), hash=key, lease_value=lease.value)
            await self._store.run_once(call)

    async def _scan(self, key: bytes) -> AsyncIterator[tuple[bytes, bytes]]:
        cursor = 0
        while True:
            cursor, found = await self._store.command("HSCAN", key, cursor, "COUNT", _SCAN_COUNT)
            for pair in found.items():
                yield pair
            if not int(cursor):
                return

    def _demand(self, lease: Lease, tenant_id: TenantId) -> None:
        """Raise LeaseLost for a lease of another partition: it is not valid for this tenant."""
        if keys.partition_of(tenant_id) != lease.partition:
            raise LeaseLost("The lease is not of this tenant's partition")


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)
