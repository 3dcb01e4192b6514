"""A token bucket that one payment may overdraw. (Pure.)

A message is paid for after it was read, because its cost is not known before. So a payment is never refused; it may leave a
debt, and nothing more is read until time has paid the debt. In any span of `t` seconds, at most `at_once + a_second * t` is
spent, plus the cost of one payment.
"""

from __future__ import annotations


class TokenBucket:
    """Tokens that come back evenly. Every method takes `now`, in seconds of one monotonic clock."""

    __slots__ = ("_a_second", "_at", "_at_once", "_level")

    def __init__(self, at_once: float, a_second: float, now: float) -> None:
        """Start with a full bucket.

        Args:
            at_once: tokens in it when it is full, above 0.
            a_second: how many come back, above 0.
            now: the present.
        """
        self._at_once = at_once
        self._a_second = a_second
        self._level = at_once
        self._at = now

    def pay(self, cost: float, now: float) -> None:
        """Take `cost` tokens, be they there or not."""
        self._fill(now)
        self._level -= cost

    def wait(self, now: float) -> float:
        """Seconds until somebody may be let on: 0 while there is no debt."""
        self._fill(now)
        return max(0.0, -self._level / self._a_second)

    def is_full(self, now: float) -> bool:
        """True if the bucket is as good as a new one."""
        self._fill(now)
        return self._level >= self._at_once

    def _fill(self, now: float) -> None:
        # A clock that stands still or goes back gives nothing.
        self._level = min(self._at_once, self._level + max(0.0, now - self._at) * self._a_second)
        self._at = max(self._at, now)
