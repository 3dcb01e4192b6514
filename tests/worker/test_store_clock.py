"""The store's clock as a worker goes on from it: the same for all workers, whatever their own clocks say."""

from __future__ import annotations

from datetime import UTC, datetime

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


ASKED = st.tuples(st.floats(0, 2), st.floats(0, 2), st.sampled_from([2020, 2030]))
"""Seconds to the store, seconds back, and the year by the worker's own clock."""


@given(ASKED, ASKED, st.floats(-500, 500))
def test_what_one_worker_tells_another_is_older_by_what_clocks_may_be_wrong_by_and_never_younger(
    teller: tuple[float, float, int], listener: tuple[float, float, int], at: float
):
    """Both have the same monotonic clock, and the store read its own at 1,000 s by it."""
    told, heard = (_asked(*each) for each in (teller, listener))
    wrong_s = sum((*teller[:2], *listener[:2]))
    assert at - 2 * wrong_s - 0.01 <= heard.instant_of(told.ms_of(at)) <= at + 0.01


def _asked(there: float, back: float, year: int) -> StoreClock:
    of_store = StoreClock(SteppedClock(is_stopped=True, wall=datetime(year, 1, 1, tzinfo=UTC)))
    of_store.observe(1_800_000_000_000, 1_000 - there, 1_000 + back)
    return of_store


def test_an_instant_that_never_was_is_told_as_nothing():
    assert StoreClock(SteppedClock(is_stopped=True)).ms_of(float("-inf")) == 0
