"""How often one network may ask. Counted in this process and nowhere else.

Not in Redis: a flood must not reach it, and addresses are personal data that then need not be kept. With N replicas a
network gets up to N times as far, which is still nothing.

Requests are counted when they arrive, before anything is done for them. Forms are counted when their token was looked at, apart
for what they begin: sign-ins go on while sign-ups are flooded. Nothing is counted for all networks together, because whoever used
that up would lock everybody out; what a flood from many networks leaves in Redis is bounded by `Rooms`.
"""

from __future__ import annotations

import enum
import ipaddress
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from onboarding.problems import Stopped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.requests import Request

    from onboarding.settings import Pace

_NETWORK_BITS: Final = 64  # what one customer has at the least
_BLOCK_BITS: Final = 48  # and at the most
_MAX_ADDRESS_CHARS: Final = 64


class Budget(enum.Enum):
    """What is counted apart."""

    REQUEST = enum.auto()
    SIGN_UP = enum.auto()
    SIGN_IN = enum.auto()
    CHANGE = enum.auto()
    """A form of a tenant's page."""


@dataclass(slots=True)
class _Count:
    began: float
    used: dict[Budget, int] = field(default_factory=dict)


class Pacer:
    """Counts in fixed windows; bounded by the number of networks."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._window_s = pace.window.total_seconds()
        self._counts: OrderedDict[str, _Count] = OrderedDict()
        self._limits: Mapping[Budget, int] = {
            Budget.REQUEST: pace.requests,
            Budget.SIGN_UP: pace.sign_ups,
            Budget.SIGN_IN: pace.sign_ins,
            Budget.CHANGE: pace.changes,
        }

    def __len__(self) -> int:
        return len(self._counts)

    def admits(self, address: str, now: float, budget: Budget = Budget.REQUEST) -> bool:
        """Count a request or a form; whether it may go on. One that a network's limit stops does not count for its block."""
        return all(
            self._counted(key, now, budget) <= times * self._limits[budget] for key, times in self._keys(address)
        )

    def demand(self, request: Request, budget: Budget) -> None:
        """Count a form of ours.

        Raises:
            Stopped: there were too many.
        """
        address = request.client.host if request.client is not None else ""
        if not self.admits(address, time.monotonic(), budget):
            raise Stopped("too_fast", retry_after_s=int(self._window_s))

    def _keys(self, address: str) -> Iterator[tuple[str, int]]:
        """What an address is counted under, and how many times as much that may: the smallest first."""
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
            for bits, times in ((_NETWORK_BITS, 1), (_BLOCK_BITS, self._pace.block)):
                yield str(ipaddress.ip_network((parsed.packed, bits), strict=False)), times

    def _counted(self, key: str, now: float, budget: Budget) -> int:
        count = self._counts.setdefault(key, _Count(now))
        self._counts.move_to_end(key)
        if len(self._counts) > self._pace.networks:
            self._counts.popitem(last=False)
        if now - count.began >= self._window_s:
            count.began, count.used = now, {}
        used = count.used[budget] = count.used.get(budget, 0) + 1
        return used


def demand(request: Request, budget: Budget) -> None:
    """Count a form of ours; see `Pacer.demand`. To be called once its token was looked at, and before Redis is asked."""
    pacer: Pacer = request.app.state.pacer
    pacer.demand(request, budget)
