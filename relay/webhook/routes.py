"""Finds the subscription of a route, and caches it for many notifications."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from relay.core.presence import TenantId
    from relay.store.presence.subscriptions import Route, Subscriptions
    from relay.webhook.settings import WebhookSettings

T = TypeVar("T")


class Routes:
    """A cache of the subscriptions of routes, also of their absence.

    A cached route stays correct, because its tenant and client state never change. A deleted route stays in the cache
    for `route_kept`; the worker ignores its notifications.

    Raises (from both): StoreUnavailable, which is not cached.
    """

    def __init__(self, subscriptions: Subscriptions, settings: WebhookSettings) -> None:
        self._subscriptions = subscriptions
        kept, absence, most = settings.route_kept, settings.absence_kept, settings.routes
        self._routes: _Remembered[Route | None] = _Remembered(kept, absence, most)
        self._tenants: _Remembered[list[Route]] = _Remembered(absence, absence, most)

    async def of(self, route_id: str) -> Route | None:
        """Return the route's subscription; None when there is none."""
        return await self._routes.get(route_id, lambda: self._subscriptions.route(route_id))

    async def of_tenant(self, tenant_id: TenantId) -> list[Route]:
        """Return all routes of a tenant. A new route appears within `absence_kept`."""
        return await self._tenants.get(tenant_id, lambda: self._subscriptions.routes(tenant_id))


class _Remembered(Generic[T]):
    """A cache that evicts the least recently used values. Concurrent reads of one key share one read."""

    def __init__(self, kept: timedelta, absence_kept: timedelta, most: int) -> None:
        self._kept_s = kept.total_seconds()
        self._absence_kept_s = absence_kept.total_seconds()
        self._most = most
        self._values: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._reading: dict[str, asyncio.Task[T]] = {}

    async def get(self, key: str, read: Callable[[], Awaitable[T]]) -> T:
        known = self._values.get(key)
        if known is not None and time.monotonic() < known[0]:
            self._values.move_to_end(key)
            return known[1]
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.get_running_loop().create_task(self._read(key, read), name="route")
            task.add_done_callback(_seen)
        # A caller that stops waiting at its deadline does not cancel the read for the others.
        return await asyncio.shield(task)

    async def _read(self, key: str, read: Callable[[], Awaitable[T]]) -> T:
        try:
            value = await read()
        finally:
            del self._reading[key]
        self._values[key] = (time.monotonic() + (self._kept_s if value else self._absence_kept_s), value)
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return value


def _seen(task: asyncio.Task[T]) -> None:
    """Its error goes to the callers that still wait; without any, it is dropped."""
    if not task.cancelled():
        task.exception()
