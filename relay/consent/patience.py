"""Limits how long people in front of a page wait for Microsoft, and repeats requests meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import stamina

from relay.errors import Retryable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

PATIENCE: Final = timedelta(seconds=15)
"""Time limit of one step of a proof with its repeats: a consent cannot be asked for again as easily as a read."""
SHORT_PATIENCE: Final = timedelta(seconds=10)
"""Time limit of requests that are made once: a look-up, or the end of subscriptions."""
_ATTEMPTS: Final = 4


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Return what `ask` returns, repeating it while it raises `Retryable`: Microsoft may have a bad moment."""
    async for attempt in stamina.retry_context(on=Retryable, attempts=_ATTEMPTS, timeout=PATIENCE):
        with attempt:
            return await ask()
    raise AssertionError("stamina always makes an attempt")
