"""Paces: so many at once, then one every so often. Pure: the time is given."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

LOOPBACK: Final = "loopback"
"""The network of all programs of this machine."""
MOST_NETWORKS: Final = 4096
"""Networks whose pace is remembered. The one that was seen longest ago is forgotten first."""


class Pace:
    """One pace: `at_once` without waiting, and then one every `every_s`."""

    __slots__ = ("_at_once_s", "_every_s", "_paid_until")

    def __init__(self, at_once: int, every_s: float) -> None:
        self._every_s = every_s
        self._at_once_s = at_once * every_s
        self._paid_until = 0.0

    def take(self, now: float, count: float = 1) -> float:
        """Take a turn, or several, and return the seconds until it may be used: 0.0 means at once."""
        self._paid_until = max(self._paid_until, now) + count * self._every_s
        return max(0.0, self._paid_until - now - self._at_once_s)

    def may(self, now: float) -> bool:
        """Take a turn if there is one now; a refusal costs nothing."""
        if max(self._paid_until, now) + self._every_s - now > self._at_once_s:
            return False
        self.take(now)
        return True


class PaceByNetwork:
    """A pace for each network: an IPv4 address, or 64 bits of an IPv6 one. Bounded in memory."""

    def __init__(self, at_once: int, every_s: float) -> None:
        self._at_once, self._every_s = at_once, every_s
        self._paces: OrderedDict[str, Pace] = OrderedDict()

    def of(self, address: str) -> Pace:
        """Return the pace of the address's network."""
        return self.of_network(network_of(address))

    def of_network(self, network: str) -> Pace:
        """Return the pace of a network, as `network_of` names it."""
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
    """Return the network of one machine: an IPv4 address, 64 bits of an IPv6 address, or `LOOPBACK`."""
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
