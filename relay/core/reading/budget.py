"""The request budget of one tenant: Graph's limit, the rest of it, and the shortest polling interval that it allows.

Graph allows 1,500 presence requests in 30 s for an application in a tenant
(https://learn.microsoft.com/graph/throttling-limits), and does not document whether a bulk read counts as one request or as
one for each id; both are settings here. Each request that Graph refuses counts too.

The budget keeps the times of the requests of the last window. A bucket that refills would waste requests: one of size B
that never exceeds the limit in *any* window may refill only (limit - B) a window, and for a bulk read counted as 650
that would leave half of the rate unused. The limit bounds the number of kept times.

A 429 stops all requests until `Retry-After`, and for at least as long as a 429 without one. It also doubles the window,
at most once in a window; each window without another 429 takes back a part of that. The window grows and the limit
stays, so that one full page is always affordable.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from relay.core.pausing import pause_s


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettings:
    """Graph's limit, and the part of it that the relay uses.

    Attributes:
        limit: requests that Graph allows in a window.
        window_s: length of Graph's window in seconds.
        headroom: share of the limit left unused, for other programs that read with the same application (a probe, an
            older version during an upgrade) and because Graph counts by its own clock.
        count_ids: whether a bulk read counts as one request for each id.
        max_slow_down: longest window, as a multiple of Graph's.
        poll_share: share of the rate that the regular interval may use; the rest is for new users and dirty ones.
    """

    limit: int = 1500
    window_s: float = 30.0
    headroom: float = 0.1
    count_ids: bool = False
    max_slow_down: float = 16.0
    poll_share: float = 0.8

    @property
    def allowed(self) -> int:
        """The most requests that the relay spends in one window."""
        return max(1, math.floor(self.limit * (1 - self.headroom)))


class RequestBudget:
    """The request budget of one tenant; pure: every method takes `now`, in seconds of one monotonic clock.

    No window of `window_s` gets more than `allowed`, whatever the slow-downs and recoveries. Only one process may use
    it: a tenant has one owner.
    """

    __slots__ = (
        "_blocked_until",
        "_doubled_at",
        "_refusals",
        "_settings",
        "_slow_down",
        "_slowed_at",
        "_spent",
        "_used",
    )

    def __init__(self, settings: BudgetSettings | None = None) -> None:
        self._settings = settings or BudgetSettings()
        self._spent: deque[tuple[float, int]] = deque()
        self._used = 0
        self._blocked_until = -math.inf
        self._slow_down = 1.0
        self._slowed_at = -math.inf
        self._doubled_at = -math.inf
        self._refusals = 0

    def cost(self, ids: int) -> int:
        """Return the cost of one bulk read of `ids` users."""
        return max(1, ids) if self._settings.count_ids else 1

    def take(self, cost: int, now: float) -> float:
        """Spend `cost` and return 0, or spend nothing and return the seconds after which to try again.

        A cost above `allowed` counts as `allowed`: it waits for an empty window.
        """
        self._recover(now)
        if now < self._blocked_until:
            return self._blocked_until - now
        self._forget(now)
        cost = min(cost, self._settings.allowed)
        wait = self._wait(cost, now)
        if wait <= 0:
            self._spent.append((now, cost))
            self._used += cost
        return wait

    def throttled(self, now: float, retry_after: float | None = None) -> float:
        """Note a 429; return the time until which all requests wait.

        The wait doubles from 2 s with each refusal in a row, and `retry_after` can only make it longer. Refusals that
        arrive during the wait belong to one burst and count once. Several refusals in one of Graph's windows slow down
        once.
        """
        self._recover(now)
        if now >= self._blocked_until:
            self._refusals += 1
        if now >= self._doubled_at + self._settings.window_s:
            self._doubled_at = now
            self._slow_down = min(self._settings.max_slow_down, self._slow_down * 2)
        self._slowed_at = now
        self._blocked_until = max(self._blocked_until, now + pause_s(self._refusals, retry_after))
        return self._blocked_until

    def answered(self) -> None:
        """Note that Graph answered a request: the count of refusals in a row starts again."""
        self._refusals = 0

    def left(self, now: float) -> float:
        """Return the share of the budget that is left in the present window, 0 to 1; 0 during a wait that Graph requested."""
        self._recover(now)
        self._forget(now)
        return 0.0 if now < self._blocked_until else 1 - self._used / self._settings.allowed

    def blocked_until(self) -> float:
        """Return the end of the wait that Graph requested; a time in the past without one."""
        return self._blocked_until

    def resume(self, slow_down: float, blocked_until: float, now: float) -> None:
        """Continue with the slow-down and wait of an earlier owner."""
        self._slow_down = min(self._settings.max_slow_down, max(1.0, slow_down))
        self._slowed_at = now
        self._blocked_until = max(self._blocked_until, blocked_until)

    def slow_down(self, now: float) -> float:
        """Return how many times slower than Graph's limit this tenant is read; 1 without trouble."""
        self._recover(now)
        return self._slow_down

    def interval_for(self, pages: int, ids: int, base: float, now: float) -> float:
        """Return the interval in seconds at which `pages` bulk reads of `ids` users in total can be repeated evenly.

        It is at least `base`, and longer if limit and slow-down require it.
        """
        return base * self.stretch([(pages, ids, base)], now)

    def stretch(self, rounds: Iterable[tuple[int, int, float]], now: float) -> float:
        """Return the factor by which all intervals must grow so that all rounds can be repeated evenly; at least 1.

        Args:
            rounds: for each round: number of bulk reads, number of users, desired interval in seconds.
            now: the present.
        """
        self._recover(now)
        return max(1.0, sum(self._share(pages, ids, interval) for pages, ids, interval in rounds))

    def _share(self, pages: int, ids: int, interval: float) -> float:
        """Return the share of the usable rate that a round takes."""
        if pages <= 0:
            return 0.0
        page_cost = min(self.cost(math.ceil(ids / pages)), self._settings.allowed)
        pages_per_window = self._settings.allowed // page_cost * self._settings.poll_share
        return pages / pages_per_window * self._window() / interval

    def _window(self) -> float:
        return self._settings.window_s * self._slow_down

    def _wait(self, cost: int, now: float) -> float:
        free = self._settings.allowed - self._used
        if free >= cost:
            return 0.0
        for at, spent in self._spent:
            free += spent
            if free >= cost:
                return max(at + self._window() - now, _LEAST_WAIT_S)
        return self._window()

    def _forget(self, now: float) -> None:
        # "<=": a request of exactly one window ago is outside the window that ends now.
        while self._spent and self._spent[0][0] + self._window() <= now:
            self._used -= self._spent.popleft()[1]

    def _recover(self, now: float) -> None:
        """Take back a quarter of the slow-down for each window since the last 429 or the last step."""
        if self._slow_down <= 1.0:
            return
        since = max(self._slowed_at, self._blocked_until)
        steps = math.floor((now - since) / self._settings.window_s)
        if steps <= 0:
            return
        self._slowed_at = since + steps * self._settings.window_s
        slowed = self._slow_down * 0.75 ** min(steps, 64)
        # Below this the rest is not worth another window: the limit has its headroom.
        self._slow_down = slowed if slowed > 1.05 else 1.0


_LEAST_WAIT_S: Final = 0.001
"""A wait is never rounded to nothing: the caller would spin."""
