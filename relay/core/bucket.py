"""A token bucket that one payment may overdraw. (Pure.)

The cost of a message is known only after it was read, so it is paid then. A payment is never refused. It may leave a
debt, and the caller reads nothing more until time has paid the debt. In any span of `t` seconds, at most
`at_once + a_second * t` is spent, plus the cost of one payment.
"""

from __future__ import annotations


class TokenBucket:
    """A bucket of tokens that refills evenly. Every method takes `now`, in seconds of one monotonic clock."""

    __slots__ = ("_a_second", "_at", "_at_once", "_level")

    def __init__(self, at_once: float, a_second: float, now: float) -> None:
        """Start with a full bucket.

        Args:
            at_once: tokens in the full bucket, above 0.
            a_second: tokens that come back in a second, above 0.
            now: the present.
        """
        self._at_once = at_once
        self._a_second = a_second
        self._level = at_once
        self._at = now

    def pay(self, cost: float, now: float) -> None:
        """Take `cost` tokens, even if the bucket has fewer."""
        self._fill(now)
        self._level -= cost

    def wait(self, now: float) -> float:
        """Return seconds until the next payment may be made: 0 while there is no debt."""
        self._fill(now)
        return max(0.0, -self._level / self._a_second)

    def is_full(self, now: float) -> bool:
        """Return whether the bucket is full, like a new one."""
        self._fill(now)
        return self._level >= self._at_once

    def _fill(self, now: float) -> None:
        # A clock that stands still or goes back adds no tokens.
        self._level = min(self._at_once, self._level + max(0.0, now - self._at) * self._a_second)
        self._at = max(self._at, now)
