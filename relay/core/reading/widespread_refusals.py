"""Distinguishes a refusal by Graph of one tenant from an outage in which many tenants are refused. (Pure.)"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

from relay.core.presence import TenantId

FEWEST: Final = 3
"""If fewer tenants are refused at the same time, each may have a separate reason."""
SHARE: Final = 0.2
"""If this share of the recently read tenants is refused at the same time, they have a common reason."""
LATELY: Final = timedelta(minutes=5)
"""Time for which a reply counts. Tenants are read every few seconds, and refused ones every minute."""


class WidespreadRefusals:
    """Graph's last reply to each tenant of this process: an answer, or a refusal of a token that Entra had just issued."""

    def __init__(self) -> None:
        self._last: OrderedDict[TenantId, tuple[datetime, bool]] = OrderedDict()  # oldest first

    def note(self, tenant_id: TenantId, now: datetime, *, is_refused: bool) -> None:
        """Note that Graph answered a tenant, or refused it."""
        self._last[tenant_id] = now, is_refused
        self._last.move_to_end(tenant_id)
        while self._last and next(iter(self._last.values()))[0] < now - LATELY:
            self._last.popitem(last=False)

    def is_widespread(self) -> bool:
        """Return whether so many tenants are refused that no single tenant is the cause."""
        refused = sum(is_refused for _, is_refused in self._last.values())
        return refused >= FEWEST and refused >= SHARE * len(self._last)
