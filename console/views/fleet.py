"""Workers with their leases and cost, and edges with their streams."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.routing import Route

from console.layout import EDGES, WORKERS
from relay.core.consent.tenant import TenantState
from relay.diagnosis.fleet import in_ranges, read_edges, read_workers
from relay.locale.languages import english

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from console.services import ConsoleServices
    from relay.store.presence.connected import EdgeStreams

_COST_SHARE: Final = 5
_LEAST_KEPT_S: Final = 2.0


class FleetViews:
    """Views of the relay's own processes."""

    def __init__(self, services: ConsoleServices) -> None:
        self._services = services
        self._edges: Sequence[EdgeStreams] = ()
        self._read_at = float("-inf")
        self._cost_s = 0.0
        self._lock = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        return [Route(WORKERS, self.workers, methods=["GET"]), Route(EDGES, self.edges, methods=["GET"])]

    async def workers(self, request: Request) -> Response:
        """Show the workers."""
        services = self._services
        visitor = await services.auth.operator(request)
        tenants = await services.lists.get()
        is_needed = any(line.tenant.state is TenantState.ACTIVE for line in tenants.lines)
        fleet = await read_workers(services.store, is_needed=is_needed)
        return await services.layout.page(
            visitor, "workers.html", WORKERS, english("Workers"), fleet=fleet, in_ranges=in_ranges
        )

    async def edges(self, request: Request) -> Response:
        """Show the edges."""
        services = self._services
        visitor = await services.auth.operator(request)
        edges = await self._read_edges()
        total = {name: sum(getattr(edge, name) for edge in edges) for name in ("tenants", "suites", "streams", "users")}
        return await services.layout.page(visitor, "edges.html", EDGES, english("Edges"), edges=edges, total=total)

    async def _read_edges(self) -> Sequence[EdgeStreams]:
        """Return the edges, cached for five times the duration of the read, which reads every tenant."""
        async with self._lock:
            if time.monotonic() - self._read_at > max(_LEAST_KEPT_S, _COST_SHARE * self._cost_s):
                began = time.monotonic()
                self._edges = await read_edges(self._services.store)
                self._read_at = time.monotonic()
                self._cost_s = self._read_at - began
            return self._edges
