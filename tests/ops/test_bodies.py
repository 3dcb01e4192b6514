"""Memory of all bodies: the one that has been arriving for longest makes room."""

from __future__ import annotations

import asyncio

import pytest

from relay.http.bodies import Bodies, TooMuchAtOnce


async def reads(bodies: Bodies, size: int, arrived: asyncio.Event, goes_on: asyncio.Event) -> str:
    """Hold a first part, then wait; how it ended."""
    try:
        with bodies.one() as body:
            async with body.arriving():
                body.add(size)
                arrived.set()
                await goes_on.wait()
            return "whole"
    except TooMuchAtOnce:
        return "gave way"


async def test_the_longest_arriving_gives_way_to_the_next_and_what_is_whole_stays():
    bodies, never = Bodies(100), asyncio.Event()
    tasks = []
    for _ in range(3):
        tasks.append(asyncio.create_task(reads(bodies, 40, arrived := asyncio.Event(), never)))
        await arrived.wait()
    assert await tasks[0] == "gave way"
    assert bodies.held == 80
    with bodies.one() as whole:
        async with whole.arriving():
            whole.add(90)
        assert [await task for task in tasks[1:]] == ["gave way", "gave way"]
        with bodies.one() as late, pytest.raises(TooMuchAtOnce):
            async with late.arriving():
                late.add(20)
        assert bodies.held == 90
    assert bodies.held == 0


async def arrives(bodies: Bodies, *sizes: int, beside: int = 0, within_s: float = 10) -> None:
    """A body of these parts; `beside` is another's, whole before this one's end."""
    with bodies.one() as body:
        async with asyncio.timeout(within_s), body.arriving():
            for size in sizes:
                body.add(size)
            if beside:
                await arrives(bodies, beside)
            if not within_s:
                await asyncio.Event().wait()


async def test_one_that_is_itself_the_oldest_gives_way():
    bodies = Bodies(100)
    with pytest.raises(TooMuchAtOnce):
        await arrives(bodies, 60, 60)
    assert bodies.held == 0


async def test_one_that_gave_way_as_its_last_part_came_is_not_taken_for_whole():
    bodies = Bodies(100)
    with pytest.raises(TooMuchAtOnce):
        await arrives(bodies, 60, beside=60)
    assert bodies.held == 0


async def test_time_and_going_away_give_back_what_was_held():
    bodies = Bodies(100)
    with pytest.raises(TimeoutError):
        await arrives(bodies, 60, within_s=0)
    task = asyncio.create_task(reads(bodies, 40, arrived := asyncio.Event(), asyncio.Event()))
    await arrived.wait()
    task.cancel()
    await asyncio.wait({task})
    assert bodies.held == 0
