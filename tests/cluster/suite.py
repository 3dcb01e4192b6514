"""A suite beside a cluster: it reaches edges through one port, which leads each connection to a pod that is ready, and it holds what it was told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from suite.backoff import Backoff
from suite.client import PresenceClient
from suite.events import Changed, Connected, Reset
from suite.values import Outcome
from tests.edge.worker import PlayedWorker, name, user
from tests.support.loopback import LoopbackServer, pump
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

EVERY_S: Final = 0.1
"""Time between two changes."""


class Door(LoopbackServer):
    """A port of this machine that leads each new connection to an edge that is ready then, as a Service does.

    Args:
        way: opens a way to such an edge; gives a port of this machine that leads to it.
    """

    def __init__(self, way: Callable[[], AbstractAsyncContextManager[int]]) -> None:
        super().__init__()
        self._way = way

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one connection."""
        async with self._way() as port:
            edge_reader, edge_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(pump(reader, edge_writer), pump(edge_reader, writer))


class WatchingSuite:
    """A suite that watches users while a played worker changes them all the time.

    Attributes:
        outcomes: how each of its streams began.
        faults: what a suite must never be told, in words.
    """

    def __init__(self, worker: PlayedWorker, users: int) -> None:
        self.outcomes: list[Outcome] = []
        self.faults: list[str] = []
        self._worker = worker
        self._users = users
        self._written: dict[str, str] = {}
        self._shown: dict[str, str] = {}
        self._is_over = asyncio.Event()

    @asynccontextmanager
    async def watching(self, port: int, key: str, ca_pem: bytes, server_name: str) -> AsyncIterator[None]:
        """Watch through a port of this machine while the context lasts; changes go on for as long, and the last arrive before it ends."""
        await self._worker.resolve({name(number): user(number) for number in range(self._users)})
        await self._change(0)
        client = PresenceClient(
            f"127.0.0.1:{port}",
            key,
            ca_pem=ca_pem,
            server_name=server_name,
            proxy="",
            users=[name(number) for number in range(self._users)],
            progress_interval=timedelta(seconds=5),
            backoff=Backoff(lambda _, high: min(high, 0.5)),
        )
        async with client:
            reading, changing = asyncio.create_task(self._read(client)), asyncio.create_task(self._go_on_changing())
            try:
                yield
                self._is_over.set()
                await changing
                await eventually(self.is_up_to_date)
            finally:
                for task in (reading, changing):
                    task.cancel()
                await asyncio.gather(reading, changing, return_exceptions=True)

    def is_up_to_date(self) -> bool:
        """Return whether the suite shows of everybody what was written last."""
        return bool(self._written) and self._shown == self._written

    async def _go_on_changing(self) -> None:
        for number in count(1):
            await self._change(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_over.wait(), EVERY_S)
                return

    async def _change(self, number: int) -> None:
        """Change one user in ten, and everybody at first."""
        changed = range(self._users) if number == 0 else range(number % 10, self._users, 10)
        activities = {user(each): f"activity-{number}" for each in changed}
        self._written |= activities
        await self._worker.found(activities)

    async def _read(self, client: PresenceClient) -> None:
        async for event in client.events():
            self._note(event)

    def _note(self, event: Any) -> None:
        match event:
            case Connected(outcome=outcome):
                self.outcomes.append(outcome)
                if outcome is Outcome.RESET or (outcome is Outcome.SNAPSHOT and len(self.outcomes) > 1):
                    self.faults.append(f"stream {len(self.outcomes)} began with {outcome}")
            case Reset(kept=kept):
                self.faults.append(f"a reset, kept={kept}")
            case Changed(user_id=user_id, presence=None, status=status):
                self.faults.append(f"{user_id} was shown as {status}")
            case Changed(user_id=user_id, presence=presence):
                self._shown[user_id] = presence.raw_activity
