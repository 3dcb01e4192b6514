"""Limits of open connections, in total and for each machine. Pure.

A connection waits while none of its requests is being answered: in its handshake, in a head, between two requests. When all places are
taken, the connection that has waited longest is closed, so that idle ones do not block new ones. All programs on this machine share the
loopback address, so only the total limit applies to them.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from suite.agent.api.pace import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True, eq=False)
class Place:
    """The place of one connection.

    Attributes:
        network: the network of the peer.
        abort: ends the connection at once.
    """

    network: str
    abort: Callable[[], None]


@dataclass(slots=True)
class _Line:
    """The number of places taken, and the waiting ones, the longest first."""

    taken: int = 0
    waiting: OrderedDict[Place, None] = field(default_factory=OrderedDict)


class Places:
    """The places of all connections."""

    def __init__(self, most: int, most_of_one: int) -> None:
        """Allow `most` connections, `most_of_one` from one machine of the LAN."""
        self._most = most
        self._most_of_one = most_of_one
        self._all = _Line()
        self._networks: dict[str, _Line] = {}
        self._places: set[Place] = set()

    def __len__(self) -> int:
        return len(self._places)

    def enter(self, network: str, abort: Callable[[], None]) -> Place | None:
        """Return a place for a new connection, closing a waiting one if necessary; None when the new one must be closed."""
        own = self._networks.get(network)
        if own is not None and own.taken >= self._most_of_one and not self._clear(own):
            return None
        if self._all.taken >= self._most and not self._clear(self._all):
            return None
        place = Place(network, abort)
        self._places.add(place)
        if network != LOOPBACK:
            self._networks.setdefault(network, _Line())
        for line in self._lines(place):
            line.taken += 1
        self.wait(place)
        return place

    def wait(self, place: Place) -> None:
        """Record that a connection waits. If it waits already, it keeps its position."""
        if place in self._places:
            for line in self._lines(place):
                line.waiting.setdefault(place, None)

    def answer(self, place: Place) -> None:
        """Record that a request of a connection is being answered, so it is not closed for another."""
        for line in self._lines(place):
            line.waiting.pop(place, None)

    def leave(self, place: Place) -> None:
        """Give a place back. A second call does nothing."""
        if place not in self._places:
            return
        self.answer(place)
        for line in self._lines(place):
            line.taken -= 1
        self._places.discard(place)
        own = self._networks.get(place.network)
        if own is not None and not own.taken:
            del self._networks[place.network]

    def _clear(self, line: _Line) -> bool:
        """Close the connection that has waited longest, and return whether there was one."""
        if not line.waiting:
            return False
        place = next(iter(line.waiting))
        self.leave(place)
        place.abort()
        return True

    def _lines(self, place: Place) -> list[_Line]:
        own = self._networks.get(place.network)
        return [self._all] if own is None else [self._all, own]
