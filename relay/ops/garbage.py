"""Garbage collection without long pauses.

CPython examines all objects of the process whenever their number has grown by a quarter. The process stops meanwhile:
0.3 s for a tenant of 100,000 users, while that tenant is loaded and every other tenant waits. So objects that stay are
set aside:

    new objects      examined by CPython as usual, and by `collect` once a second while there are many; those that stay are set aside
    set aside        excluded from collections, until their number has grown by half or an hour has passed

Most objects are freed without a collection, when nothing refers to them any more. Only cycles among objects that were
set aside wait for the last line.
"""

from __future__ import annotations

import enum
import gc
from typing import TYPE_CHECKING, Final

from relay.ops.clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.ops.clock import Clock

_EVERY_S: Final = 1.0
_WHOLE_AFTER_S: Final = 60.0
"""Shortest time between two full collections."""
_WHOLE_EVERY_S: Final = 3600.0
_GROWN: Final = 1.5


class Sweep(enum.Enum):
    """A kind of collection."""

    NOTHING = enum.auto()
    NEW = enum.auto()
    EVERYTHING = enum.auto()


class Sweeps:
    """Decides when to collect which objects. (Pure: times and numbers are passed in.)"""

    def __init__(self, now: float, kept: int) -> None:
        """Start right after a full collection that left `kept` objects; `now` by the monotonic clock."""
        self._whole_at = self._counted_at = now
        self._kept = kept

    def due(self, now: float, *, has_new: bool, kept: Callable[[], int]) -> Sweep:
        """Return the kind of collection that is due now.

        Args:
            now: the present.
            has_new: whether many objects have come since the last collection.
            kept: counts the objects set aside; takes 5 ms with a million, so it is called once a minute.
        """
        if now - self._counted_at >= _WHOLE_AFTER_S:
            self._counted_at = now
            if now - self._whole_at >= _WHOLE_EVERY_S or kept() > _GROWN * self._kept:
                return Sweep.EVERYTHING
        return Sweep.NEW if has_new else Sweep.NOTHING

    def swept(self, now: float, kept: int) -> None:
        """Record a full collection, which left `kept` objects."""
        self._whole_at, self._kept = now, kept


def _set_aside() -> None:
    gc.collect()
    gc.freeze()


async def collect(clock: Clock = SYSTEM) -> None:
    """Collect garbage until cancelled."""
    _set_aside()
    sweeps = Sweeps(clock.monotonic(), gc.get_freeze_count())
    while True:
        await clock.sleep(_EVERY_S)
        has_new = gc.get_count()[2] > 0  # CPython collected its second generation: some 7,000 objects were added
        match sweeps.due(clock.monotonic(), has_new=has_new, kept=gc.get_freeze_count):
            case Sweep.NEW:
                _set_aside()
            case Sweep.EVERYTHING:
                gc.unfreeze()
                _set_aside()
                sweeps.swept(clock.monotonic(), gc.get_freeze_count())
            case Sweep.NOTHING:
                pass
