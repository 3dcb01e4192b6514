"""Checks a POST, cheap checks first, and makes the hints for workers.

Dropped, counted by reason and answered 202, because Graph would only send it again:

    unreadable     an item that is not as documented
    route          no subscription has this route (any more)
    subscription   the item names no subscription of its tenant
    client_state   it does not contain that subscription's client state
    token_missing  no validation token proves its tenant
    token_…        a token is not valid (see `jwt.NotValid`): the whole POST is dropped

A genuine POST that is replayed while its tokens are valid passes. It only makes the worker read the user again, as any
older notification does.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

import structlog

from relay.graph.auth.jwt import NotValid
from relay.store.presence import hints, pipes
from relay.webhook import metrics, spans
from relay.webhook.posts import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from relay.core.presence import TenantId
    from relay.graph.push.validation import Validation
    from relay.store.presence.subscriptions import Route
    from relay.store.server.connection import Store
    from relay.webhook.posts import Item
    from relay.webhook.routes import Routes

log = structlog.get_logger(__name__)

ITEMS_PER_HINT: Final = 50
"""A worker reads 200 hints of a partition at once: with items of 1.5 KB that is 15 MB at most."""
_COMPLAIN_EVERY_S: Final = 60.0


class Receiver:
    """Processes the bodies of POSTs. Between POSTs it keeps only routes, signing keys and the times of its last warnings."""

    def __init__(self, store: Store, routes: Routes, validation: Validation, max_items: int) -> None:
        self._store = store
        self._routes = routes
        self._validation = validation
        self._max_items = max_items
        self._complained: dict[str, float] = {}

    async def receive(self, route_id: str, body: bytes) -> int:
        """Check a POST that came to a route and pass it on; returns how many notifications were passed on.

        Raises:
            Malformed: the body is not a collection of notifications.
            StoreUnavailable: it could not be stored, or only in part. Graph should send it again.
            SourceUnreachable: Entra's keys are missing, so its tokens cannot be verified. Graph should send it again.
        """
        post = parse(body, self._max_items)
        dropped: Counter[str] = Counter(unreadable=post.unreadable)
        known = await self._known(route_id, post.items, dropped)
        if known:
            try:
                with spans.VERIFY.within() as span:
                    span.note("relay.tokens", len(post.tokens))
                    vouched = await self._validation.tenants(post.tokens)
            except NotValid as error:
                dropped[f"token_{error.reason}"] += len(known)
                known = []
            else:
                known = _vouched(known, vouched, dropped, tokens=bool(post.tokens))
        await self._pass_on(known)
        self._count(dropped)
        metrics.PASSED.add(len(known))
        return len(known)

    async def _known(self, route_id: str, items: Sequence[Item], dropped: Counter[str]) -> list[tuple[Item, Route]]:
        """Return the items with the client state of one of our subscriptions, each with its route."""
        here = await self._routes.of(route_id)
        if here is None:
            dropped["route"] += len(items)
            return []
        known = []
        for item in items:
            if _trouble(item, here):
                route, trouble = _best(item, await self._routes.of_tenant(item.tenant_id))
                if route is None:
                    dropped[trouble] += 1
                    continue
            else:
                route = here
            known.append((item, route))
        return known

    async def _pass_on(self, known: Sequence[tuple[Item, Route]]) -> None:
        by_tenant: defaultdict[TenantId, list[tuple[Item, Route]]] = defaultdict(list)
        for item, route in known:
            by_tenant[route.tenant_id].append((item, route))
        told = [self._tell(own) for own in by_tenant.values()]
        if len(told) == 1:
            await told[0]
            return
        for outcome in await asyncio.gather(*told, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _tell(self, own: Sequence[tuple[Item, Route]]) -> None:
        """Append the notifications of one tenant to its inbox."""
        with spans.PASS_ON.within() as span:
            span.note("relay.notifications", len(own))
            await pipes.append_hints(self._store, *_hints(own, span.carried))

    def _count(self, dropped: Mapping[str, int]) -> None:
        now = time.monotonic()
        for reason, count in dropped.items():
            if not count:
                continue
            metrics.DROPPED.add(count, reason)
            # There are few reasons, and each is logged once a minute, regardless of the number of requests.
            if now - self._complained.get(reason, -_COMPLAIN_EVERY_S) >= _COMPLAIN_EVERY_S:
                self._complained[reason] = now
                log.warning("notifications_dropped", reason=reason, hint=_ADVICE.get(reason, ""))


def _trouble(item: Item, route: Route) -> str:
    """Return the reason why an item is not of a route's subscription; empty if it is."""
    if item.tenant_id != route.tenant_id:
        return "subscription"
    # Graph may notify before its answer with the subscription's id has arrived.
    if route.subscription_id and item.subscription_id != route.subscription_id:
        return "subscription"
    same = hmac.compare_digest(item.client_state.encode(errors="replace"), route.client_state.encode())
    return "" if same else "client_state"


def _best(item: Item, routes: Sequence[Route]) -> tuple[Route | None, str]:
    """Return the route of an item that arrived at another route: Graph may put items of several subscriptions into one POST."""
    troubles = [_trouble(item, route) for route in routes]
    if "" in troubles:
        return routes[troubles.index("")], ""
    return None, "client_state" if "client_state" in troubles else "subscription"


def _vouched(
    known: list[tuple[Item, Route]], vouched: frozenset[TenantId], dropped: Counter[str], *, tokens: bool
) -> list[tuple[Item, Route]]:
    """Return the items whose tenant is proven by a token. Lifecycle notifications have no tokens."""
    kept = [(item, route) for item, route in known if item.tenant_id in vouched or (item.is_lifecycle and not tokens)]
    dropped["token_missing"] += len(known) - len(kept)
    return kept


def _hints(known: Sequence[tuple[Item, Route]], trace: bytes) -> list[hints.Hint]:
    """Return the hints for the worker of these items' tenant, which continues the trace."""
    by_route: defaultdict[str, list[bytes]] = defaultdict(list)
    troubled: dict[str, None] = {}
    for item, route in known:
        if item.is_lifecycle:
            troubled[route.route_id] = None
        else:
            by_route[route.route_id].append(item.raw)
    tenant_id = known[0][1].tenant_id
    found: list[hints.Hint] = [hints.Reauthorize(tenant_id, route_id) for route_id in troubled]
    for route_id, raws in by_route.items():
        starts = range(0, len(raws), ITEMS_PER_HINT)
        found += [hints.Notified(tenant_id, route_id, tuple(raws[n : n + ITEMS_PER_HINT]), trace) for n in starts]
    return found


_ADVICE: Final = {
    "token_audience": "they are for another application: compare RELAY_CLOUD_CLIENT_ID with the workers'",
    "token_issuer": "they are of another cloud's Entra: compare RELAY_CLOUD with the workers'",
    "token_time": "compare this machine's clock with others",
}
