"""Tasks that must run as long as the process. An outage never ends one; a bug stops the process cleanly, and the log names the task.

    outage     an error of the store or the cloud (RelayError, OSError): logged, and the task starts again after a pause
    bug        any other error: TaskBroke ends the task's group. The owner of the group exits as at any other
               end (suites are asked to move, leases are given up), and the process exits with code 1

A loop handles its expected errors itself, such as a store that is unavailable for a moment or an error of one tenant.
Only other errors reach this module.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from relay.errors import Bug, RelayError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from types import TracebackType

log = structlog.get_logger(__name__)

PAUSE_S: Final = 1.0
"""Pause before a task restarts: short for waiting suites, long enough to avoid a flood of log lines while the fault lasts."""
_OUTSIDE: Final = (RelayError, OSError)
_FRAMES: Final = 6


class TaskBroke(Exception):
    """A task has a bug; the process must stop.

    Attributes:
        task: its name.
        place: the kind of error and where it was raised, without the error's text, which may contain a secret.
    """

    def __init__(self, task: str, place: str) -> None:
        super().__init__(f"the task {task}: {place}")
        self.task = task
        self.place = place


async def supervised(name: str, work: Callable[[], Awaitable[Any]], pause_s: float = PAUSE_S) -> None:
    """Run `work` until it returns or is cancelled, and restart it after an outage; see the module.

    Args:
        name: of the task, for the log.
        work: starts from the beginning each time it is called.
        pause_s: before a restart.

    Raises:
        TaskBroke: a bug.
    """
    while True:
        try:
            await work()
        except Exception as error:
            bug = _bug_in(error)
            if isinstance(bug, TaskBroke):  # from a task within this one, which has logged it
                raise bug from None
            if bug is not None:
                _broken(name, bug)
                raise TaskBroke(name, place_of(bug)) from bug
            _told(name, error)
        else:
            return
        heed_cancellation()
        await asyncio.sleep(pause_s)


def heed_cancellation() -> None:
    """Raise CancelledError if this task was cancelled. Call it after catching an error from a task group.

    If a group is cancelled and a task fails while it ends, the group raises only that failure: code that catches it and
    continues would never end. (From Python 3.13 on, the group cancels its task once more.)

    Raises:
        asyncio.CancelledError: this task was cancelled.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@asynccontextmanager
async def running(loops: Mapping[str, Callable[[], Awaitable[Any]]]) -> AsyncIterator[None]:
    """Supervised tasks (name -> work) while the context lasts, cancelled at its end.

    Raises:
        TaskBroke: a bug in one. The body is cancelled first, so that it ends cleanly.
    """
    failed: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(supervised(name, work), name=name) for name, work in loops.items()]
            try:
                yield
            except Exception as error:  # raised unchanged, and not in a group
                failed = error
            finally:
                for task in tasks:
                    task.cancel()
    except ExceptionGroup as broken:
        raise _first(broken, TaskBroke) or broken from None
    if failed is not None:
        raise failed


def place_of(error: BaseException) -> str:
    """Return the kind of an error and the place where it was raised, without its text."""
    return f"{type(error).__name__} in {way_of(error.__traceback__, 1) or 'an unknown place'}"


def way_of(trace: TracebackType | None, frames: int = _FRAMES) -> str:
    """Return the last places that an error came through, the innermost last."""
    way: list[str] = []
    while trace is not None:
        way.append(f"{Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}")
        trace = trace.tb_next
    return " > ".join(way[-frames:])


def _broken(name: str, bug: Exception) -> None:
    """Log one line with the error's path through the code and without its text."""
    log.error("task_crashed", task=name, place=place_of(bug), way=way_of(bug.__traceback__))


def _told(name: str, error: Exception) -> None:
    if _first(error, Bug) is not None:
        log.error("task_restarted", task=name, place=place_of(error), exc_info=error)
    else:
        log.warning("task_restarted", task=name, error=str(_first(error, Exception)))


def _bug_in(error: Exception) -> Exception | None:
    """Return the bug in an error or in a group of errors; None if all of them are expected."""
    if not isinstance(error, ExceptionGroup):
        return None if isinstance(error, _OUTSIDE) else error
    return next(filter(None, map(_bug_in, error.exceptions)), None)


def _first(error: Exception, kind: type[Exception]) -> Exception | None:
    if isinstance(error, ExceptionGroup):
        return next(filter(None, (_first(one, kind) for one in error.exceptions)), None)
    return error if isinstance(error, kind) else None
