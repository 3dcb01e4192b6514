"""Pacing: requests get turns at a rate, in the order of asking. Turns can be held back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Final

_CATCH_UP_S: Final = 0.1
"""Turns that a busy machine gave late are made up for, up to this time, so that the rate is reached without a burst."""


class TurnsOfPeers:
    """Turns for many peers, each with its own rate. Peers for which no task waits are dropped from time to time."""

    def __init__(self) -> None:
        self._turns: dict[Hashable, Turns] = {}
        self._is_over = False

    async def take(self, peer: Hashable, per_s: float) -> None:
        """Wait for a turn of a peer, which has `per_s` a second; 0 is no limit."""
        if not per_s or self._is_over:
            return
        turns = self._turns.get(peer)
        if turns is None:
            if len(self._turns) >= 1024 and len(self._turns) > 2 * sum(map(bool, self._turns.values())):
                self._turns = {key: each for key, each in self._turns.items() if each}
            turns = self._turns[peer] = Turns(per_s)
        turns.per_s = per_s
        await turns.take()

    def end(self) -> None:
        """Release all waiting tasks, and let later ones pass at once."""
        self._is_over = True
        for each in self._turns.values():
            each.release_all()


class Turns:
    """Gives one turn every 1/`per_s` seconds, and none while held. A cancelled wait uses no turn."""

    def __init__(self, per_s: float) -> None:
        self.per_s = per_s
        self.is_held = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return the number of waiting tasks."""
        return sum(not each.done() for each in self._waiting)

    async def take(self) -> None:
        """Wait for a turn."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            self._next = max(self._next, loop.time())  # unused turns do not add up
        self._waiting.append(turn)
        self._set_timer()
        await turn

    def release_all(self) -> None:
        """Give all waiting tasks a turn now."""
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
        self._waiting.clear()

    def hold(self) -> None:
        """Give no turn until `release`."""
        self.is_held = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def release(self) -> None:
        """Give turns again."""
        self.is_held = False
        self._set_timer()

    def _set_timer(self) -> None:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        if self._waiting and self._timer is None and not self.is_held:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time(), self._next), self._give)

    def _give(self) -> None:
        self._timer = None
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                late = asyncio.get_running_loop().time() - _CATCH_UP_S
                self._next = max(self._next + 1 / self.per_s, late)
                turn.set_result(None)
                break
        self._set_timer()
