"""Limits the open connections of a server, in total and for each address; the longest waiting one is closed first.

A connection *waits* while it has no complete request that is being answered: in its TLS handshake, in a head, in a
body, between two requests. Bytes that arrive slowly do not restart the wait. A new connection above a limit takes the
place of the one that has waited longest, so that idle connections do not block new clients. It is refused only if all
connections are being answered.
"""

from __future__ import annotations

import ipaddress
import resource
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PRIVATE_NETWORKS: Final = (
    *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    *("100.64.0.0/10", "::1", "fc00::/7"),
)
"""Loopback, private and shared addresses: those of load balancers, cluster nodes and neighbours."""
_SHARE_OF_DESCRIPTORS: Final = 4
"""Divisor of the process's limit of descriptors: pages, webhook, edge and Redis may share them."""


@dataclass(slots=True, eq=False)
class ConnectionSlot:
    """The place of one connection.

    Attributes:
        abort: ends the connection at once.
        network: the client's network, from `network_of`; None for a proxy with many clients.
    """

    abort: Callable[[], None]
    network: str | None


@dataclass(slots=True)
class _Network:
    """The places of one network, and its waiting connections, the longest waiting first."""

    places: int = 0
    waiting: OrderedDict[ConnectionSlot, None] = field(default_factory=OrderedDict)


class ConnectionLimiter:
    """Gives places to connections, within limits.

    Args:
        most: places in total.
        most_of_one: places of one network.
        proxies: addresses or networks whose connections only `most` limits; `*` is every client.
        refused: called with the reason when a connection is closed or refused: `crowded`, `crowded_address`.
    """

    def __init__(self, most: int, most_of_one: int, proxies: Iterable[str], refused: Callable[[str], None]) -> None:
        self._most = most
        self._most_of_one = most_of_one
        given = set(proxies)
        self._is_behind_any = "*" in given
        self._proxies = [ipaddress.ip_network(one, strict=False) for one in given - {"*"}]
        self._refused = refused
        self._places: set[ConnectionSlot] = set()
        self._waiting: OrderedDict[ConnectionSlot, None] = OrderedDict()
        self._networks: dict[str, _Network] = {}

    def __len__(self) -> int:
        return len(self._places)

    def enter(self, address: str, abort: Callable[[], None]) -> ConnectionSlot | None:
        """Return a place for a new connection, perhaps by closing another; None when it must be closed."""
        place = ConnectionSlot(abort, None if self._is_proxy(address) else network_of(address))
        own = None if place.network is None else self._networks.get(place.network)
        if own is not None and own.places >= self._most_of_one and not self._clear(own.waiting, "crowded_address"):
            return None
        if len(self._places) >= self._most and not self._clear(self._waiting, "crowded"):
            return None
        self._places.add(place)
        if place.network is not None:
            self._networks.setdefault(place.network, _Network()).places += 1
        self.wait(place)
        return place

    def wait(self, place: ConnectionSlot) -> None:
        """Mark the connection as waiting from now on."""
        if place not in self._places:
            return
        for waiting in self._lines(place):
            waiting[place] = None
            waiting.move_to_end(place)

    def answer(self, place: ConnectionSlot) -> None:
        """Mark the connection as being answered, so that it is not closed for others."""
        for waiting in self._lines(place):
            waiting.pop(place, None)

    def leave(self, place: ConnectionSlot) -> None:
        """Release the place; a second call does nothing."""
        if place not in self._places:
            return
        self.answer(place)
        self._places.discard(place)
        if place.network is not None:
            own = self._networks[place.network]
            own.places -= 1
            if not own.places:
                del self._networks[place.network]

    def make_room(self) -> None:
        """Close the connection that waits longest, because the process has no descriptors left."""
        self._clear(self._waiting, "no_descriptors")

    def _clear(self, waiting: OrderedDict[ConnectionSlot, None], reason: str) -> bool:
        """Close the connection that waits longest; return whether there was one."""
        self._refused(reason)
        if not waiting:
            return False
        place = next(iter(waiting))
        self.leave(place)
        place.abort()
        return True

    def _lines(self, place: ConnectionSlot) -> list[OrderedDict[ConnectionSlot, None]]:
        own = None if place.network is None else self._networks.get(place.network)
        return [self._waiting] if own is None else [self._waiting, own.waiting]

    def _is_proxy(self, address: str) -> bool:
        parsed = _parsed(address)
        return self._is_behind_any or (parsed is not None and any(parsed in network for network in self._proxies))


def network_of(address: str) -> str:
    """Return the network of one client: an IPv4 address, or an IPv6 network of 64 bits."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return address[:64] if parsed is None else str(parsed)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def room_for(wanted: int) -> int:
    """Return how many of the wanted connections the process' descriptors allow: at most a quarter of them."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft // _SHARE_OF_DESCRIPTORS))


def open_more_descriptors() -> None:
    """Raise the process's limit of descriptors to the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
