"""Collections of garbage that keep nobody waiting.

CPython looks at all objects of the process whenever a quarter more of them have come. The process stands still meanwhile: 0.3 s for a tenant
of 100,000 users, in the middle of taking it in, while every other tenant waits. So objects are set aside as soon as they have stayed:

    new objects      looked at by CPython as ever, and by `collect` once a second while there are many; what stays is set aside
    set aside        looked at by no other collection, until half as many again have come or an hour has passed

Most objects go without any collection, when nothing refers to them any more. Only cycles among what was set aside wait for the last line.
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
"""Least time between two looks at everything."""
_WHOLE_EVERY_S: Final = 3600.0
_GROWN: Final = 1.5


class Sweep(enum.Enum):
    """A kind of collection."""

    NOTHING = enum.auto()
    NEW = enum.auto()
    EVERYTHING = enum.auto()


class Sweeps:
    """Decides what is collected when. (Pure: times and numbers are passed in.)"""

    def __init__(self, now: float, kept: int) -> None:
        """Begin right after a look at everything, which left `kept` objects; `now` by the monotonic clock."""
        self._whole_at = self._counted_at = now
        self._kept = kept

    def due(self, now: float, *, has_new: bool, kept: Callable[[], int]) -> Sweep:
        """Return what is to be collected now.

        Args:
            now: the present.
            has_new: whether many objects have come since the last collection.
            kept: counts the objects set aside; takes 5 ms with a million, so it is asked once a minute.
        """
        if now - self._counted_at >= _WHOLE_AFTER_S:
            self._counted_at = now
            if now - self._whole_at >= _WHOLE_EVERY_S or kept() > _GROWN * self._kept:
                return Sweep.EVERYTHING
        return Sweep.NEW if has_new else Sweep.NOTHING

    def swept(self, now: float, kept: int) -> None:
        """Note a look at everything, which left `kept` objects."""
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
        has_new = gc.get_count()[2] > 0  # CPython collected what outlived its first look: some 7,000 objects have come
        match sweeps.due(clock.monotonic(), has_new=has_new, kept=gc.get_freeze_count):
            case Sweep.NEW:
                _set_aside()
            case Sweep.EVERYTHING:
                gc.unfreeze()
                _set_aside()
                sweeps.swept(clock.monotonic(), gc.get_freeze_count())
            case Sweep.NOTHING:
                pass
