"""The audit log of each tenant: two streams in its partition, on custody's server.

    {pNN}:audit:<tid>            deeds
    {pNN}:audit:<tid>:watches    watches; separate, so that many watches cannot push out an entry about a grant

The script that performs a deed also appends its entry. So each acknowledged deed has an entry, and each entry reports a
deed that happened. Suite keys are outside partitions, and on a Cluster no script can write both a key and its tenant's
log. There the entry is written last, before the acknowledgement, so an entry always reports a key that was made or
revoked. After a crash before the entry, a new key is in force that was never shown; repeating a revocation adds its
entry, once.

Entries are kept for at most `RETENTION`. Each stream keeps the newest `MOST_DEEDS` or `MOST_WATCHES` entries. The log
is deleted together with its tenant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from relay.core.audit.events import WATCHES, Actor, ActorKind, Entry, EventKind, Recorded
from relay.core.audit.export import Form, csv_head, csv_line, json_line
from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from relay.core.presence import TenantId
    from relay.store.server.connection import Store
    from relay.store.server.durable import DurableWrites

RETENTION: Final = timedelta(days=30)
MOST_DEEDS: Final = 10_000
"""About 300 bytes each. A tenant makes a few in a month; rate limits keep pages and commands far below this."""
MOST_WATCHES: Final = 20_000
"""At most about 3 KB each (100 names), so a tenant's watches take at most 60 MB."""
PAGE: Final = 100
MAX_PAGE: Final = 1000

_CLOCKS: Final = timedelta(minutes=10)
"""Allowed difference between two servers' clocks: on a Cluster a key and its tenant's log may be on two servers."""

_APPEND = Script("audit_append")
_CURSOR = re.compile(r"([1-9][0-9]{0,15}-[0-9]{1,10})_([1-9][0-9]{0,15}-[0-9]{1,10})")
_NEWEST: Final = "9999999999999999-0"


class _Appended(msgspec.Struct, frozen=True):
    """An entry as the scripts append it; they do not interpret `body`."""

    kind: str
    subject: str
    body: str
    most: int
    keep_ms: int


class _Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry in the store, without its kind."""

    by: tuple[str, str, str]
    subject_id: str = ""
    subject: str = ""
    details: dict[str, str] = {}
    users: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some entries, newest first.

    Attributes:
        entries: the entries, at most the requested number.
        next: the cursor for the next page; None if there is none.
        is_cut: True if a stream was full, so older entries may have been deleted before the end of `RETENTION`.
    """

    entries: tuple[Recorded, ...]
    next: str | None
    is_cut: bool = False


def encoded(entry: Entry | None) -> bytes:
    """Return an entry encoded for scripts that use `_audit.lua`; empty for None."""
    if entry is None:
        return b""
    by = (entry.by.kind, entry.by.id, entry.by.name)
    body = _Body(by, entry.subject_id, entry.subject, dict(entry.details), entry.users, entry.since, entry.until)
    most = MOST_WATCHES if entry.kind in WATCHES else MOST_DEEDS
    keep_ms = int(RETENTION / timedelta(milliseconds=1))
    return msgspec.json.encode(
        _Appended(entry.kind, entry.subject_id, msgspec.json.encode(body).decode(), most, keep_ms)
    )


async def append_about_key(
    vault: DurableWrites, tenant_id: TenantId, key_id: str, entry: Entry, *, once_since: datetime | None = None
) -> None:
    """Append an entry about a suite key, on the connection of the key's write and before it is confirmed.

    Args:
        vault: the context of the write.
        tenant_id: the tenant whose log it is.
        key_id: the suite key.
        entry: the entry, without the key's id.
        once_since: if set, append nothing if the log has an equal entry since then.
    """
    told = encoded(replace(entry, subject_id=key_id))
    once = "" if once_since is None else str(_ms(once_since - _CLOCKS))
    await vault.run(_APPEND(told, audit_log=keys.audit(tenant_id), tenant=keys.tenant(tenant_id), once_since=once))


