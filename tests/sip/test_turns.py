"""What we begin is spread over time."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from suite.sip.turns import Turns, TurnsOfPeers


async def times_of(count: int, per_s: float) -> list[float]:
    loop, turns = asyncio.get_running_loop(), Turns(per_s)
    times: list[float] = []

    async def one() -> None:
        await turns.take()
        times.append(loop.time())

    await asyncio.gather(*[one() for _ in range(count)])
    return times


async def test_turns_are_spread():
    times = await times_of(5, 50)
    assert all(later - sooner >= 0.0199 for sooner, later in pairwise(times))


async def test_turns_are_in_the_order_of_asking_and_whoever_stops_waiting_takes_nobodys():
    turns, order = Turns(0.001), list[str]()  # a turn every 1,000 s, and the first at once

    async def one(name: str) -> None:
        await turns.take()
        order.append(name)

    turns.hold()
    tasks = {name: asyncio.create_task(one(name)) for name in "abc"}
    await asyncio.sleep(0)
    assert len(turns) == 3
    tasks["a"].cancel()
    await asyncio.wait({tasks["a"]})
    turns.release()
    await asyncio.wait({tasks["b"]})
    assert order == ["b"]
    tasks["c"].cancel()
    await asyncio.wait({tasks["c"]})
    assert len(turns) == 0


async def test_nobody_has_a_turn_while_it_is_held():
    turns = Turns(1000)
    turns.hold()
    waiting = asyncio.create_task(turns.take())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.shield(waiting)
    turns.release()
    await waiting


async def test_turns_of_each_peer_are_its_own():
    turns = TurnsOfPeers()
    await turns.take("a", 0.001)
    await turns.take("b", 0.001)
    await turns.take("c", 0)
    await turns.take("c", 0)
    waiting = asyncio.create_task(turns.take("a", 0.001))
    await asyncio.sleep(0)
    assert not waiting.done()
    turns.end()
    await waiting
    await turns.take("a", 0.001)


async def test_turns_of_peers_for_which_nobody_waits_are_forgotten():
    turns = TurnsOfPeers()
    for number in range(5000):
        await turns.take(number, 1000)
    assert len(turns._turns) <= 1024
