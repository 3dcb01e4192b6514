"""The suite of a neighbour, in a separate process: it watches many users, changes its list, and reconnects."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import grpc

from bench.load.suites import Stream, channel, starts
from bench.processes import Child, ChildFailed, message
from relay.ops import loop

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from multiprocessing.connection import Connection
    from typing import Any

    from bench.load.rig import Relay

_LOOK_S: Final = 0.2
_ANSWER_S: Final = 60.0


class NoisySuite(Child):
    """The suite. `open` and `close` may follow each other any number of times."""

    def __init__(self, relay: Relay, key: str) -> None:
        super().__init__(_serve, relay.address, relay.ca_pem, key)

    def open(self, names: Sequence[str], watched: int) -> None:
        """Watch the first `watched` of these names; `stir` swaps them for the others."""
        self.tell("open", list(names), watched)

    def until_shown(self, users: int, timeout_s: float) -> None:
        """Wait until `users` users have a presence.

        Raises:
            ChildFailed: they do not have one in time.
        """
        deadline = time.monotonic() + timeout_s
        while (shown := self.shown()) < users:
            if time.monotonic() > deadline:
                raise ChildFailed(f"{shown} of the neighbour's {users} users have a presence after {timeout_s:g} s")
            time.sleep(_LOOK_S)

    def shown(self) -> int:
        """Return the number of users with a presence."""
        return int(self.ask("shown", timeout_s=_ANSWER_S))

    def stir(self, changes_a_second: float, reconnect_s: float) -> None:
        """Swap users at this rate, and reconnect every `reconnect_s` seconds, until it is closed; 0: never."""
        self.tell("stir", changes_a_second, reconnect_s)

    def close(self) -> tuple[int, int]:
        """Close the stream; return the number of changes of the list, and of reconnects."""
        changes, reconnects = self.ask("close", timeout_s=_ANSWER_S)
        return int(changes), int(reconnects)


def _serve(pipe: Connection, address: str, ca_pem: bytes, key: str) -> None:
    loop.run(_obey(pipe, _Suite(address, ca_pem, key)))


async def _obey(pipe: Connection, suite: _Suite) -> None:
    while True:
        match await message(pipe):
            case ("open", list(names), int(watched)):
                suite.open(names, watched)
            case ("shown",):
                pipe.send(len(suite.stream.shown))
            case ("stir", float(changes_a_second), float(reconnect_s)):
                suite.stir(changes_a_second, reconnect_s)
            case ("close",):
                await suite.close()
                pipe.send((suite.changes, suite.reconnects))


class _Suite:
    """The state of the process: one stream, and the tasks that disturb it.

    Attributes:
        stream: the current stream.
        changes: number of changes of the list since the suite was opened.
        reconnects: number of reconnects since then.
    """

    def __init__(self, address: str, ca_pem: bytes, key: str) -> None:
        self.stream = Stream()
        self.changes = self.reconnects = 0
        self._where = address, ca_pem
        self._key = key
        self._names: list[str] = []
        self._watched = 0
        self._reading: asyncio.Task[None] | None = None
        self._stirring: list[asyncio.Task[None]] = []

    def open(self, names: list[str], watched: int) -> None:
        self._names, self._watched = names, watched
        self.changes = self.reconnects = 0
        self._begin(Stream(), starts(names[:watched]))

    def stir(self, changes_a_second: float, reconnect_s: float) -> None:
        work: list[Coroutine[Any, Any, None]] = []
        if changes_a_second:
            work.append(self._change(1 / changes_a_second))
        if reconnect_s:
            work.append(self._reconnect(reconnect_s))
        self._stirring = [asyncio.create_task(each) for each in work]

    async def close(self) -> None:
        for task in self._stirring:
            task.cancel()
        await asyncio.gather(*self._stirring, return_exceptions=True)
        await self._end()

    async def _change(self, pause_s: float) -> None:
        """Swap the user watched for longest for the next in the list, by the clock, which makes up for delays."""
        await self.stream.until(lambda: bool(self.stream.token))
        began = time.monotonic()
        for number in itertools.count():
            await asyncio.sleep(max(0.0, began + number * pause_s - time.monotonic()))
            old, new = (self._names[(number + step) % len(self._names)] for step in (0, self._watched))
            await self.stream.change([new], [old])
            self.changes += 1

    async def _reconnect(self, pause_s: float) -> None:
        """Close the stream and resume it, once its snapshot is complete."""
        while True:
            await self.stream.until(lambda: bool(self.stream.complete and self.stream.token), timeout_s=600)
            await asyncio.sleep(pause_s)
            held, token, users, shown = self.stream.held(), self.stream.token, self.stream.users, self.stream.shown
            await self._end()
            resumed = Stream()
            resumed.users, resumed.shown = users, shown
            self._begin(resumed, starts((), held, token))
            self.reconnects += 1

    def _begin(self, stream: Stream, encoded: Sequence[bytes]) -> None:
        self.stream = stream
        self._reading = asyncio.create_task(self._read(stream, encoded))

    async def _read(self, stream: Stream, encoded: Sequence[bytes]) -> None:
        with suppress(grpc.aio.AioRpcError):
            async with channel(*self._where) as connection:
                await stream.run(connection, self._key, encoded)

    async def _end(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None
