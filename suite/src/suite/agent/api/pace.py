"""Rate limits: a burst, then one in each interval. Pure: the time is an argument."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

LOOPBACK: Final = "loopback"
"""The network of all programs on this machine."""
MOST_NETWORKS: Final = 4096
"""Limit of networks whose pace is kept. The one unused for longest is dropped."""


class Pace:
    """A rate limit: a burst of `at_once`, and then one every `every_s` seconds."""

    __slots__ = ("_at_once_s", "_every_s", "_paid_until")

    def __init__(self, at_once: int, every_s: float) -> None:
        self._every_s = every_s
        self._at_once_s = at_once * every_s
        self._paid_until = 0.0

    def take(self, now: float, count: float = 1) -> float:
        """Take one or several turns, and return the seconds until they may be used: 0.0 means at once."""
        self._paid_until = max(self._paid_until, now) + count * self._every_s
        return max(0.0, self._paid_until - now - self._at_once_s)

    def may(self, now: float) -> bool:
        """Take a turn and return True if one is available now. A refusal takes none."""
        if max(self._paid_until, now) + self._every_s - now > self._at_once_s:
            return False
        self.take(now)
        return True


class PaceByNetwork:
    """A pace for each network: an IPv4 address, or the first 64 bits of an IPv6 address. Bounded in memory."""

    def __init__(self, at_once: int, every_s: float) -> None:
        self._at_once, self._every_s = at_once, every_s
        self._paces: OrderedDict[str, Pace] = OrderedDict()

    def of(self, address: str) -> Pace:
        """Return the pace of the address's network."""
        return self.of_network(network_of(address))

    def of_network(self, network: str) -> Pace:
        """Return the pace of a network from `network_of`."""
        pace = self._paces.get(network)
        if pace is None:
            pace = self._paces[network] = Pace(self._at_once, self._every_s)
            if len(self._paces) > MOST_NETWORKS:
                self._paces.popitem(last=False)
        self._paces.move_to_end(network)
        return pace

    def __len__(self) -> int:
        return len(self._paces)


def network_of(address: str) -> str:
    """Return the network that stands for a machine: an IPv4 address, 64 bits of an IPv6 address, or `LOOPBACK`."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if parsed.is_loopback:
        return LOOPBACK
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
