"""One open stream of either form, on its own connection."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from grpc import aio

from presence_api.v1 import presence_service_pb2 as api
from presence_api.v1 import presence_service_pb2_grpc as rpc
from suite.chunking import changes, start_parts
from suite.explain import ENDED, LOST, ending_of
from suite.values import span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from suite.channel import Target
    from suite.explain import Ending
    from suite.names import Key
    from suite.state import StartUsers, WatchState

    _BidiCall: TypeAlias = aio.StreamStreamCall[api.WatchPresenceRequest, api.WatchPresenceResponse]
    _Call: TypeAlias = _BidiCall | aio.UnaryStreamCall[api.StreamPresenceRequest, api.WatchPresenceResponse]

StreamForm: TypeAlias = Literal["watch", "stream"]
"""`watch` is the bidirectional form, `stream` the form for clients that cannot stream requests."""

FIRST_RESPONSE_S: Final = 60.0
"""Timeout of the first response: the parts of a start have 30 s to arrive, and the relay must read a snapshot."""
PROGRESS_S: Final = 25.0
"""The progress interval, unless the relay's first response has another one."""
MIN_PROGRESS_S: Final = 0.5
"""Lower limit, so that an invalid value does not end every stream. The protocol's own limit is 5 s."""
MISSED_PROGRESS: Final = 3
"""Progress intervals without a response after which the stream counts as dead, even if the connection is not."""


class StreamEnded(Exception):
    """The stream has ended. `ending` has the reason."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.code.name)
        self.ending = ending


class Stream:
    """One stream: it sends the watched names to the relay, and returns the responses in order.

    A separate task sends changes of users, so that a relay that does not read them blocks nothing here. Responses are not read
    ahead: flow control reaches the relay when `next` is not called.
    """

    def __init__(
        self, target: Target, form: StreamForm, start: StartUsers, base: api.WatchStart, key: str, state: WatchState
    ) -> None:
        self.start = start
        self.has_begun = False
        """True once the first response has arrived."""
        self.ends_at = math.inf
        """Time by the loop's clock at which the relay ends the stream."""
        self.leave_at = math.inf
        """Time by the loop's clock at which to replace the stream."""
        self._form = form
        self._state = state
        self._sent = dict(start.sent)
        self._dirty: dict[Key, None] = {}
        self._changed = asyncio.Event()
        self._progress_s = 0.0
        self._reading: asyncio.Task[api.WatchPresenceResponse] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._channel = target.open()
        self._call = self._open(start_parts(start, base), (("authorization", f"Bearer {key}"),))

    def update(self, keys: Iterable[Key]) -> None:
        """Send the changed state of these names with the next change."""
        self._dirty.update(dict.fromkeys(keys))
        self._changed.set()

    @property
    def is_behind(self) -> bool:
        """Return True when the watched users differ from those sent. Only the form `stream` stays behind."""
        return any(self._differs(key) for key in self._dirty)

    async def next(self, patience_s: float, turn: asyncio.Event) -> api.WatchPresenceResponse | None:
        """Return the next response; None when `turn` was set or `patience_s` passed first.

        Raises:
            StreamEnded: there is no next response.
        """
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="suite-read")
        silence_s = self._progress_s * MISSED_PROGRESS or FIRST_RESPONSE_S
        turned = asyncio.create_task(turn.wait(), name="suite-turn")
        awaited: set[asyncio.Task[Any]] = {self._reading, turned}
        if self._writing is not None and not self._writing.done():
            awaited.add(self._writing)
        try:
            await asyncio.wait(
                awaited, timeout=max(0.0, min(silence_s, patience_s)), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            turned.cancel()
        return self._outcome(is_silent=silence_s <= patience_s and not any(task.done() for task in awaited))

    def _outcome(self, *, is_silent: bool) -> api.WatchPresenceResponse | None:
        if is_silent:
            raise StreamEnded(LOST)
        if self._writing is not None and self._writing.done():
            self._writing.result()
        if self._reading is None or not self._reading.done():
            return None
        reading, self._reading = self._reading, None
        response = reading.result()
        self._note_progress_interval(response)
        return response

    async def close(self) -> None:
        """End the stream and its connection. Does nothing when it has ended already."""
        tasks = [task for task in (self._reading, self._writing) if task is not None]
        self._call.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._channel.close()

    # Reading

    async def _read(self) -> api.WatchPresenceResponse:
        try:
            response = await self._call.read()
        except aio.AioRpcError as error:
            raise StreamEnded(ending_of(error)) from None
        if not isinstance(response, api.WatchPresenceResponse):  # aio.EOF
            raise StreamEnded(ENDED)
        return response

    def _note_progress_interval(self, response: api.WatchPresenceResponse) -> None:
        self._progress_s = self._progress_s or PROGRESS_S
        if response.started.HasField("progress_interval"):
            interval = span(response.started.progress_interval)
            self._progress_s = PROGRESS_S if interval is None else max(interval.total_seconds(), MIN_PROGRESS_S)

    # Writing

    def _open(self, parts: list[api.WatchStart], metadata: tuple[tuple[str, str], ...]) -> _Call:
        stub = rpc.PresenceServiceStub(self._channel)
        if self._form == "stream":
            return stub.StreamPresence(api.StreamPresenceRequest(start=parts[0]), metadata=metadata)
        call = stub.WatchPresence(metadata=metadata)
        self._writing = asyncio.create_task(self._write(call, parts), name="suite-write")
        return call

    async def _write(self, call: _BidiCall, parts: list[api.WatchStart]) -> None:
        # A write fails because the call has ended; `_read` raises the reason.
        with contextlib.suppress(aio.AioRpcError, aio.UsageError, asyncio.InvalidStateError):
            while parts:
                await call.write(api.WatchPresenceRequest(start=parts.pop(0)))
            while True:
                await self._changed.wait()
                self._changed.clear()
                for change in self._due():
                    await call.write(api.WatchPresenceRequest(change=change))

    def _due(self) -> list[api.WatchPresenceRequest.Change]:
        """Return the changes that the relay does not have yet, and record them as sent."""
        keys, self._dirty = [key for key in self._dirty if self._differs(key)], {}
        subscribe, unsubscribe = [], []
        for key in keys:
            wanted = self._state.wanted(key)
            if wanted is None:
                unsubscribe.append(key)
                del self._sent[key]
            else:
                subscribe.append(wanted[0])
                self._sent[key] = wanted[1]
        return list(changes(subscribe, unsubscribe))

    def _differs(self, key: Key) -> bool:
        wanted = self._state.wanted(key)
        return self._sent.get(key) != (wanted and wanted[1])
