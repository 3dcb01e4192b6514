"""The names that the suites of each edge watch. Workers read presence for these names."""

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
"""Time after which a page's interest expires unless it is renewed. Edges pass their own time."""
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
    """Return the pseudo-edge id under which a page registers interest in one name. The same name has the same id."""
    return _PAGE + hashlib.sha256(name.encode()).hexdigest()[:16]


def is_page(edge: str) -> bool:
    """Return whether this is the pseudo-edge of a page."""
    return edge.startswith(_PAGE)


class Interest:
    """The watched names of each tenant, by edge. Each edge writes only its own names.

    A call with up to 5,000 names is one atomic step, together with the hint to the worker. More names take several
    steps, with the hint in the last. Interest expires some time after it was last written or renewed. Adding and
    removing can be repeated after StoreUnavailable. A wrong count means that history was lost: call `replace`.
    """

    def __init__(self, store: Store, kept: timedelta = INTEREST_KEPT) -> None:
        """Access the interest in a store; it expires `kept` after its last renewal."""
        self._store = store
        self._ttl_ms = int(kept / timedelta(milliseconds=1))

    async def add(self, tenant_id: TenantId, edge: str, names: Collection[Name], most: int = 0) -> int:
        """Add watched names; return how many the edge watches now.

        Args:
            tenant_id: the tenant.
            edge: the edge that watches.
            names: the names, without duplicates.
            most: most distinct names that the tenant's edges may watch together; 0: no limit. Names that another edge
                already watches do not count, so the remaining set of a dead edge never causes a refusal.

        Raises:
            TooManyUsers: there would be more than `most`. Earlier steps of this call stay in force.
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
        """Remove watched names; return how many the edge still watches."""
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
        """Watch exactly these names. The old names stay in force until all new names are written.

        There is no limit here, because the call restores names from before a loss of history.
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
        # Not repeatable: a second run would find no staged set and treat that as "no names".
        return int(await self._store.run_once(replace))

    async def renew(self, tenant_ids: Sequence[TenantId], edge: str) -> dict[TenantId, int]:
        """Renew interest, for all tenants in one round trip; return the number of names of each."""
        commands: list[tuple[Any, ...]] = []
        for tenant_id in tenant_ids:
            key = keys.interest(tenant_id, edge)
            commands += [("PEXPIRE", key, self._ttl_ms), ("SCARD", key)]
        replies = await self._store.many(commands)
        return dict(zip(tenant_ids, map(int, replies[1::2]), strict=True))

    async def watching(self, tenant_id: TenantId, names: Collection[Name]) -> set[str]:
        """Return the edges that watch any of these names."""
        if not names:
            return set()
        edges = sorted(await self.read_edges(tenant_id))
        asked = [("SMISMEMBER", keys.interest(tenant_id, edge), *names) for edge in edges]
        replies = await self._store.many(asked)
        return {edge for edge, reply in zip(edges, replies, strict=True) if any(reply)}

    async def read(self, tenant_id: TenantId) -> dict[str, set[Name]]:
        """Return all interest in a tenant: edge -> names.

        Not a consistent snapshot. Changes during the read are in the inbox, after the position from before the read.
        """
        return {edge: await self.read_edge(tenant_id, edge) for edge in await self.read_edges(tenant_id)}

    async def read_edge(self, tenant_id: TenantId, edge: str) -> set[Name]:
        """Return the names of one edge; not a consistent snapshot, see `read`."""
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
        """Return the number of distinct names for the tenant's limit. It may be too low after an edge died."""
        call = _COUNT(
            edges=keys.tenant_edges(tenant_id),
            shared=keys.tenant_shared(tenant_id),
            interest_prefix=keys.interest_prefix(tenant_id),
        )
        return int(await self._store.run(call))

    async def _count(self, tenant_id: TenantId, edge: str) -> int:
        return int(await self._store.command("SCARD", keys.interest(tenant_id, edge)))


def _chunks(names: list[Name]) -> Iterator[tuple[list[Arg], bool]]:
    """Yield parts of `names`, each with whether it is the last; nothing if there are no names."""
    for start in range(0, len(names), _CHUNK_NAMES):
        yield list(names[start : start + _CHUNK_NAMES]), start + _CHUNK_NAMES >= len(names)
