"""The limit on presence requests: so many per application, tenant and window."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from emulator.graph.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.switches import Switches


class Throttle:
    """Counts in fixed windows, one for each application and tenant, begun by its first request.

    Requests that are refused count as well, as Microsoft says, so that a caller who does not wait stays throttled.
    """

    def __init__(self, switches: Callable[[], Switches]) -> None:
        self._switches = switches
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def count(self, app_id: str, tenant_id: str, cost: int = 1) -> None:
        """Count a request.

        Raises:
            GraphError: 429, with the rest of the window as `Retry-After`.
        """
        switches, now, key = self._switches(), time.monotonic(), (app_id, tenant_id)
        end, used = self._windows.get(key, (0.0, 0))
        if now >= end:
            end, used = now + switches.presence_window_s, 0
        self._windows[key] = (end, used + cost)
        if used + cost > switches.presence_limit:
            wait_s = max(1, math.ceil(end - now))
            raise GraphError(429, "TooManyRequests", "Please retry again later.", retry_after_s=wait_s)

    def reset(self) -> None:
        """Forget all counts."""
        self._windows.clear()