class AuditLog:
    """The audit logs of all tenants: reads them, and appends watches."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append_watches(self, tenant_id: TenantId, entries: Sequence[Entry]) -> None:
        """Append entries about watches, in one step; none for a tenant that has left.

        Not durable. Repeating it after StoreUnavailable may append the entries twice.
        """
        await self._store.vault_run(
            _APPEND(
                *map(encoded, entries),
                audit_log=keys.audit_watches(tenant_id),
                tenant=keys.tenant(tenant_id),
                once_since="",
            )
        )

    async def page(
        self,
        tenant_id: TenantId,
        *,
        after: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = PAGE,
        watches: bool = True,
    ) -> AuditPage:
        """Return a page of entries, newest first; not a consistent snapshot.

        Args:
            tenant_id: the tenant.
            after: `next` of the previous page; an invalid text returns the first page.
            since: oldest time; at most `RETENTION` ago.
            until: newest time.
            limit: most entries, 1 to `MAX_PAGE`.
            watches: whether to include watches.
        """
        limit = max(1, min(limit, MAX_PAGE))
        oldest = datetime.now(UTC) - RETENTION
        first = str(_ms(max(since, oldest) if since is not None else oldest))
        logs = _logs(tenant_id)[: 2 if watches else 1]
        positions = _positions(after) or [_NEWEST if until is None else f"{_ms(until) + 1}-0"] * 2
        reads = [
            ("XREVRANGE", log, f"({position}", first, "COUNT", limit + 1)
            for log, position in zip(logs, positions, strict=False)
        ]
        *found, deeds, watched = await self._store.many(
            [*reads, *(("XLEN", log) for log in _logs(tenant_id))], vault=True
        )
        merged = sorted(
            (
                (_order(entry_id), number, entry_id, fields)
                for number, one in enumerate(found)
                for entry_id, fields in one
            ),
            reverse=True,
        )
        shown = merged[:limit]
        for _, number, entry_id, _ in shown:
            positions[number] = entry_id.decode()
        entries = tuple(_recorded(number, entry_id, fields) for _, number, entry_id, fields in shown)
        following = "_".join(positions) if len(merged) > limit else None
        return AuditPage(entries, following, is_cut=deeds >= MOST_DEEDS or (watches and watched >= MOST_WATCHES))

    async def count(self, tenant_id: TenantId) -> int:
        """Count the entries of a tenant's log, including expired entries that are not deleted yet."""
        return sum(await self._store.many([("XLEN", log) for log in _logs(tenant_id)], vault=True))

    async def all(
        self, tenant_id: TenantId, *, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncIterator[Recorded]:
        """Yield all entries, newest first. Reads `PAGE` entries of each stream at a time, at most about 600 KB."""
        after = None
        while True:
            page = await self.page(tenant_id, after=after, since=since, until=until)
            for recorded in page.entries:
                yield recorded
            if (after := page.next) is None:
                return

    async def export(
        self,
        tenant_id: TenantId,
        form: Form,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        for_tenants: bool = False,
    ) -> AsyncIterator[str]:
        """Yield the log as a file, in pieces, newest first.

        Args:
            tenant_id: the tenant.
            form: format of the file.
            since: oldest time.
            until: newest time.
            for_tenants: whether it is for the tenant's own users, and must not name the operator's staff.
        """
        if form is Form.CSV:
            yield csv_head()
        async for found in self.all(tenant_id, since=since, until=until):
            recorded = _for_tenants(found) if for_tenants else found
            yield csv_line(recorded) if form is Form.CSV else json_line(recorded)


def _for_tenants(recorded: Recorded) -> Recorded:
    by = recorded.entry.by.for_tenants
    return recorded if by is recorded.entry.by else replace(recorded, entry=replace(recorded.entry, by=by))


def _logs(tenant_id: TenantId) -> tuple[bytes, bytes]:
    return keys.audit(tenant_id), keys.audit_watches(tenant_id)


def _recorded(number: int, entry_id: bytes, values: Mapping[bytes, bytes]) -> Recorded:
    body = msgspec.json.decode(values[b"e"], type=_Body)
    entry = Entry(
        kind=EventKind(values[b"k"].decode()),
        by=Actor(ActorKind(body.by[0]), *body.by[1:]),
        subject_id=body.subject_id,
        subject=body.subject,
        details=MappingProxyType(body.details),
        users=body.users,
        since=body.since,
        until=body.until,
    )
    ms, _ = _order(entry_id)
    return Recorded(f"{'dw'[number]}{entry_id.decode()}", datetime.fromtimestamp(ms / 1000, tz=UTC), entry)


def _positions(after: str | None) -> list[str] | None:
    found = None if after is None else _CURSOR.fullmatch(after)
    return None if found is None else [found[1], found[2]]


def _order(entry_id: bytes) -> tuple[int, int]:
    ms, _, number = entry_id.partition(b"-")
    return int(ms), int(number)


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)
