"""Garbage is collected without a long stop: what stays is set aside, and all of it is looked at again when it has grown."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from relay.ops import garbage
from relay.ops.garbage import Sweep, Sweeps
from tests.support.clock import SteppedClock
from tests.support.waiting import eventually


def due(sweeps: Sweeps, now: float, *, has_new: bool = False, kept: int = 1000) -> Sweep:
    return sweeps.due(now, has_new=has_new, kept=lambda: kept)


def test_new_objects_are_looked_at_once_there_are_many() -> None:
    sweeps = Sweeps(0.0, 1000)
    assert due(sweeps, 1) is Sweep.NOTHING
    assert due(sweeps, 2, has_new=True) is Sweep.NEW


def test_everything_is_looked_at_when_half_as_much_again_was_set_aside_and_not_more_than_once_a_minute() -> None:
    sweeps = Sweeps(0.0, 1000)
    assert due(sweeps, 59, has_new=True, kept=9000) is Sweep.NEW, "not so soon"
    assert due(sweeps, 60, kept=1500) is Sweep.NOTHING, "not grown enough"
    assert due(sweeps, 120, kept=1501) is Sweep.EVERYTHING
    sweeps.swept(120, 1400)
    assert due(sweeps, 180, kept=2100) is Sweep.NOTHING
    assert due(sweeps, 240, kept=2101) is Sweep.EVERYTHING


def test_everything_is_looked_at_once_an_hour() -> None:
    sweeps = Sweeps(0.0, 1000)
    looked = [now for now in range(0, 7300, 10) if due(sweeps, now) is Sweep.EVERYTHING and not sweeps.swept(now, 1000)]
    assert looked == [3600, 7200]


class Cycle:
    """Refers to itself, so that only a collection ends it."""

    def __init__(self) -> None:
        self.me = self


@pytest.mark.long
async def test_what_was_set_aside_and_became_garbage_is_collected_in_the_end() -> None:
    clock = SteppedClock()
    old = Cycle()
    collecting = asyncio.create_task(garbage.collect(clock))
    await eventually(lambda: clock.waiting)
    gone = weakref.ref(old)
    del old
    gc.collect()
    assert gone() is not None, "it was set aside: no other collection finds it"
    clock.advance(3600)
    await eventually(lambda: gone() is None)
    collecting.cancel()
