"""The workers for operators: live workers with their shares, and partitions without a worker."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from relay.core.consent.tenant import TenantState
from relay.core.shares import shares
from relay.errors import NotPermitted, RelayError
from relay.store.custody.tenants import Tenants
from relay.store.presence.workers import Workers
from relay.store.server import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.core.shares import ShareTable
    from relay.store.server.connection import Store

IDLE: Final = timedelta(seconds=30)
"""Time after which a worker without partitions is reported: a new worker gets its share within ten seconds."""
_MOVE_S: Final = 2.0
"""Time that the handover of a partition may take."""
_SHOWN: Final = 8
_LEASE_TYPES: Final = frozenset({"none", "string"})


async def describe_workers(store: Store) -> list[tuple[bool, str]]:
    """Return findings about the workers: whether each is good, and its text. Empty if the Redis user may not read the table."""
    try:
        table = await Workers(store).table()
        if table.workers and table.free:
            await asyncio.sleep(_MOVE_S)
            now = await Workers(store).table()
            still = set(table.free) & set(now.free)
        else:
            now, still = table, set()
        types = await store.many([("TYPE", keys.lease(partition)) for partition in range(keys.PARTITIONS)])
        tenants = await Tenants(store).list() if not now.workers else []
    except NotPermitted:
        return []
    except RelayError as error:
        return [(False, f"Workers: their table cannot be read: {error}")]
    is_needed = any(tenant.state is TenantState.ACTIVE for tenant in tenants)
    foreign = {partition: kind for partition, kind in enumerate(map(_text, types)) if kind not in _LEASE_TYPES}
    return [*describe_table(now, is_needed=is_needed), *_unread(still - foreign.keys()), *_foreign(foreign)]


def describe_table(table: ShareTable, *, is_needed: bool) -> Iterator[tuple[bool, str]]:
    """Yield a line for each live worker, or one line if there is none.

    Args:
        table: the table of workers.
        is_needed: whether there are tenants to read; before the first tenant no worker is necessary.
    """
    if not table.workers:
        said = (
            "none runs, so no presence is read; start one: presence-relay serve worker"
            if is_needed
            else "none runs yet"
        )
        yield not is_needed, f"Workers: {said}"
    for name, share in sorted(shares(table).items()):
        is_spare = len(table.workers) > table.partitions
        if share.partitions or is_spare or table.workers[name].age < IDLE:
            said = f"{share.partitions} of {table.partitions} partitions, {share.users:,} users, {share.of_mean:.2f} of a fair share"
            yield True, f"Worker {name}: {said}"
        else:
            since_s = table.workers[name].age.total_seconds()
            yield False, f"Worker {name}: has had no partition in the {since_s:.0f} s that it has run; its log says why"


def _unread(partitions: set[int]) -> Iterator[tuple[bool, str]]:
    if partitions:
        shown = ", ".join(map(str, sorted(partitions)[:_SHOWN])) + (", …" if len(partitions) > _SHOWN else "")
        yield False, f"Partitions that no worker reads: {len(partitions)} ({shown}); the workers' logs say why"


def _foreign(kinds: dict[int, str]) -> Iterator[tuple[bool, str]]:
    for partition, kind in kinds.items():
        key = keys.lease(partition).decode()
        said = f"its key {key} holds a {kind} of another program, so no worker can read it; delete the key"
        yield False, f"Partition {partition}: {said}"


def _text(kind: bytes | str) -> str:
    return kind.decode() if isinstance(kind, bytes) else kind
