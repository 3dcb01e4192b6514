"""Graph's limits: on all requests, on presence, and on directory requests, which cost resource units.

https://learn.microsoft.com/graph/throttling and https://learn.microsoft.com/graph/throttling-limits
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from emulator.graph.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.switches import Switches

ALL_WINDOW_S: Final = 10.0
"""The window of the limit on all requests of an application."""

UNITS_BY_SIZE: Final = ((50, 3_500), (501, 5_000))
"""Resource units per 10 s of an application in a tenant with fewer people than this."""
UNITS_OF_LARGE: Final = 8_000
UNITS_WINDOW_S: Final = 10.0
_APPLICATION_UNITS: Final = (150_000, 20.0)
"""Resource units, and the window in seconds, of an application in all tenants together."""
_WARNED_FROM: Final = 0.8
_DEEPEST: Final = 0.8
"""Maximum counted use of an application, as a multiple of its limit: the reported percentage ends at 1.8."""
_SLOTS: Final = 100
"""Number of steps of a sliding window."""

Headers = list[tuple[bytes, bytes]]


class Throttle:
    """Counts requests against all limits that apply. `clock` returns a time in seconds, from any origin."""

    def __init__(self, switches: Callable[[], Switches], clock: Callable[[], float] = time.monotonic) -> None:
        self._switches = switches
        self._clock = clock
        self._all: dict[str, _Fixed] = {}
        self._presence: dict[tuple[str, str], _Fixed | _Sliding] = {}
        self._units: dict[tuple[str, str], _Bucket] = {}

    def count(self, app_id: str) -> None:
        """Count a request of any kind.

        Raises:
            GraphError: 429.
        """
        limit = self._switches().global_limit
        window = self._all.setdefault(app_id, _Fixed())
        self._demand(window.use(self._clock(), ALL_WINDOW_S, limit, 1, keep_counting=self._counting))

    def count_presence(self, app_id: str, tenant_id: str, cost: int = 1) -> None:
        """Count a request for presence.

        Raises:
            GraphError: 429.
        """
        switches, key = self._switches(), (app_id, tenant_id)
        kind = _Sliding if switches.presence_window == "sliding" else _Fixed
        window = self._presence.get(key)
        if not isinstance(window, kind):
            window = self._presence[key] = kind()
        wait_s = window.use(
            self._clock(), switches.presence_window_s, switches.presence_limit, cost, keep_counting=self._counting
        )
        self._demand(wait_s)

    def count_units(self, app_id: str, tenant_id: str, cost: int, people: int) -> Headers:
        """Count a request to the directory, in resource units; return the headers that report them.

        Args:
            app_id: the application.
            tenant_id: the tenant.
            cost: resource units.
            people: number of people of the tenant; larger tenants have more units.

        Raises:
            GraphError: 429, with headers that name the exhausted limit.
        """
        now, own = self._clock(), self._switches().resource_units
        quota = own or next((units for size, units in UNITS_BY_SIZE if people < size), UNITS_OF_LARGE)
        scopes = (
            ("Tenant_Application", (app_id, tenant_id), quota, UNITS_WINDOW_S),
            ("Application", (app_id, ""), *_APPLICATION_UNITS),
        )
        headers: Headers = [(b"x-ms-resource-unit", str(cost).encode())]
        used = 0.0
        for scope, key, units, window_s in scopes:
            bucket = self._units.setdefault(key, _Bucket(now))
            wait_s = bucket.use(now, units, window_s, cost, keep_counting=self._counting)
            if wait_s:
                named = f"{scope}/ReadWrite/{app_id}/{tenant_id if key[1] else app_id}"
                headers.append((b"x-ms-throttle-scope", named.encode()))
                headers.append((b"x-ms-throttle-information", b"ResourceUnitLimitExceeded"))
                self._demand(wait_s, headers)
            used = max(used, bucket.used / units)
        if used > _WARNED_FROM:
            headers.append((b"x-ms-throttle-limit-percentage", f"{min(used, 1 + _DEEPEST):.2g}".encode()))
        return headers

    def reset(self) -> None:
        """Reset the counts of all windows."""
        self._all.clear()
        self._presence.clear()
        self._units.clear()

    @property
    def _counting(self) -> bool:
        return self._switches().throttled_requests_count

    def _demand(self, wait_s: float, headers: Headers | None = None) -> None:
        """Refuse a request that must wait."""
        if not wait_s:
            return
        told = max(1, math.ceil(wait_s)) if self._switches().retry_after else None
        error = GraphError(429, "TooManyRequests", "Please retry again later.", retry_after_s=told)
        error.headers += headers or []
        raise error


class _Fixed:
    """A window that begins with the first request and ends after a fixed time."""

    def __init__(self) -> None:
        self._end = 0.0
        self._used = 0

    def use(self, now: float, window_s: float, limit: int, cost: int, *, keep_counting: bool) -> float:
        """Count a cost; return the seconds to wait, 0 if it is within the limit."""
        if now >= self._end:
            self._end, self._used = now + window_s, 0
        if self._used + cost <= limit:
            self._used += cost
            return 0.0
        self._used += cost if keep_counting else 0
        return self._end - now


class _Sliding:
    """A sliding window over the last seconds, in steps."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, int]] = deque()
        self._used = 0

    def use(self, now: float, window_s: float, limit: int, cost: int, *, keep_counting: bool) -> float:
        """Count a cost; return the seconds to wait if no other request comes, 0 if it is within the limit."""
        while self._steps and self._steps[0][0] <= now - window_s:
            self._used -= self._steps.popleft()[1]
        fits = self._used + cost <= limit
        if fits or keep_counting:
            self._add(now, window_s, cost)
        return 0.0 if fits else self._wait_s(now, window_s, limit, cost, counted=keep_counting)

    def _add(self, now: float, window_s: float, cost: int) -> None:
        if self._steps and now - self._steps[-1][0] < window_s / _SLOTS:
            at, before = self._steps[-1]
            self._steps[-1] = (at, before + cost)
        else:
            self._steps.append((now, cost))
        self._used += cost

    def _wait_s(self, now: float, window_s: float, limit: int, cost: int, *, counted: bool) -> float:
        left = self._used + (0 if counted else cost) - limit
        for at, spent in self._steps:
            left -= spent
            if left <= 0:
                return max(at + window_s - now, 0.001)
        return window_s


class _Bucket:
    """A quota of units that refill steadily; `used` of them are in use."""

    def __init__(self, now: float) -> None:
        self.used = 0.0
        self._at = now

    def use(self, now: float, quota: int, window_s: float, cost: int, *, keep_counting: bool) -> float:
        """Count a cost; return the seconds to wait, 0 if it is within the quota."""
        rate = quota / window_s
        self.used = max(0.0, self.used - (now - self._at) * rate)
        self._at = now
        if self.used + cost <= quota:
            self.used += cost
            return 0.0
        wait_s = (self.used + cost - quota) / rate
        if keep_counting:
            self.used = min(self.used + cost, quota * (1 + _DEEPEST))
        return wait_s
