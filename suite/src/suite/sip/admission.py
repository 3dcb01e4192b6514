"""A rate limit for each peer address. Pure: the time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


@dataclass(slots=True, kw_only=True)
class RateLimit:
    """A token bucket for each address: `per_s` tokens are added a second, up to `burst`.

    At most `addresses` buckets are kept; the one unused for longest is dropped. A new bucket is full.
    """

    per_s: float
    burst: float
    addresses: int = 4096
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    def wait_s(self, address: str, now: float, tokens: float = 1.0) -> float:
        """Take tokens and return 0; with too few, return the seconds until there are enough. More than `burst` count as `burst`."""
        tokens = min(tokens, self.burst)
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = self._buckets[address] = _Bucket(self.burst, now)
            if len(self._buckets) > self.addresses:
                self._buckets.popitem(last=False)
        else:
            bucket.left = min(self.burst, bucket.left + (now - bucket.at) * self.per_s)
            bucket.at = now
        if bucket.left >= tokens:
            bucket.left -= tokens
            self._buckets.move_to_end(address)
            return 0.0
        return (tokens - bucket.left) / self.per_s
