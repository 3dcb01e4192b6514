"""Limits the open calls of each tenant at this edge, and lets a new call replace an old one of the same suite.

A suite whose connection broke silently reconnects before the edge knows that its old stream is dead. When all places of
its tenant are taken, its new stream takes the place of the old one: the stream of the same suite key with the same
instance id. The instance id comes with the start, so a call without a place waits for its start if there is a stream
that it might replace.
"""

from __future__ import annotations

import enum
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from relay.errors import Replaced, TooManyWatches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relay.core.presence import TenantId

PER: Final = "tenant_at_edge"
"""The limit that was exceeded, in the form that suites receive."""

_Owner = tuple["TenantId", str]  # and the id of the suite key
_T = TypeVar("_T")


class _Is(enum.Enum):
    HELD = enum.auto()
    WAITING = enum.auto()
    GONE = enum.auto()


@dataclass(eq=False, slots=True)
class CallSlot:
    """A call's place, or its wait for a place. Compared by identity."""

    owner: _Owner
    state: _Is
    instance_id: str = ""
    give_way: Callable[[Replaced], None] | None = None


class OpenCalls:
    """Counts the calls of each tenant.

    Attributes:
        of: tenant id -> its calls that have a place; tenants without such calls are absent.
        waiting: tenant and suite key -> calls that wait for their start, because they may replace a stream.
    """

    def __init__(self, limit: int) -> None:
        self.of: Counter[TenantId] = Counter()
        self._limit = limit
        self._takable: dict[_Owner, dict[CallSlot, None]] = {}  # of streams with an instance id, the oldest first
        self.waiting: Counter[_Owner] = Counter()

    @contextmanager
    def entered(self, tenant_id: TenantId, key_id: str = "") -> Iterator[CallSlot]:
        """Count a call for as long as the context lasts. A call that waits for a place must then call `claim`.

        Raises:
            TooManyWatches: the tenant is at its limit, and the suite key has no stream that the call could replace.
        """
        place = CallSlot((tenant_id, key_id), _Is.HELD)
        if self.of[tenant_id] < self._limit:
            self.of[tenant_id] += 1
        elif self.waiting[place.owner] < len(self._takable.get(place.owner, ())):
            place.state = _Is.WAITING
            self.waiting[place.owner] += 1
        else:
            raise self._too_many()
        try:
            yield place
        finally:
            self._leave(place)

    def claim(self, place: CallSlot, instance_id: str, give_way: Callable[[Replaced], None]) -> None:
        """Give a call its place, now that its start is known.

        Args:
            place: of the call.
            instance_id: identifies the program among those with the same suite key; empty when the start has none.
            give_way: ends the call when a newer one takes its place.

        Raises:
            TooManyWatches: the tenant is at its limit, and this program has no other stream that the call could replace.
        """
        if place.state is _Is.WAITING:
            self._find(place, instance_id)
        if instance_id:
            place.instance_id, place.give_way = instance_id, give_way
            self._takable.setdefault(place.owner, {})[place] = None

    def _find(self, place: CallSlot, instance_id: str) -> None:
        older = None
        if self.of[place.owner[0]] >= self._limit:
            same = (each for each in self._takable.get(place.owner, ()) if each.instance_id == instance_id)
            older = next(same, None)
            if older is None:
                raise self._too_many()
            self._leave(older)
        self._leave(place)
        self.of[place.owner[0]] += 1
        place.state = _Is.HELD
        if older is not None and older.give_way is not None:
            older.give_way(Replaced("A newer stream with the same instance id took the place of this one"))

    def _leave(self, place: CallSlot) -> None:
        """Stop counting a call; does nothing when another call has taken its place."""
        if place.state is _Is.HELD:
            _less(self.of, place.owner[0])
        elif place.state is _Is.WAITING:
            _less(self.waiting, place.owner)
        place.state = _Is.GONE
        takable = self._takable.get(place.owner, {})
        takable.pop(place, None)
        if not takable:
            self._takable.pop(place.owner, None)

    def _too_many(self) -> TooManyWatches:
        return TooManyWatches(
            f"The tenant may have at most {self._limit} open streams here", limit=str(self._limit), per=PER
        )


def _less(counts: Counter[_T], key: _T) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
