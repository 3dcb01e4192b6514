"""All tenants for a list with a search: only their records and the last reports of their workers.

The list is read as a whole, because a search needs all tenants: some thirty round trips for 5,000 tenants. It is cached
for a few seconds, so that typing and paging do not read it again. `standing.standings` reads the other data of a page,
only for its tenants.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from relay.core.consent.tenant import TenantState
from relay.core.names import folded
from relay.core.presence import Status
from relay.diagnosis.standing import in_order
from relay.store.presence.contacts import contacts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from relay.store.custody.tenants import Tenant
    from relay.store.presence.entries import TenantContact
    from relay.store.server.connection import Store

_LEAST_KEPT_S: Final = 1.0
_COST_SHARE: Final = 5
"""A list is cached for this many times its read time, so that it takes at most a fifth of a core."""
_BEATS_MISSED: Final = 3
_GRACE_MS: Final = 5_000


class Choice(enum.StrEnum):
    """A part of the list."""

    ATTENTION = "attention"
    """The tenants that need an action."""
    PENDING = "pending"
    CONSENT_REQUIRED = "consent-required"
    SUSPENDED = "suspended"
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class TenantLine:
    """One tenant, and its worker's last report; None when no worker has read it."""

    tenant: Tenant
    contact: TenantContact | None

    def choices(self, now_ms: int) -> frozenset[Choice]:
        """Return the parts of the list that the tenant is in."""
        found = {Choice(self.tenant.state.value)} if self.tenant.state is not TenantState.REMOVED else set()
        if self.needs_attention(now_ms):
            found.add(Choice.ATTENTION)
        return frozenset(found)

    def needs_attention(self, now_ms: int) -> bool:
        """Return whether the operator or the tenant must act."""
        if self.tenant.state in (TenantState.PENDING, TenantState.CONSENT_REQUIRED):
            return True
        if self.tenant.state is not TenantState.ACTIVE:
            return False
        return self.contact is None or self.contact.status is not Status.NONE or is_silent(self.contact, now_ms)

    def mentions(self, text: str) -> bool:
        """Return whether id, domain or name contains this case-folded text."""
        tenant = self.tenant
        return text in tenant.tenant_id or text in folded(tenant.domain) or text in folded(tenant.name)


@dataclass(frozen=True, slots=True)
class FoundTenants:
    """The result of a search: the lines of one page, the total, and the size of each part before the choice of one."""

    lines: Sequence[TenantLine]
    total: int
    everything: int
    counts: Mapping[Choice, int]


@dataclass(frozen=True, slots=True)
class TenantList:
    """All tenants, first those that need an action, as of one read."""

    lines: Sequence[TenantLine]
    at: datetime

    def find(self, text: str, choice: Choice | None, first: int, limit: int) -> FoundTenants:
        """Return a page of the tenants whose id, domain or name contains a text.

        Args:
            text: any text; empty: all tenants.
            choice: a part of the list; None: all.
            first: number of tenants before the page.
            limit: number of tenants on the page.
        """
        now_ms, text = int(self.at.timestamp() * 1000), folded(text.strip())
        named = [line for line in self.lines if line.mentions(text)] if text else list(self.lines)
        parts = [line.choices(now_ms) for line in named]
        counts = Counter(one for part in parts for one in part)
        rows = [line for line, part in zip(named, parts, strict=True) if choice is None or choice in part]
        return FoundTenants(rows[first : first + limit], len(rows), len(named), counts)


def is_silent(contact: TenantContact, now_ms: int) -> bool:
    """Return whether the worker has missed its heartbeats of `beat_ms`, so that no worker reads the tenant."""
    if not contact.beat_ms or not contact.said_ms:
        return False
    return now_ms - contact.said_ms > _BEATS_MISSED * contact.beat_ms + _GRACE_MS


async def read(store: Store) -> TenantList:
    """Read all tenants. Not a consistent snapshot."""
    tenants = await in_order(store)
    contacts = await contacts_of(store, [tenant.tenant_id for tenant in tenants])
    return TenantList([TenantLine(tenant, contacts.get(tenant.tenant_id)) for tenant in tenants], datetime.now(UTC))


@dataclass(slots=True)
class TenantLists:
    """A cache of the list, read again when it is older than a second and than five times its read time."""

    store: Store
    _kept: TenantList | None = None
    _read_at: float = float("-inf")
    _cost_s: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self) -> TenantList:
        """Return the list."""
        async with self._lock:
            if self._kept is None or time.monotonic() - self._read_at > max(_LEAST_KEPT_S, _COST_SHARE * self._cost_s):
                began = time.monotonic()
                self._kept = await read(self.store)
                self._read_at = time.monotonic()
                self._cost_s = self._read_at - began
            return self._kept

    def forget(self) -> None:
        """Make the next call read the list again, because a tenant was just changed."""
        self._read_at = float("-inf")
