"""How fast suites may name users: a budget of names for each suite key, over all its streams at this edge.

    changes   20,000 at once, then 500 a second: names of both kinds count, asked for and given up
    starts    200,000 at once, then 5,000 a second: a start has up to 100,000 names, and a suite that loses its connection sends
              them again

Who has overdrawn is not read any further: HTTP/2 lets its client wait, and no client breaks. A message that is read already waits for
its turn before it is carried out. In ordinary use nobody ever waits: a first start of 100,000 names and the one after a
broken connection are within the budget.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from relay.core.bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.edge.settings import EdgeSettings

_LEAST_SWEEP: Final = 1000


class Budget:
    """The names of one key's messages of one kind."""

    def __init__(self, at_once: int, a_second: int) -> None:
        self._bucket = TokenBucket(at_once, a_second, _now())
        self._queue = asyncio.Lock()  # first come, first served, over all streams

    async def clear(self, pace: Pace) -> None:
        """Return when nothing is owed, or the stream has ended."""
        while (wait_s := self._bucket.wait(_now())) > 0 and not pace.ended.done():
            with pace.waiting():
                await asyncio.wait({pace.ended}, timeout=wait_s)

    async def pay(self, names: int, pace: Pace) -> None:
        """Pay for a message when it is its turn; one of a stream that has ended meanwhile costs nothing."""
        with pace.waiting():
            await self._queue.acquire()
        try:
            await self.clear(pace)
            if not pace.ended.done():
                self._bucket.pay(names, _now())
        finally:
            self._queue.release()

    @property
    def is_full(self) -> bool:
        """Whether nothing of it is used."""
        return not self._queue.locked() and self._bucket.is_full(_now())


class Pace:
    """The pace of one stream's messages.

    Attributes:
        ended: done when the stream has ended: nobody waits any longer.
    """

    def __init__(self, starts: Budget, changes: Budget, ended: asyncio.Future[BaseException | None]) -> None:
        self.starts = starts
        self.changes = changes
        self.ended = ended
        self._is_waiting = self._has_waited = False

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The stream waits for its budget, not for its suite."""
        self._is_waiting = self._has_waited = True
        try:
            yield
        finally:
            self._is_waiting = False

    def has_waited(self) -> bool:
        """Whether the stream waits for its budget, or has since this was asked for last."""
        waited, self._has_waited = self._has_waited, self._is_waiting
        return waited


class Paces:
    """The budgets of all keys at this edge; one that is full again is forgotten."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self._budgets: dict[str, tuple[Budget, Budget]] = {}
        self._sweep_at = _LEAST_SWEEP

    def of(self, key_id: str, ended: asyncio.Future[BaseException | None]) -> Pace:
        """The pace of a stream with this key."""
        budgets = self._budgets.get(key_id)
        if budgets is None:
            self._sweep()
            settings = self._settings
            starts = Budget(settings.start_names_at_once, settings.start_names_a_second)
            budgets = starts, Budget(settings.names_at_once, settings.names_a_second)
            self._budgets[key_id] = budgets
        return Pace(*budgets, ended)

    def _sweep(self) -> None:
        if len(self._budgets) < self._sweep_at:
            return
        self._budgets = {key_id: (a, b) for key_id, (a, b) in self._budgets.items() if not (a.is_full and b.is_full)}
        self._sweep_at = max(_LEAST_SWEEP, 2 * len(self._budgets))


def _now() -> float:
    return asyncio.get_running_loop().time()
