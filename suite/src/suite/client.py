"""The client: it watches users, yields events, and resumes its stream after a break."""

from __future__ import annotations

import asyncio
import math
import os
import random
import secrets
from collections import deque
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from presence_api.v1 import presence_service_pb2 as api
from suite import events as ev
from suite.backoff import Backoff
from suite.channel import target
from suite.chunking import MAX_USERS_A_MESSAGE, MAX_USERS_A_STREAM
from suite.errors import Refused, TooManyUsers
from suite.explain import Remedy, explain
from suite.held import Answer, Held, Resolution
from suite.inputs import checked_key
from suite.state import WatchState
from suite.stream import Stream, StreamEnded, StreamForm
from suite.values import span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from types import TracebackType

    from suite.channel import Target
    from suite.explain import Ending
    from suite.names import Key

EVENTS_AHEAD: Final = 1000
"""Events that may wait before the client stops reading responses. The relay then sends only the newest answers."""
HANDOVER_SHARE: Final = 0.8
"""Share of a drain's delay within which the new stream is opened, at a random time. The rest is for opening it."""
HANDOVER_S: Final = 10.0
"""Timeout for the new stream to begin. After it, the client keeps the old stream."""
LEAST_HANDOVER_S: Final = 0.25
"""With less time than this left, the client lets the old stream end and then resumes."""
REGROUP_S: Final = 0.05
"""Time for which the form `stream` collects changes of users before it replaces its stream."""


