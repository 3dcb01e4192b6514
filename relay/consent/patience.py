"""Limits the time that a person waits for Microsoft, and retries requests within it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import stamina

from relay.errors import Retryable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

PATIENCE: Final = timedelta(seconds=15)
"""Time limit of one step of a proof with its retries: a consent cannot be repeated as easily as a read."""
SHORT_PATIENCE: Final = timedelta(seconds=10)
"""Time limit of requests without retries: a lookup, or the deletion of subscriptions."""
_ATTEMPTS: Final = 4


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Return the result of `ask`, retrying while it raises `Retryable`, because Microsoft may fail for a moment."""
    async for attempt in stamina.retry_context(on=Retryable, attempts=_ATTEMPTS, timeout=PATIENCE):
        with attempt:
            return await ask()
    raise AssertionError("stamina always makes an attempt")
