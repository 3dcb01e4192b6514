"""The names that the suites of each edge watch, for which the workers read presence."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from relay.core.presence import Name, TenantId
from relay.errors import TooManyUsers
from relay.store.presence import hints
from relay.store.presence.pipes import inbox_values
from relay.store.server import keys
from relay.store.server.scripting import Arg, Script

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from relay.store.server.connection import Store

INTEREST_KEPT: Final = timedelta(seconds=60)
"""Time for which a page's interest counts, unless it is renewed. Edges say how long theirs does."""
_PAGE: Final = "page-"
_CHUNK_NAMES: Final = 5000
_SCAN_COUNT: Final = 1000

_ADD = Script("interest_add")
_REMOVE = Script("interest_remove")
_STAGE = Script("interest_stage")
_REPLACE = Script("interest_replace")
_EDGES = Script("interest_edges")
_COUNT = Script("interest_count")


def page_edge(name: Name) -> str:
    """Return the pseudo-edge id under which a page registers interest in one name; derived from the name, so that it is idempotent."""
    return _PAGE + hashlib.sha256(name.encode()).hexdigest()[:16]


def is_page(edge: str) -> bool:
    """Return whether this is the pseudo-edge of a page."""
    return edge.startswith(_PAGE)


class Interest:
    """The watched names of each tenant, by edge; each edge writes its own only.

    Up to 5,000 names a call are one atomic step, together with the hint to the worker; more are several steps, the hint with
    the last. Interest expires some time after it was last written or renewed. Adding and removing may be repeated
    after StoreUnavailable. A history that was lost shows as a wrong count: then `replace`.
    """

    def __init__(self, store: Store, kept: timedelta = INTEREST_KEPT) -> None:
        """Make the interest in a store; what is written here outlives its last renewal by `kept`."""
        self._store = store
        self._ttl_ms = int(kept / timedelta(milliseconds=1))

    async def add(self, tenant_id: TenantId, edge: str, names: Collection[Name], most: int = 0) -> int:
        """Watch more names; returns how many the edge watches now.

        Args:
            tenant_id: whose.
            edge: who watches.
            names: each once.
            most: distinct names that the tenant's edges may watch together; 0: as many as they like. Names that another edge
                watches are not more, so that suites of an edge that died are never refused because its set is still there.

        Raises:
            TooManyUsers: it would be more. Of the steps, the ones before are done; up to 5,000 names are one.
        """
        hint = hints.of_interest(tenant_id, edge, added=tuple(names))
        if not names:
            return await self._count(tenant_id, edge)
        count = 0
        for chunk, last in _chunks(list(names)):
            call = _ADD(
                *chunk,
                **inbox_values(tenant_id),
                interest=keys.interest(tenant_id, edge),
                edges=keys.tenant_edges(tenant_id),
                shared=keys.tenant_shared(tenant_id),
                ttl_ms=self._ttl_ms,
                edge=edge,
                hint=hints.encode(hint) if last else b"",
                interest_prefix=keys.interest_prefix(tenant_id),
                most_names=most,
            )
            count = int(await self._store.run(call))
            if count < 0:
                raise TooManyUsers(
                    f"The tenant may watch {most} users on all its streams together", limit=str(most), per="tenant"
                )
        return count

    async def remove(self, tenant_id: TenantId, edge: str, names: Collection[Name]) -> int:
        """Watch some names no longer; returns how many the edge still watches."""
        hint = hints.of_interest(tenant_id, edge, removed=tuple(names))
        if not names:
            return await self._count(tenant_id, edge)
        count = 0
        for chunk, last in _chunks(list(names)):
            call = _REMOVE(
                *chunk,
                **inbox_values(tenant_id),
                interest=keys.interest(tenant_id, edge),
                edges=keys.tenant_edges(tenant_id),
                shared=keys.tenant_shared(tenant_id),
                edge=edge,
                hint=hints.encode(hint) if last else b"",
                interest_prefix=keys.interest_prefix(tenant_id),
            )
            count = await self._store.run(call)
        return int(count)

    async def replace(self, tenant_id: TenantId, edge: str, names: Collection[Name]) -> int:
        """Watch exactly these names. The old ones stay in force until all new ones are there.

        Nobody is refused: it puts back what was there before a history was lost.
        """
        staged = keys.interest(tenant_id, f"{edge}:{secrets.token_hex(4)}")
        elsewhere = 0
        for chunk, _ in _chunks(list(names)):
            stage = _STAGE(
                *chunk,
                staged=staged,
                edges=keys.tenant_edges(tenant_id),
                shared=keys.tenant_shared(tenant_id),
                ttl_ms=self._ttl_ms,
                edge=edge,
                interest_prefix=keys.interest_prefix(tenant_id),
            )
            elsewhere += int(await self._store.run(stage))
        replace = _REPLACE(
            **inbox_values(tenant_id),
            interest=keys.interest(tenant_id, edge),
            edges=keys.tenant_edges(tenant_id),
            shared=keys.tenant_shared(tenant_id),
            staged=staged,
            ttl_ms=self._ttl_ms,
            edge=edge,
            hint=hints.encode(hints.InterestChanged(tenant_id, edge)),
            elsewhere=elsewhere,
        )
        # Not repeatable by itself: a second run would find nothing staged and take that for "no names".
        return int(await self._store.run_once(replace))

    async def renew(self, tenant_ids: Sequence[TenantId], edge: str) -> dict[TenantId, int]:
        """Keep interest alive, all tenants in one round trip; returns how many names each has now."""
        commands: list[tuple[Any, ...]] = []
        for tenant_id in tenant_ids:
            key = keys.interest(tenant_id, edge)
            commands += [("PEXPIRE", key, self._ttl_ms), ("SCARD", key)]
        replies = await self._store.many(commands)
        return dict(zip(tenant_ids, map(int, replies[1::2]), strict=True))

    async def watching(self, tenant_id: TenantId, names: Collection[Name]) -> set[str]:
        """Return the edges that watch any of a few names."""
        if not names:
            return set()
        edges = sorted(await self.read_edges(tenant_id))
        asked = [("SMISMEMBER", keys.interest(tenant_id, edge), *names) for edge in edges]
        replies = await self._store.many(asked)
        return {edge for edge, reply in zip(edges, replies, strict=True) if any(reply)}

    async def read(self, tenant_id: TenantId) -> dict[str, set[Name]]:
        """Return all interest in a tenant: edge -> names.

        Read in parts, not of one instant: what changes meanwhile is in the inbox behind the position that it had before.
        """
        return {edge: await self.read_edge(tenant_id, edge) for edge in await self.read_edges(tenant_id)}

    async def read_edge(self, tenant_id: TenantId, edge: str) -> set[Name]:
        """Return one edge's names, read like `read`."""
        names: set[Name] = set()
        cursor = 0
        while True:
            reply = await self._store.command("SSCAN", keys.interest(tenant_id, edge), cursor, "COUNT", _SCAN_COUNT)
            names.update(Name(name.decode()) for name in reply[1])
            cursor = int(reply[0])
            if not cursor:
                return names

    async def read_edges(self, tenant_id: TenantId) -> set[str]:
        """Return the edges with interest in a tenant."""
        call = _EDGES(
            edges=keys.tenant_edges(tenant_id),
            shared=keys.tenant_shared(tenant_id),
            interest_prefix=keys.interest_prefix(tenant_id),
        )
        return {edge.decode() for edge in await self._store.run(call)}

    async def count(self, tenant_id: TenantId) -> int:
        """Return how many distinct names the edges of a tenant watch, as its limit counts them: perhaps too few after an edge died."""
        call = _COUNT(
            edges=keys.tenant_edges(tenant_id),
            shared=keys.tenant_shared(tenant_id),
            interest_prefix=keys.interest_prefix(tenant_id),
        )
        return int(await self._store.run(call))

    async def _count(self, tenant_id: TenantId, edge: str) -> int:
        return int(await self._store.command("SCARD", keys.interest(tenant_id, edge)))


def _chunks(names: list[Name]) -> Iterator[tuple[list[Arg], bool]]:
    """Parts of `names`, each with whether it is the last; nothing of nothing."""
    for start in range(0, len(names), _CHUNK_NAMES):
        yield list(names[start : start + _CHUNK_NAMES]), start + _CHUNK_NAMES >= len(names)
