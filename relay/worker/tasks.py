"""Tasks of a group that may be ending: a lost lease ends a partition's group at any moment, also while a task is added to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine


def start(group: asyncio.TaskGroup, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None] | None:
    """Start `work` in the group; None, and nothing is started, when the group is shutting down."""
    try:
        return group.create_task(work, name=name)
    except RuntimeError:  # all that a group says when it takes no more tasks
        work.close()
        return None
