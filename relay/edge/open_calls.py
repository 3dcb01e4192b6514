"""How many calls each tenant has open at this edge."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from relay.errors import TooManyWatches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.core.presence import TenantId


class OpenCalls:
    """Counts the calls of each tenant.

    Attributes:
        of: tenant id -> its open calls; tenants without any are absent.
    """

    def __init__(self, limit: int) -> None:
        self.of: Counter[TenantId] = Counter()
        self._limit = limit

    @contextmanager
    def admitted(self, tenant_id: TenantId) -> Iterator[None]:
        """Count a call as long as the context lasts.

        Raises:
            TooManyWatches: the tenant has as many as it may.
        """
        if self.of[tenant_id] >= self._limit:
            raise TooManyWatches(
                f"The tenant may have {self._limit} streams open", limit=str(self._limit), per="tenant"
            )
        self.of[tenant_id] += 1
        try:
            yield
        finally:
            self.of[tenant_id] -= 1
            if not self.of[tenant_id]:
                del self.of[tenant_id]
