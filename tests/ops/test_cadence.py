"""Waits of loops go by the clock that they are given."""

from __future__ import annotations

import asyncio

from relay.ops.cadence import Cadence, wait_until_set
from tests.support.clock import SteppedClock


def test_a_cadence_is_due_at_once_and_then_once_in_its_time():
    cadence = Cadence(10.0)
    assert [now for now in range(35) if cadence.take(now)] == [0, 10, 20, 30]


def test_a_round_that_comes_late_is_not_made_up_for():
    cadence = Cadence(10.0)
    assert cadence.take(0.0)
    assert cadence.take(19.0)
    assert not cadence.take(20.0)
    assert cadence.wait(20.0) == 9.0
    assert cadence.take(29.0)


def test_a_loop_that_drifts_misses_no_round():
    cadence, rounds, now = Cadence(10.0), 0, 0.0
    while now < 1000.0:
        rounds += cadence.take(now)
        now += 1.008  # a sweep a second, and what each one takes
    assert rounds >= 1000 / 11.1


async def test_an_event_ends_the_wait_whatever_the_clock_says():
    clock, event = SteppedClock(is_stopped=True), asyncio.Event()
    waiting = asyncio.create_task(wait_until_set(clock, event, 60.0))
    await asyncio.sleep(0)
    event.set()
    assert await waiting is True
    assert clock.waiting == 0


async def test_the_wait_ends_when_the_clock_has_moved_far_enough():
    clock, event = SteppedClock(is_stopped=True), asyncio.Event()
    waiting = asyncio.create_task(wait_until_set(clock, event, 60.0))
    await asyncio.sleep(0)
    clock.advance(59.0)
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.advance(1.0)
    assert await waiting is False
