"""Limits on the requests of one network, counted in this process only.

Not in Redis: a flood must not reach it, and addresses are personal data, which need not be stored this way. With N replicas
a network may send up to N times as many requests, which still does no harm.

Requests are counted on arrival, before any work. Forms are counted after their token was checked, separately by kind: sign-ins
continue while sign-ups are flooded. No count is shared by all networks, because one network could use it up and lock out all
others. `Quotas` bounds the flows and sessions that a flood from many networks leaves in Redis.
"""

from __future__ import annotations

import enum
import ipaddress
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pages.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.requests import Request

    from pages.settings import RateLimits

_NETWORK_BITS: Final = 64  # the smallest IPv6 network that a customer gets
_BLOCK_BITS: Final = 48  # the largest
_MAX_ADDRESS_CHARS: Final = 64


class RequestKind(enum.Enum):
    """The kinds of requests; each has a separate limit."""

    REQUEST = enum.auto()
    """Any request."""
    SIGN_UP = enum.auto()
    SIGN_IN = enum.auto()
    CHANGE = enum.auto()
    """A form of a tenant's page."""


@dataclass(slots=True)
class _Count:
    began: float
    used: dict[RequestKind, int] = field(default_factory=dict)


class RateLimiter:
    """Counts requests of each network in fixed windows; its memory is bounded by the number of networks."""

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._window_s = limits.window.total_seconds()
        self._counts: OrderedDict[str, _Count] = OrderedDict()
        self._allowed: Mapping[RequestKind, int] = {
            RequestKind.REQUEST: limits.requests,
            RequestKind.SIGN_UP: limits.sign_ups,
            RequestKind.SIGN_IN: limits.sign_ins,
            RequestKind.CHANGE: limits.changes,
        }

    def __len__(self) -> int:
        return len(self._counts)

    def allows(self, address: str, now: float, kind: RequestKind = RequestKind.REQUEST) -> bool:
        """Count a request and return whether it is within the limit.

        A request that exceeds the limit of its network does not count for the block of networks around it.
        """
        return all(self._counted(key, now, kind) <= times * self._allowed[kind] for key, times in self._keys(address))

    def count(self, request: Request, kind: RequestKind) -> None:
        """Count a form.

        Raises:
            ProblemError: there were too many.
        """
        address = request.client.host if request.client is not None else ""
        if not self.allows(address, time.monotonic(), kind):
            raise ProblemError("too_fast", retry_after_s=int(self._window_s))

    def _keys(self, address: str) -> Iterator[tuple[str, int]]:
        """Yield (network, multiple of the limit) for each network that an address is counted under, smallest first."""
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            yield address[:_MAX_ADDRESS_CHARS], 1
            return
        if isinstance(parsed, ipaddress.IPv4Address):
            yield str(parsed), 1
        elif parsed.ipv4_mapped is not None:
            yield str(parsed.ipv4_mapped), 1
        else:
            for bits, times in ((_NETWORK_BITS, 1), (_BLOCK_BITS, self._limits.block)):
                yield str(ipaddress.ip_network((parsed.packed, bits), strict=False)), times

    def _counted(self, key: str, now: float, kind: RequestKind) -> int:
        count = self._counts.setdefault(key, _Count(now))
        self._counts.move_to_end(key)
        if len(self._counts) > self._limits.networks:
            self._counts.popitem(last=False)
        if now - count.began >= self._window_s:
            count.began, count.used = now, {}
        used = count.used[kind] = count.used.get(kind, 0) + 1
        return used


def count_request(request: Request, kind: RequestKind) -> None:
    """Count a form; see `RateLimiter.count`. Call it after the form's token was checked, before the first request to Redis."""
    limiter: RateLimiter = request.app.state.rate_limiter
    limiter.count(request, kind)
