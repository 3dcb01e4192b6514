"""The states of many colleagues at one presence server, published by one loop: changes first, and refreshes before states expire.

A server that does not answer, or fails, receives one request at a time until it answers. A server that lost one state may have lost all,
so all states are refreshed, at the pace of all requests, and lost states are published again. While no other request is due, one state is
refreshed from time to time, to detect a restart or an outage of the server.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from suite.sip.errors import SipDenied, SipError, SipRefusal
from suite.sip.publisher import PublishedDocument
from suite.sip.turns import Turns

_WINDOW: Final = 16
"""Most requests that wait for their answers."""
_SHARE: Final = 0.85
_SHORTEST_S: Final = 5.0

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishTimes:
    """The times of publishing, in seconds.

    Attributes:
        probe_s: time without a request after which one state is refreshed.
        again_s: shortest and longest pause while the server does not answer.
        refused_s: shortest and longest pause of a state that the server refuses.
        sweep_s: shortest time between two refreshes of everything.
    """

    probe_s: float = 30.0
    again_s: tuple[float, float] = (1.0, 60.0)
    refused_s: tuple[float, float] = (60.0, 3600.0)
    sweep_s: float = 60.0


class StateKeeper(Generic[Name]):
    """Publishes states by name.

    Attributes:
        away: error of a server that does not answer or fails; None while it works.
        refused: name -> the server's refusal of its state.
        has_answered: True once the server took or refused a state.
    """

    def __init__(
        self,
        make: Callable[[Name], PublishedDocument],
        per_s: float,
        on_change: Callable[[], None],
        times: PublishTimes | None = None,
    ) -> None:
        """Prepare without states; `run` publishes.

        Args:
            make: returns the state of a name, with nothing to publish yet.
            per_s: most requests per second.
            on_change: called when `away` or `refused` changed, or the server answered for the first time.
            times: of publishing.
        """
        self.away: SipError | None = None
        self.refused: dict[Name, SipRefusal] = {}
        self.has_answered = False
        self._make = make
        self._on_change = on_change
        self._times = times or PublishTimes()
        self._turns = Turns(per_s)
        self._states: dict[Name, PublishedDocument] = {}
        self._due: dict[Name, None] = {}
        self._later: list[tuple[float, int, Name]] = []
        """Heap of the times at which names are due again. Only the newest entry of a name counts: `_newest`."""
        self._newest: dict[Name, int] = {}
        self._count = 0
        self._busy: set[Name] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        """Error of a request that ends `run`, such as a refused login."""
        self._news = asyncio.Event()
        self._pause_s: dict[Name, float] = {}
        self._asked_at = 0.0
        self._swept_at: float | None = None

    def __len__(self) -> int:
        return len(self._states)

    def want(self, name: Name, body: bytes) -> None:
        """Publish a state; an empty one removes it from the server."""
        state = self._states.get(name)
        if state is None:
            if not body:
                return
            state = self._states[name] = self._make(name)
        if state.wanted != body:
            state.wanted = body
            self._due[name] = None
            self._news.set()

    def probe(self) -> None:
        """Refresh one state now: the connection to the server ended, and the server may have stopped."""
        self._asked_at = -self._times.probe_s
        self._news.set()

    async def run(self) -> None:
        """Publish until cancelled.

        Raises:
            SipDenied: the server refuses the login.
        """
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._failure = None
        self._asked_at = asyncio.get_running_loop().time()
        self._busy.clear()
        self._due = dict.fromkeys(self._states)
        slots = asyncio.Semaphore(_WINDOW)
        while True:
            if self.away is not None:
                await self._until_back()
            name = await self._next()
            self._busy.add(name)
            await self._turns.take()
            await slots.acquire()
            task = asyncio.create_task(self._exchange(name), name="sip publish")
            self._tasks.add(task)
            task.add_done_callback(self._ended)
            task.add_done_callback(lambda _: slots.release())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
            self._news.set()

    async def withdraw_all(self) -> int:
        """Remove all states from the server, and return the number that remain there."""
        slots = asyncio.Semaphore(_WINDOW)

        async def withdraw(state: PublishedDocument) -> None:
            async with slots:
                await state.withdraw()

        if self._tasks:  # the entity tags of pending requests are needed
            await asyncio.wait(self._tasks)
        if self.away is None:
            await asyncio.gather(*map(withdraw, self._states.values()), return_exceptions=True)
        return sum(state.tag is not None for state in self._states.values())

    # ---- the next one ---------------------------------------------------------------------------------------------------

    async def _next(self) -> Name:
        """Return the next due name; wait until there is one."""
        loop = asyncio.get_running_loop()
        while True:
            if self._failure is not None:
                raise self._failure
            now = loop.time()
            while self._later and self._later[0][0] <= now:
                self._pop_later()
            if not self._due and self._later and now - self._asked_at >= self._times.probe_s:
                self._pop_later()
            name = next((name for name in self._due if name not in self._busy), None)
            if name is not None:
                del self._due[name]
                self._asked_at = now
                return name
            self._news.clear()
            probe_at = self._asked_at + self._times.probe_s if self._later else None
            due_at = self._later[0][0] if self._later else None
            try:
                async with asyncio.timeout_at(min((at for at in (probe_at, due_at) if at is not None), default=None)):
                    await self._news.wait()
            except TimeoutError:
                pass

    def _pop_later(self) -> None:
        _, count, name = heapq.heappop(self._later)
        if self._newest.get(name) == count and name in self._states:
            del self._newest[name]
            self._due.setdefault(name)

    def _put_later(self, name: Name, in_s: float) -> None:
        self._count += 1
        self._newest[name] = self._count
        heapq.heappush(self._later, (asyncio.get_running_loop().time() + in_s, self._count, name))
        if len(self._later) > 4 * len(self._states) + 100:  # most of them do not count any more
            self._later = [each for each in self._later if self._newest.get(each[2]) == each[1]]
            heapq.heapify(self._later)
        self._news.set()

    async def _until_back(self) -> None:
        """Send one state at a time, with growing pauses, until the server works."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        shortest, longest = self._times.again_s
        pause_s = shortest
        while (error := self.away) is not None:
            asked_s = error.retry_after_s if isinstance(error, SipRefusal) else None
            await asyncio.sleep(min(max(asked_s or 0.0, pause_s), max(longest, _SHORTEST_S)))
            pause_s = min(2 * pause_s, longest)
            name = await self._next()
            self._busy.add(name)
            await self._exchange(name)

    # ---- one exchange ---------------------------------------------------------------------------------------------------

    async def _exchange(self, name: Name) -> None:
        """Publish, refresh or remove one state."""
        state = self._states[name]
        body = state.wanted
        try:
            if body:
                published = await state.publish()
                self._put_later(name, max(published.lasts_s * _SHARE, _SHORTEST_S))
                if published.was_forgotten:
                    self._sweep()
            else:
                await state.withdraw()
        except SipDenied as error:
            self._due[name] = None
            self._failure = error  # before the loop wakes, which would send the next request
            raise
        except SipRefusal as error:
            if error.status >= 500 or error.status == 408:
                self._is_away(name, error)
            else:
                self._refuse(name, error)
        except SipError as error:
            self._is_away(name, error)
        else:
            self._works(name)
            if not body and not state.wanted:
                self._forget(name)
        finally:
            self._busy.discard(name)
            if state.wanted != body:
                self._due[name] = None
            self._news.set()

    def _works(self, name: Name) -> None:
        self._pause_s.pop(name, None)
        is_other = self.refused.pop(name, None) is not None or self.away is not None or not self.has_answered
        self.away, self.has_answered = None, True
        if is_other:
            self._on_change()

    def _is_away(self, name: Name, error: SipError) -> None:
        self._due[name] = None
        self.away = error
        self._on_change()

    def _refuse(self, name: Name, error: SipRefusal) -> None:
        """Postpone a state that the server refuses. The server itself works."""
        shortest, longest = self._times.refused_s
        pause_s = min(2 * self._pause_s.get(name, shortest / 2), longest)
        self._pause_s[name] = pause_s
        self._put_later(name, max(pause_s, min(error.retry_after_s or 0.0, longest)))
        self.refused[name] = error
        self.away, self.has_answered = None, True
        self._on_change()

    def _sweep(self) -> None:
        """Refresh all states: the server has lost one, and may have lost all."""
        now = asyncio.get_running_loop().time()
        if self._swept_at is None or now - self._swept_at >= self._times.sweep_s:
            self._swept_at = now
            for name in self._states:
                if name not in self._busy and name not in self.refused:
                    self._due.setdefault(name)

    def _forget(self, name: Name) -> None:
        del self._states[name]
        self._newest.pop(name, None)
        self._due.pop(name, None)
