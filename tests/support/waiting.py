"""Wait for a condition instead of sleeping: `eventually` in a coroutine, `eventually_in_thread` where there is no event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from inspect import isawaitable
from typing import Final, TypeVar, cast

PATIENCE_S: Final = 30.0
"""Time limit of a wait, unless the test gives another. Long, because on a busy machine a moment is long."""
_FIRST_S: Final = 0.002
_LONGEST_S: Final = 0.025

T = TypeVar("T")


async def eventually(
    condition: Callable[[], T | Awaitable[T]], timeout: float = PATIENCE_S, explain: Callable[[], object] | None = None
) -> T:
    """Call `condition` until it returns something true, and return that. `condition` may be a coroutine function.

    Raises:
        AssertionError: nothing true within `timeout` seconds. Its text has what `explain` returns, or else the last value.
    """
    last: T | None = None
    try:
        async with asyncio.timeout(timeout) as limit:
            for pause in _pauses():
                value = condition()
                last = await value if isawaitable(value) else cast("T", value)
                if last:
                    return last
                await asyncio.sleep(pause)
    except TimeoutError:
        if not limit.expired():
            raise  # the condition's own
    raise _in_vain(condition, timeout, explain() if explain else last)


def eventually_in_thread(
    condition: Callable[[], T], timeout: float = PATIENCE_S, explain: Callable[[], object] | None = None
) -> T:
    """Call `condition` until it returns something true, and return that; for tests without an event loop.

    Raises:
        AssertionError: as with `eventually`.
    """
    deadline = time.monotonic() + timeout
    for pause in _pauses():
        last = condition()
        if last:
            return last
        if time.monotonic() > deadline:
            break
        time.sleep(pause)
    raise _in_vain(condition, timeout, explain() if explain else last)


def _pauses() -> Iterator[float]:
    """Short pauses at first, for most conditions hold soon; then longer ones, for each look costs."""
    pause = _FIRST_S
    while True:
        yield pause
        pause = min(1.5 * pause, _LONGEST_S)


def _in_vain(condition: object, timeout: float, what: object) -> AssertionError:
    return AssertionError(f"waited {timeout:g} s in vain for {condition}: {what!s:.4000}")
