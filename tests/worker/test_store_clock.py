"""The store's clock as a worker goes on from it: the same for all workers, whatever their own clocks say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.worker.store_clock import StoreClock
from tests.support.clock import SteppedClock

WAYS = st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2), st.floats(0, 60)), min_size=1, max_size=20)
"""For each time the store is asked: seconds to it, seconds back, and seconds until it is asked again."""


@given(WAYS, st.integers(-3600, 3600))
def test_it_is_never_further_off_than_the_first_answers_way_takes(ways: list[tuple[float, float, float]], off_s: int):
    clock = SteppedClock(is_stopped=True)
    store_began = clock.wall().timestamp() + off_s - clock.monotonic()
    of_store, worst = StoreClock(clock), 0.0
    for there, back, pause in ways:
        asked = clock.monotonic()
        clock.advance(there)
        read_ms = round((store_began + clock.monotonic()) * 1000)
        clock.advance(back)
        of_store.observe(read_ms, asked, clock.monotonic())
        worst = max(worst, there + back)
        assert abs(of_store.now_s() - (store_began + clock.monotonic())) <= worst + 0.002
        clock.advance(pause)


def test_it_does_not_jump_with_each_answers_way():
    clock = SteppedClock(is_stopped=True)
    of_store, began_ms = StoreClock(clock), 1_700_000_000_000
    of_store.observe(began_ms, clock.monotonic(), clock.monotonic())
    clock.advance(10)
    asked = clock.monotonic()
    clock.advance(0.4)
    of_store.observe(began_ms + 10_390, asked, clock.monotonic())
    assert of_store.now_s() == pytest.approx((began_ms + 10_400) / 1000, abs=0.001)


def test_before_the_first_answer_it_is_the_workers_own_clock():
    clock = SteppedClock(is_stopped=True)
    of_store = StoreClock(clock)
    clock.advance(5)
    assert of_store.now_s() == clock.wall().timestamp()
