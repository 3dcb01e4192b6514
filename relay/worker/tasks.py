"""Starts tasks in a group that may be ending: a lost lease can end a partition's group while a task is added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine


def start(group: asyncio.TaskGroup, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None] | None:
    """Start `work` in the group; return None without starting it when the group is shutting down."""
    try:
        return group.create_task(work, name=name)
    except RuntimeError:  # the only error of a group that accepts no more tasks
        work.close()
        return None
