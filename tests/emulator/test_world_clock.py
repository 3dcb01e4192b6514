"""The world's clock: scaled, stopped, stepped, and what is due by it."""

from __future__ import annotations

import asyncio

import pytest

from emulator.clock import SWEEP_AT, Clock


def test_a_stopped_clock_stands_still_until_it_is_stepped() -> None:
    clock = Clock(speed=0)
    done: list[int] = []
    clock.after(10, lambda: done.append(1))

    clock.advance(9.5)
    before = list(done)
    clock.advance(1)

    assert (before, done) == ([], [1])
    assert clock.now() == pytest.approx(10.5)


def test_stepping_does_what_is_due_in_its_order_and_what_that_brings_about() -> None:
    clock = Clock(speed=0)
    done: list[tuple[str, float]] = []
    clock.after(3, lambda: done.append(("c", clock.now())))
    clock.after(1, lambda: clock.after(1, lambda: done.append(("b", clock.now()))))
    clock.at(0.5, lambda: done.append(("a", clock.now())))

    clock.advance(100)

    assert done == [("a", 0.5), ("b", 2.0), ("c", 3.0)]


def test_what_is_cancelled_is_not_done_and_does_not_pile_up() -> None:
    clock = Clock(speed=0)
    done: list[int] = []
    kept = clock.after(600_000, lambda: done.append(1))
    for _ in range(5 * SWEEP_AT):
        clock.after(604_800, lambda: done.append(2)).cancel()

    assert len(clock._queue) <= SWEEP_AT + 1
    clock.advance(700_000)
    assert done == [1]
    assert kept.call is not None


async def test_by_itself_a_scaled_clock_does_what_is_due() -> None:
    clock = Clock(speed=1000)
    done = asyncio.Event()
    running = asyncio.create_task(clock.run())
    try:
        clock.after(50, done.set)
        async with asyncio.timeout(20):
            await done.wait()
    finally:
        running.cancel()

    assert clock.now() >= 50


async def test_a_clock_that_is_set_going_again_does_what_waited() -> None:
    clock = Clock(speed=0)
    done = asyncio.Event()
    running = asyncio.create_task(clock.run())
    try:
        clock.after(1, done.set)
        await asyncio.sleep(0)
        clock.set_speed(10_000)
        async with asyncio.timeout(20):
            await done.wait()
    finally:
        running.cancel()


@pytest.mark.parametrize("speed", [-1, float("nan"), 1_000_001])
def test_speeds_that_cannot_be_are_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1,000,000"):
        Clock().set_speed(speed)


def test_a_restored_clock_has_the_same_time_and_the_same_things_due() -> None:
    clock = Clock(speed=0)
    done: list[str] = []
    clock.after(5, lambda: done.append("due"))
    gone = clock.after(6, lambda: done.append("cancelled later"))
    restore = clock.snapshot()
    clock.advance(5.5)
    gone.cancel()
    clock.after(1, lambda: done.append("planned later"))

    restore()
    done.clear()
    now = clock.now()
    clock.advance(60)

    assert (now, done) == (0, ["due", "cancelled later"])
