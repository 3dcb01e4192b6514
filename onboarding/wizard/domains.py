"""Lookups of the tenant of a domain at Microsoft: limited concurrency, a bounded queue, and a cache of answers.

Every submitted form causes a lookup, so without a limit a flood of made-up domains would make Microsoft throttle the relay's
address. An operator's invitation already names its tenant and needs no lookup, so it works during a flood.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from relay.errors import SourceUnreachable
from relay.graph.presence.organisation import tenant_of

if TYPE_CHECKING:
    from relay.core.presence import TenantId
    from relay.graph.client import GraphClient


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainLimits:
    """Limits of the look-ups in each process.

    Attributes:
        at_once: look-ups in progress. One takes some 100 ms, so 4 are some 40 a second.
        waiting: look-ups queued or in progress; about 2 s of waiting. Beyond, a form is answered at once with "try again".
        kept: cached answers, some 200 bytes each; the oldest are dropped first.
        life: the lifetime of a cached answer. A domain that was just added to a tenant is found after that.
    """

    at_once: int = 4
    waiting: int = 100
    kept: int = 10_000
    life: timedelta = timedelta(minutes=5)


DEFAULT_LIMITS: Final = DomainLimits()


class Domains:
    """Looks up tenants of domains at Microsoft."""

    def __init__(self, client: GraphClient, limits: DomainLimits = DEFAULT_LIMITS) -> None:
        self._client = client
        self._limits = limits
        self._turns = asyncio.Semaphore(limits.at_once)
        self._waiting = 0
        self._known: OrderedDict[str, tuple[float, TenantId | None]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    async def tenant_of(self, domain: str) -> TenantId | None:
        """Return the tenant of a domain; None when Microsoft knows none.

        Raises:
            Retryable: Microsoft did not answer, or the queue is full.
        """
        found = self._kept(domain)
        if found is not None:
            return found[1]
        if self._waiting >= self._limits.waiting:
            raise SourceUnreachable("Too many domains are being looked up")
        self._waiting += 1
        try:
            async with self._turns:
                # An earlier lookup in the queue may have been for the same domain.
                found = self._kept(domain) or (time.monotonic(), await tenant_of(self._client, domain))
        finally:
            self._waiting -= 1
        self._known[domain] = found
        if len(self._known) > self._limits.kept:
            self._known.popitem(last=False)
        return found[1]

    def _kept(self, domain: str) -> tuple[float, TenantId | None] | None:
        found = self._known.get(domain)
        if found is not None and time.monotonic() - found[0] < self._limits.life.total_seconds():
            return found
        self._known.pop(domain, None)
        return None
