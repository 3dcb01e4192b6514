"""How often one address may ask. Counted in this process and nowhere else.

Not in Redis: a flood must not reach it, and addresses are personal data that then need not be kept. With N replicas an
address gets up to N times as far, which is still nothing.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onboarding.settings import Pace


@dataclass(slots=True)
class _Count:
    began: float
    requests: int = 0
    starts: int = 0


class Pacer:
    """Counts in fixed windows; bounded by the number of addresses."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._window_s = pace.window.total_seconds()
        self._counts: OrderedDict[str, _Count] = OrderedDict()
        self._starts = _Count(0.0)

    def admits(self, address: str, now: float) -> bool:
        """Count a request; whether it may go on."""
        count = self._count(address, now)
        count.requests += 1
        return count.requests <= self._pace.requests

    def admits_start(self, address: str, now: float) -> bool:
        """Count a form sent; whether it may go on."""
        count, everybody = self._count(address, now), self._fresh(self._starts, now)
        count.starts += 1
        if count.starts > self._pace.starts:
            return False
        # Only those that go on count for all: one address alone cannot shut everybody out.
        everybody.starts += 1
        return everybody.starts <= self._pace.all_starts

    def _count(self, address: str, now: float) -> _Count:
        key = _network(address)
        count = self._counts.setdefault(key, _Count(now))
        self._counts.move_to_end(key)
        if len(self._counts) > self._pace.addresses:
            self._counts.popitem(last=False)
        return self._fresh(count, now)

    def _fresh(self, count: _Count, now: float) -> _Count:
        if now - count.began >= self._window_s:
            count.began, count.requests, count.starts = now, 0, 0
        return count


def _network(address: str) -> str:
    """What one customer has: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
