"""Limits how fast suites may name users: a budget of names for each suite key, over all its streams at this edge.

    changes   20,000 at once, then 500 a second: names of both kinds count, subscribed and unsubscribed
    starts    200,000 at once, then 5,000 a second: a start has up to 100,000 names, and a suite that loses its connection sends
              them again

The edge stops reading from a key that has overdrawn its budget: HTTP/2's flow control makes the client wait, without an
error. A message that was already read waits before it is processed. In ordinary use no client waits: a first start of
100,000 names and the one after a broken connection are within the budget.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from relay.core.bucket import TokenBucket
from relay.ops.clock import wait_any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.edge.settings import EdgeSettings
    from relay.ops.clock import Clock

_LEAST_SWEEP: Final = 1000


class NameBudget:
    """The names of one key's messages of one kind."""

    def __init__(self, at_once: int, a_second: int, clock: Clock) -> None:
        self._clock = clock
        self._bucket = TokenBucket(at_once, a_second, clock.monotonic())
        self._queue = asyncio.Lock()  # first come, first served, over all streams

    async def clear(self, stream: StreamBudget) -> None:
        """Return when the budget is not overdrawn, or the stream has ended."""
        while (wait_s := self._bucket.wait(self._clock.monotonic())) > 0 and not stream.ended.done():
            with stream.waiting():
                await wait_any(self._clock, {stream.ended}, wait_s)

    async def pay(self, names: int, stream: StreamBudget) -> None:
        """Wait for the message's turn and pay for it. Free of charge if the stream has ended meanwhile."""
        with stream.waiting():
            await self._queue.acquire()
        try:
            await self.clear(stream)
            if not stream.ended.done():
                self._bucket.pay(names, self._clock.monotonic())
        finally:
            self._queue.release()

    @property
    def is_full(self) -> bool:
        """Return whether the budget is full."""
        return not self._queue.locked() and self._bucket.is_full(self._clock.monotonic())


class StreamBudget:
    """The budgets of one stream's messages.

    Attributes:
        ended: done when the stream has ended, which ends its waits.
    """

    def __init__(self, starts: NameBudget, changes: NameBudget, ended: asyncio.Future[BaseException | None]) -> None:
        self.starts = starts
        self.changes = changes
        self.ended = ended
        self._is_waiting = self._has_waited = False

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Mark the stream as waiting for its budget, and not for its suite, for as long as the context lasts."""
        self._is_waiting = self._has_waited = True
        try:
            yield
        finally:
            self._is_waiting = False

    def has_waited(self) -> bool:
        """Return whether the stream waits for its budget, or has waited since the last call."""
        waited, self._has_waited = self._has_waited, self._is_waiting
        return waited


class KeyBudgets:
    """The budgets of all keys at this edge; a budget that is full again is forgotten."""

    def __init__(self, settings: EdgeSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._budgets: dict[str, tuple[NameBudget, NameBudget]] = {}
        self._sweep_at = _LEAST_SWEEP

    def of(self, key_id: str, ended: asyncio.Future[BaseException | None]) -> StreamBudget:
        """Return the budgets of a stream with this key."""
        budgets = self._budgets.get(key_id)
        if budgets is None:
            self._sweep()
            settings = self._settings
            starts = NameBudget(settings.start_names_at_once, settings.start_names_a_second, self._clock)
            budgets = starts, NameBudget(settings.names_at_once, settings.names_a_second, self._clock)
            self._budgets[key_id] = budgets
        return StreamBudget(*budgets, ended)

    def _sweep(self) -> None:
        if len(self._budgets) < self._sweep_at:
            return
        self._budgets = {key_id: (a, b) for key_id, (a, b) in self._budgets.items() if not (a.is_full and b.is_full)}
        self._sweep_at = max(_LEAST_SWEEP, 2 * len(self._budgets))
