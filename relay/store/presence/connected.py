"""The suites with open streams, and the number of users that each watches. Only for display.

Each edge regularly writes its own streams, in keys that expire. A crash of Redis loses them. The streams of a killed
edge are shown until its keys expire.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from relay.core.presence import TenantId
    from relay.store.server.connection import Store

COUNTS_FOR: Final = timedelta(seconds=45)
"""Three times the interval between two reports of an edge."""

_AT_ONCE: Final = 500

_SAY = Script("suites_connected")


class OpenStreams(msgspec.Struct, frozen=True, array_like=True):
    """The open streams of one suite key."""

    streams: int = 0
    users: int = 0
    """Names that they watch; a name counts once for each stream that watches it."""


class EdgeStreams(msgspec.Struct, frozen=True, kw_only=True):
    """The streams that one edge has open.

    Attributes:
        edge: name of the edge.
        tenants: number of tenants with a stream there.
        suites: number of suite keys with a stream there.
        streams: number of open streams.
        users: names that they watch; a name counts once for each stream that watches it.
        said_ms: age of the edge's last report, in milliseconds.
    """

    edge: str
    tenants: int = 0
    suites: int = 0
    streams: int = 0
    users: int = 0
    said_ms: int = 0


class ConnectedSuites:
    """Open streams of all tenants' suites. Every call may be repeated."""

    def __init__(self, store: Store, counts_for: timedelta = COUNTS_FOR) -> None:
        """Access the open streams in a store; a report of an edge is valid for `counts_for`."""
        self._store = store
        self._counts_for_ms = int(counts_for / timedelta(milliseconds=1))

    async def say(self, edge: str, open_: Mapping[TenantId, Mapping[str, OpenStreams]]) -> None:
        """Write the open streams of one edge: tenant -> (key id -> streams). An empty value removes a tenant."""
        await self._store.run_many(
            [
                _SAY(
                    connected=keys.tenant_connected(tenant_id),
                    edge=edge,
                    suites=_encode(dict(suites)) if suites else b"",
                    counts_for_ms=self._counts_for_ms,
                )
                for tenant_id, suites in open_.items()
            ]
        )

    async def of(self, tenant_id: TenantId) -> dict[str, OpenStreams]:
        """Return key id -> its open streams on all edges; keys without streams are absent."""
        said, time = await self._store.many([("HGETALL", keys.tenant_connected(tenant_id)), ("TIME",)])
        now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
        found: dict[str, OpenStreams] = {}
        for value in said.values():
            at, _, payload = value.partition(b" ")
            if now_ms - int(at) <= self._counts_for_ms:
                for key_id, one in _suites(payload).items():
                    known = found.get(key_id, OpenStreams())
                    found[key_id] = OpenStreams(known.streams + one.streams, known.users + one.users)
        return found

    async def by_edge(self, tenant_ids: Sequence[TenantId]) -> list[EdgeStreams]:
        """Return the open streams of these tenants for each edge that has any, `_AT_ONCE` tenants in a round trip."""
        found: dict[str, EdgeStreams] = {}
        for start in range(0, len(tenant_ids), _AT_ONCE):
            batch = tenant_ids[start : start + _AT_ONCE]
            *said, time = await self._store.many(
                [*(("HGETALL", keys.tenant_connected(one)) for one in batch), ("TIME",)]
            )
            now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
            for edge, value in (pair for each in said for pair in each.items()):
                at, _, payload = value.partition(b" ")
                open_ = [one for one in _suites(payload).values() if one.streams]
                if open_ and now_ms - int(at) <= self._counts_for_ms:
                    name = edge.decode(errors="replace")
                    known = found.get(name, EdgeStreams(edge=name, said_ms=now_ms - int(at)))
                    found[name] = EdgeStreams(
                        edge=name,
                        tenants=known.tenants + 1,
                        suites=known.suites + len(open_),
                        streams=known.streams + sum(one.streams for one in open_),
                        users=known.users + sum(one.users for one in open_),
                        said_ms=min(known.said_ms, now_ms - int(at)),
                    )
        return [found[name] for name in sorted(found)]


def _suites(payload: bytes) -> dict[str, OpenStreams]:
    try:
        return _DECODER.decode(payload)
    except msgspec.DecodeError:
        return {}  # another release uses another format


_encode = msgspec.json.Encoder().encode
_DECODER: Final = msgspec.json.Decoder(dict[str, OpenStreams])
