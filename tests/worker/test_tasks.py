"""A group that is ending takes no more tasks, and nobody fails of it."""

from __future__ import annotations

import asyncio
import inspect

from relay.worker.tasks import start


async def test_a_group_that_is_shutting_down_refuses_quietly():
    outcome: list[object] = []

    async def work() -> None:
        raise AssertionError("it must not run")

    async def fail() -> None:
        raise ValueError

    async def add_while_ending() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            late = work()
            outcome.extend([start(group, late, "late"), inspect.getcoroutinestate(late)])

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(add_while_ending())
            await asyncio.sleep(0)
            group.create_task(fail())
    except* ValueError:
        pass
    assert outcome == [None, inspect.CORO_CLOSED]
