"""The table of workers: the live workers, their partitions, and the cost of each. It takes one round trip.

Workers plan with the table; ownership depends only on leases. The whole table is in one slot. If it is lost, it is
complete again within a third of a lease. Times are by Redis' clock, so the clocks of workers do not matter.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from relay.core.shares import LiveWorker, PartitionLoad, ShareTable
from relay.store.server import keys
from relay.store.server.blocking import START_ID
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from relay.store.server.connection import Store
    from relay.store.server.scripting import Call

_BEAT = Script("worker_beat")
_CHANGED_ENTRIES: Final = 100
"""Length of the stream. A worker that is further behind still finds some entries, so it reads the table."""
_REGISTRATION: Final = re.compile(rb"(\d{1,16}) (\d{1,16}) (\d{1,16})")
_LOAD: Final = re.compile(rb"(\d{1,12}) (\d{1,12})")


class Workers:
    """The table of workers. Raises StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def beat(
        self, worker: str, ttl: timedelta, owned: Mapping[int, PartitionLoad | None], *, announce: bool
    ) -> ShareTable:
        """Register a worker as live, for `ttl` from now, and return the table.

        Args:
            worker: its name.
            ttl: duration of the registration, the same as of its leases.
            owned: partition -> load, for all that it owns; None keeps the stored load.
            announce: whether other workers must read the table at once.
        """
        pairs: list[str | int] = []
        for partition, load in owned.items():
            pairs += [partition, f"{load.users} {load.notifications}" if load is not None else ""]
        [reply] = await self._store.run_many([_call(worker, ttl, pairs, announce=announce)], urgent=True)
        return _table(*reply)

    async def leave(self, worker: str) -> None:
        """Remove a worker that stops and owns no partitions. Other workers read the table at once."""
        await self._store.run_many([_call(worker, timedelta(), [], announce=True)], urgent=True)

    async def table(self) -> ShareTable:
        """Return the table for display, without writing."""
        (seconds, micros), *hashes = await self._store.many(
            [
                ("TIME",),
                ("HGETALL", keys.WORKERS_LIVE),
                ("HGETALL", keys.WORKERS_OWNERS),
                ("HGETALL", keys.WORKERS_LOADS),
            ]
        )
        flat = ([part for pair in each.items() for part in pair] for each in hashes)
        return _table(int(seconds) * 1000 + int(micros) // 1000, *flat)


class SharesChanged:
    """Waits until a worker starts, stops, or owns other partitions. Late only if the store is down."""

    def __init__(self, store: Store) -> None:
        self._streams = store.streams()
        self._position = START_ID

    async def wait(self) -> bool:
        """Wait for a change, at most `BLOCK`; return whether there was one. Raises StoreUnavailable."""
        read = await self._streams.read({keys.WORKERS_CHANGED: self._position})
        if not read:
            return False
        self._position = read[0][1][-1][0]
        return True

    async def aclose(self) -> None:
        """Close the connection."""
        await self._streams.aclose()


def _call(worker: str, ttl: timedelta, pairs: Sequence[str | int], *, announce: bool) -> Call:
    return _BEAT(
        *pairs,
        live=keys.WORKERS_LIVE,
        owners=keys.WORKERS_OWNERS,
        loads=keys.WORKERS_LOADS,
        changed=keys.WORKERS_CHANGED,
        worker=worker,
        ttl_ms=int(ttl / timedelta(milliseconds=1)),
        announce=int(announce),
        entries=_CHANGED_ENTRIES,
    )


def _table(now_ms: int, live: Sequence[bytes], owners: Sequence[bytes], loads: Sequence[bytes]) -> ShareTable:
    """Read the table. Invalid entries, for example from another release or program, are ignored."""
    workers: dict[str, LiveWorker] = {}
    for name, value in _pairs(live):
        found = _REGISTRATION.match(value)
        ends_ms, since_ms, span_ms = map(int, found.groups()) if found is not None else (0, 0, 0)
        if now_ms < ends_ms <= now_ms + span_ms:
            age, left = max(0, now_ms - since_ms), ends_ms - now_ms
            workers[_text(name)] = LiveWorker(timedelta(milliseconds=age), timedelta(milliseconds=left))
    counted: dict[int, PartitionLoad] = {}
    for partition, value in _of_partitions(loads):
        found = _LOAD.match(value)
        if found is not None:
            counted[partition] = PartitionLoad(*map(int, found.groups()))
    owned = {partition: _text(worker) for partition, worker in _of_partitions(owners)}
    return ShareTable(keys.PARTITIONS, workers, owned, counted, now_ms)


def _of_partitions(fields: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    numbers = {str(partition).encode(): partition for partition in range(keys.PARTITIONS)}
    return ((numbers[name], value) for name, value in _pairs(fields) if name in numbers)


def _pairs(fields: Sequence[Any]) -> Iterator[tuple[bytes, bytes]]:
    return zip(fields[::2], fields[1::2], strict=True)


def _text(name: bytes) -> str:
    return name.decode(errors="replace")
