"""The clock for tests, and the system's beside it: both sleep, call in order, and move forward only."""

from __future__ import annotations

import asyncio

import pytest

from relay.ops.clock import SYSTEM, Clock
from tests.support.clock import SteppedClock


@pytest.mark.parametrize("clock", [SYSTEM, SteppedClock()], ids=["system", "stepped"])
async def test_a_clock_that_goes_with_real_time_sleeps_and_calls(clock: Clock) -> None:
    called = asyncio.Event()
    began, wall = clock.monotonic(), clock.wall()
    clock.call_at(began + 0.01, called.set)
    dropped = clock.call_at(began + 0.01, lambda: pytest.fail("was dropped"))
    dropped.cancel()
    await clock.sleep(0.02)
    await called.wait()
    assert clock.monotonic() >= began + 0.02
    assert clock.wall() > wall
    await clock.sleep(0)


async def test_a_stopped_clock_moves_by_steps_alone() -> None:
    clock = SteppedClock(is_stopped=True)
    began, wall = clock.monotonic(), clock.wall()
    done: list[str] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        done.append(name)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleep("hour", 3600))
        tasks.create_task(sleep("minute", 60))
        clock.call_at(began + 10, lambda: done.append(f"call at {clock.monotonic() - began:.0f} s"))
        await asyncio.sleep(0.01)
        assert not done
        assert clock.waiting == 3
        clock.advance(59)
        await asyncio.sleep(0)
        assert done == ["call at 10 s"]
        clock.advance(3600)
    assert done == ["call at 10 s", "minute", "hour"]
    assert clock.monotonic() - began == pytest.approx(3659)
    assert (clock.wall() - wall).total_seconds() == pytest.approx(3659)
    assert clock.waiting == 0


async def test_a_cancelled_sleep_leaves_nothing() -> None:
    clock = SteppedClock(is_stopped=True)
    task = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert clock.waiting == 0
