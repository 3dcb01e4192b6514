"""The places for calls: how many each tenant has at this edge, and which call may take another's.

A suite whose connection broke silently comes back before its old stream is known to be dead. When all places of its
tenant are taken, its new stream takes the place of the old one: that of the same suite key with the same instance id. A stream's
id is known with its start only, so a call waits for its start without a place, if there is a stream that it might replace.
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
"""The things that a limit counts, as suites are told."""

_Owner = tuple["TenantId", str]  # and the id of the suite key
_T = TypeVar("_T")


class _Is(enum.Enum):
    HELD = enum.auto()
    WAITING = enum.auto()
    GONE = enum.auto()


@dataclass(eq=False, slots=True)
class CallSlot:
    """A call's place, or its wait for one. Compared by identity."""

    owner: _Owner
    state: _Is
    instance_id: str = ""
    give_way: Callable[[Replaced], None] | None = None


class OpenCalls:
    """Counts the calls of each tenant.

    Attributes:
        of: tenant id -> its calls that have a place; tenants without any are absent.
        waiting: tenant and suite key -> calls that wait for their start, which may name a place that they can take.
    """

    def __init__(self, limit: int) -> None:
        self.of: Counter[TenantId] = Counter()
        self._limit = limit
        self._takable: dict[_Owner, dict[CallSlot, None]] = {}  # of streams with an instance id, the oldest first
        self.waiting: Counter[_Owner] = Counter()

    @contextmanager
    def entered(self, tenant_id: TenantId, key_id: str = "") -> Iterator[CallSlot]:
        """Count a call as long as the context lasts; a call that waits for a place is to `claim` one.

        Raises:
            TooManyWatches: the tenant has as many as it may, and none of the suite key's can be taken.
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
        """Settle whose place a call has, now that its start is known.

        Args:
            place: of the call.
            instance_id: which program it is, among those with the same suite key; empty when it did not say.
            give_way: ends the call, when another takes its place.

        Raises:
            TooManyWatches: the tenant has as many as it may, and no other stream of this program is among them.
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
        """Count a call no longer; harmless when another has its place."""
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
