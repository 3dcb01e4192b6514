"""What we begin is spread over time."""

from __future__ import annotations

import asyncio

import pytest

from suite.sip.turns import Turns, TurnsOfPeers


async def test_turns_are_spread_and_none_comes_before_its_time():
    loop, turns = asyncio.get_running_loop(), Turns(50)
    times: list[float] = []

    async def one() -> None:
        await turns.take()
        times.append(loop.time())

    began = loop.time()
    await asyncio.gather(*[one() for _ in range(6)])
    assert all(at - began >= number / 50 - 0.001 for number, at in enumerate(times))
    await asyncio.sleep(0.1)  # turns that nobody wants
    began = loop.time()
    times.clear()
    await asyncio.gather(*[one() for _ in range(3)])
    assert all(at - began >= number / 50 - 0.001 for number, at in enumerate(times))


async def test_late_turns_are_made_up_for_and_not_more_at_once_than_a_tenth_of_a_second_has():
    loop, turns = asyncio.get_running_loop(), Turns(100)
    times: list[float] = []

    async def one() -> None:
        await turns.take()
        times.append(loop.time())

    waiting = [asyncio.create_task(one()) for _ in range(60)]
    await waiting[0]
    turns.hold()  # as a machine that stalls
    await asyncio.sleep(0.5)
    held = len(times)
    turns.release()
    released = loop.time()
    await asyncio.gather(*waiting)
    after = times[held:]
    assert all(at - released >= (number - 11) / 100 - 0.001 for number, at in enumerate(after))


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
