"""One stream: its start, responses, changes, and its end.

One task sends all responses, and takes them from the watch at the last moment. So newer answers replace those that have not been sent.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from grpc import aio

from suite.agent.api.pace import Pace
from suite.agent.rpc import encode, errors
from suite.agent.rpc.errors import StreamRefused
from suite.agent.rpc.watch import Watch
from suite.chunking import MAX_USERS_A_STREAM
from suite.values import Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from suite.agent.answers import AnswerListener, RelayAnswers
    from suite.agent.rpc.requests import Requests, Start

WRITE_S: Final = 30.0
"""Timeout of one write. A console that reads nothing for this time has stopped reading."""
LINGER_S: Final = 0.02
"""Pause after a response, so that further changes join the next one."""
NAMES_A_BATCH: Final = 2000
"""Limit of names in one response: about 600 kB."""
DRAIN_S: Final = 0.5
"""Time between the drain and the end of a stream."""
NAMES_AT_ONCE: Final = 20_000
NAMES_A_SECOND: Final = 500
"""Rate limit of names in changes, the same as the relay's. The next change is not read before it is due."""


class ConsoleStream:
    """One stream, of either form."""

    def __init__(self, answers: RelayAnswers, requests: Requests, write: Callable[[bytes], Awaitable[Any]]) -> None:
        self._answers = answers
        self._requests = requests
        self._write_bytes = write
        self._ending: asyncio.Future[StreamRefused | None] = asyncio.get_running_loop().create_future()
        self._leaving = asyncio.Event()
        self._taken = asyncio.Event()

    async def run(self, start: Start) -> StreamRefused | None:
        """Serve the stream until it ends. Returns the reason; None when the console half-closed it."""
        with self._answers.listening() as listener:
            watch = Watch(self._answers, listener)
            self._check_room(len(start.subscribe.keys() | start.held.keys()), (*start.subscribe, *start.held))
            outcome = watch.begin(start.subscribe, start.held, start.token)
            tasks: list[asyncio.Task[StreamRefused | None]] = [
                asyncio.create_task(self._send(watch, listener, outcome, start.progress_s), name="rpc-send")
            ]
            tasks.append(asyncio.create_task(self._leave(listener), name="rpc-leave"))
            # The read is not cancelled but ends with the call, because grpcio keeps a cancelled read.
            reading = (
                None if self._requests.is_one else asyncio.create_task(self._change(watch, listener), name="rpc-read")
            )
            awaited: list[asyncio.Future[StreamRefused | None]] = [self._ending, *tasks]
            if reading is not None:
                awaited.append(reading)
            try:
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                ended = [one.result() for one in awaited if one.done()]
                return next((error for error in ended if error is not None), None)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                if reading is not None:
                    reading.add_done_callback(lambda task: task.cancelled() or task.exception())
                self.end(None)

    def end(self, error: StreamRefused | None) -> None:
        """End the stream; the first reason counts."""
        if not self._ending.done():
            self._ending.set_result(error)
        self._taken.set()

    def leave(self) -> None:
        """Ask the console to open another stream, because the agent stops."""
        self._leaving.set()

    async def _leave(self, listener: AnswerListener) -> StreamRefused | None:
        await self._leaving.wait()
        listener.wake()
        await asyncio.sleep(DRAIN_S)
        return errors.shutting_down()

    # Sending

    async def _send(
        self, watch: Watch, listener: AnswerListener, outcome: Outcome, progress_s: float
    ) -> StreamRefused | None:
        await self._write(encode.started(outcome, progress_s, watch.changes_seen))
        told = self._answers.freshness
        await self._write(encode.tenant_status(told, watch.changes_seen))
        is_complete = is_drained = False
        while not listener.is_over:
            is_sent = await self._send_owed(watch, is_complete=is_complete)
            is_complete = True
            if self._answers.freshness.status is not told.status:
                told, is_sent = self._answers.freshness, True
                await self._write(encode.tenant_status(told, watch.changes_seen))
            if self._leaving.is_set() and not is_drained:
                is_drained = True
                await self._write(encode.drain(DRAIN_S, watch.changes_seen))
            if is_sent:
                await asyncio.sleep(LINGER_S)
            try:
                async with asyncio.timeout(progress_s):
                    await listener.wait()
            except TimeoutError:
                if not watch.is_owed:
                    _, token = watch.take(0)
                    await self._write(encode.progress(self._answers.freshness, token, watch.changes_seen))
        return errors.begins_anew()

    async def _send_owed(self, watch: Watch, *, is_complete: bool) -> bool:
        """Send everything that the console has not been sent. Return whether there was anything."""
        is_sent = False
        while True:
            items, token = watch.take(NAMES_A_BATCH)
            self._taken.set()
            if items or not is_complete:
                is_sent = True
                completes = bool(token) and not is_complete
                await self._write(encode.batch(items, token, watch.changes_seen, is_complete=completes))
            if token:
                return is_sent
            await asyncio.sleep(0)  # let other tasks run

    async def _write(self, response: bytes) -> None:
        writing = asyncio.ensure_future(self._write_bytes(response))
        writing.add_done_callback(lambda task: task.cancelled() or task.exception())  # it may outlive this stream
        done, _ = await asyncio.wait({writing}, timeout=WRITE_S)
        if not done:
            raise errors.slow(WRITE_S)
        try:
            writing.result()
        except aio.InternalError:
            # The call has ended, but its reading task has not noticed yet. No reason can be sent any more.
            self.end(None)
            await asyncio.Event().wait()

    # Changes

    async def _change(self, watch: Watch, listener: AnswerListener) -> StreamRefused | None:
        pace, clock = Pace(NAMES_AT_ONCE, 1 / NAMES_A_SECOND), asyncio.get_running_loop().time
        while not self._ending.done():
            asked = await self._requests.change()
            if asked is None or self._ending.done():
                return None
            subscribe, unsubscribe = asked
            self._check_room(len(watch) + len(set(subscribe)), subscribe)
            watch.unsubscribe(unsubscribe)
            # Counted between removals and additions, so that no response with this count has an answer from before.
            watch.changes_seen += 1
            watch.subscribe(subscribe)
            listener.wake()
            # A message without names counts as ten.
            await asyncio.sleep(pace.take(clock(), 10 + len(subscribe) + len(unsubscribe)))
            if watch.has_malformed:  # read the next change only when these were sent, to bound them
                self._taken.clear()
                listener.wake()
                await self._taken.wait()
        return None

    def _check_room(self, names_of_stream: int, new: Any) -> None:
        if names_of_stream > MAX_USERS_A_STREAM:
            raise errors.too_many_users(MAX_USERS_A_STREAM, "stream")
        if not self._answers.has_room_for(new):
            raise errors.too_many_users(MAX_USERS_A_STREAM, "tenant")