class PresenceClient:
    """Watches the presence of a changing set of users over one stream, which it renews when necessary.

    Events are level-triggered: they report the latest answer of each watched user, not every one in between. After a break the
    client resumes with jittered backoff, and reports all changes since. Between `Disconnected` and the next
    `SnapshotComplete`, the answers that it holds may be wrong. One task must read `events` continuously: without a reader the
    client stops reading the stream, and after half a minute the relay ends it. The client then resumes.

    Use it as an async context manager: it connects on entering and closes its stream on leaving.
    """

    def __init__(
        self,
        address: str,
        key: str,
        *,
        ca_pem: bytes | None = None,
        form: StreamForm = "watch",
        proxy: str | None = None,
        server_name: str | None = None,
        client_name: str = "presence-suite",
        version: str = "",
        instance_id: str | None = None,
        users: Iterable[str] = (),
        held: Held | None = None,
        progress_interval: timedelta | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        """Check the settings; nothing is sent yet.

        Args:
            address: `host[:port]` of the relay; the port is 443 when left out.
            key: the suite key, `psk_…`.
            ca_pem: the certificates to trust; None for gRPC's own.
            form: `watch`, or `stream`: the form for clients that cannot stream requests.
            proxy: the HTTP proxy's URL. None uses HTTPS_PROXY and NO_PROXY, "" connects directly.
            server_name: the name in the relay's certificate, if it differs from the address.
            client_name: the product's name, for the operator's logs.
            version: the product's version.
            instance_id: identifies this program among those with the same key. When the organisation has no stream left, a new stream
                replaces the oldest with the same id. At most 64 characters. None creates one at each start; empty sends none.
            users: names to watch from the start: UPNs or object ids.
            held: the names and answers that an earlier client of the same organisation held. The relay then sends only changes.
            progress_interval: interval of `Progress` events; None for the relay's default.
            backoff: the waits between streams.

        Raises:
            ConfigError: a setting is invalid.
            TooManyUsers: more users than one stream may watch.
        """
        self._target: Target = target(
            address, ca_pem=ca_pem, server_name=server_name, proxy=proxy, environ=dict(os.environ)
        )
        self._key = checked_key(key)
        self._form: StreamForm = form
        instance_id = secrets.token_hex(16) if instance_id is None else instance_id
        client = api.SuiteClient(name=client_name, version=version, instance_id=instance_id)
        self._base = api.WatchStart(client=client)
        if progress_interval is not None:
            self._base.progress_interval.FromTimedelta(progress_interval)
        self._backoff = backoff or Backoff()
        self._state = WatchState()
        self._streams: list[Stream] = []
        self._events: deque[ev.Event] = deque()
        self._available = asyncio.Event()
        self._room = asyncio.Event()
        self._users_changed = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._began_at: float | None = None
        self._add(users)
        self._state.restore(held or Held())

    # Public state

    @property
    def answers(self) -> Mapping[str, Answer]:
        """Return user_id -> the newest answer, which may be uncertain after a reset. A user without an answer is absent."""
        return MappingProxyType(self._state.shown)

    @property
    def names(self) -> Mapping[str, Resolution]:
        """Return a copy: each watched name, as it was given -> its resolution; PENDING until the relay has resolved it."""
        return self._state.names

    def find(self, name: str) -> tuple[Resolution | None, Answer | None]:
        """Return the resolution of a name, in any spelling, and the user's answer. Each is None when there is none."""
        return self._state.find(name)

    def held(self, names: Iterable[str]) -> Held:
        """Return the state of these names, to store for a restart. Names that the client does not hold are left out.

        Store its parts together: the token is valid only with the names and answers of the same moment. While `has_events`, the
        state is newer than the events that were read.
        """
        return self._state.held(_listed(names))

    async def events(self) -> AsyncIterator[ev.Event]:
        """Yield events for as long as the client is open. One task may read them.

        Raises:
            Refused: the relay refuses this suite; the client has stopped.
        """
        while True:
            while self._events:
                event = self._events.popleft()
                if len(self._events) < EVENTS_AHEAD:
                    self._room.set()
                yield event
            if self._running is None:
                return
            if self._running.done():
                await self._running  # raises the error that stopped the client
                return
            self._available.clear()
            await self._available.wait()

    @property
    def has_events(self) -> bool:
        """True while events wait to be read. `find` already includes them."""
        return bool(self._events)

    async def subscribe(self, users: Iterable[str]) -> None:
        """Watch these names too. Each gets events with its answer. A name that is watched already is ignored.

        Raises:
            TooManyUsers: one stream may not watch so many; nothing was changed.
        """
        self._add(users)

    async def unsubscribe(self, users: Iterable[str]) -> None:
        """Stop watching these names, in any spelling. Names that are not watched are ignored."""
        self._send_changes(self._state.unsubscribe(_listed(users)))

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run(), name="suite-client")
        self._running.add_done_callback(lambda _: self._available.set())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        running, self._running = self._running, None
        self._available.set()
        if running is not None:
            running.cancel()
            await asyncio.wait({running})
            if not running.cancelled():
                running.exception()  # marks it as retrieved; `events` raises it to a reader

    # Users

    def _add(self, users: Iterable[str]) -> None:
        users = _listed(users)
        most = MAX_USERS_A_STREAM if self._form == "watch" else MAX_USERS_A_MESSAGE
        if self._state.count_after(users) > most:
            raise TooManyUsers(f"One stream of this form watches at most {most:,} users.")
        new, seen = self._state.subscribe(users)
        self._emit(seen)
        self._send_changes(new)

    def _send_changes(self, keys: Iterable[Key]) -> None:
        keys = list(keys)
        if not keys:
            return
        for stream in self._streams:
            stream.update(keys)
        if self._form == "stream":
            self._users_changed.set()

    # Running

    async def _run(self) -> None:
        """Keep a stream open until the relay refuses the suite."""
        while True:
            self._began_at = None
            try:
                await self._follow(self._open())
            except StreamEnded as ended:
                wait = self._wait_after(ended.ending)
                self._emit([ev.Disconnected(explain(ended.ending, self._target), wait, ended.ending.reason)])
            finally:
                for stream in list(self._streams):
                    await self._close(stream)
            await asyncio.sleep(wait.total_seconds())

    async def _follow(self, stream: Stream) -> None:
        """Read the stream, and those that replace it after a drain, until one ends with StreamEnded."""
        while True:
            now = self._now()
            if stream.leave_at <= now:
                stream = await self._hand_over(stream)
            elif self._users_changed.is_set():
                stream = await self._regroup(stream)
            response = await stream.next(stream.leave_at - now, self._users_changed)
            if response is not None:
                await self._take(stream, response)

    async def _take(self, stream: Stream, response: api.WatchPresenceResponse) -> None:
        """Apply one response. Returns when there is room for the next."""
        if not stream.has_begun:
            stream.has_begun = True
            self._state.began(stream.start)
            self._began_at = self._began_at or self._now()
        if response.HasField("drain"):
            delay_s = (span(response.drain.delay) or timedelta(0)).total_seconds()
            stream.ends_at = self._now() + delay_s
            stream.leave_at = self._now() + random.uniform(0, delay_s * HANDOVER_SHARE)  # noqa: S311
        self._emit(self._state.apply(response))
        while len(self._events) >= EVENTS_AHEAD:
            self._room.clear()
            await self._room.wait()

    async def _hand_over(self, old: Stream) -> Stream:
        """Replace a stream that is being drained, and return the one to read. The new one opens first, so that no change is late.

        The old stream is not read while the new one begins: its answers could be newer than the new one's snapshot, and
        older answers would then follow them. If the new stream does not begin, the client keeps the old one and tries again
        while there is time, because a load balancer may route the first attempts to the process that stops.
        """
        if self._form == "stream":
            await self._close(old)
            return self._open()
        old.leave_at = math.inf
        new = self._open()
        try:
            response = await new.next(min(HANDOVER_S, max(old.ends_at - self._now(), 1.0)), asyncio.Event())
        except StreamEnded as ended:
            if ended.ending.remedy is Remedy.STOP:
                raise
            response = None
        if response is None:
            await self._close(new)
            left_s = old.ends_at - self._now()
            if left_s > LEAST_HANDOVER_S:
                old.leave_at = self._now() + left_s * random.uniform(0.25, 0.5)  # noqa: S311
            return old
        await self._close(old)
        await self._take(new, response)
        return new

    async def _regroup(self, stream: Stream) -> Stream:
        """Replace a stream of the form `stream`, which takes no changes, with one that starts with the current users."""
        await asyncio.sleep(REGROUP_S)
        self._users_changed.clear()
        if not stream.is_behind:
            return stream
        await self._close(stream)
        return self._open()

    def _wait_after(self, ending: Ending) -> timedelta:
        """Return the wait before the next stream.

        Raises:
            Refused: the relay refuses this suite, so there is no next stream.
        """
        remedy = ending.remedy
        if remedy is Remedy.STOP:
            raise Refused(explain(ending, self._target), reason=ending.reason or ending.code.name)
        if remedy is Remedy.WITHOUT_TOKEN:
            self._emit(self._state.forget_token())
        lasted = timedelta(seconds=self._now() - self._began_at) if self._began_at else timedelta(0)
        return self._backoff.after(lasted, at_once=remedy is not Remedy.BACK_OFF, at_least=ending.wait_at_least)

    def _open(self) -> Stream:
        self._users_changed.clear()
        stream = Stream(self._target, self._form, self._state.start(), self._base, self._key, self._state)
        self._streams.append(stream)
        return stream

    async def _close(self, stream: Stream) -> None:
        self._streams.remove(stream)
        await stream.close()

    def _emit(self, events: Iterable[ev.Event]) -> None:
        self._events.extend(events)
        self._available.set()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _listed(users: Iterable[str]) -> list[str]:
    """Return the names as a list. A string counts as one name."""
    return [users] if isinstance(users, str) else list(users)
