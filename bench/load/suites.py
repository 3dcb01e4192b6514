"""Suites' streams over TLS, with the generated classes: they record the shown presence and its time."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc

from bench.processes import message
from presence_api.v1 import presence_pb2
from presence_api.v1 import presence_service_pb2 as pb
from relay.ops import loop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from multiprocessing.connection import Connection

    from bench.load.rig import Rig

PART: Final = 10_000
"""Maximum number of users in one message."""

Watching = tuple[str, list[str]]
"""A suite key, and the names that it requests."""


class Stream:
    """One stream of a suite, with the received data.

    Attributes:
        users: name -> user id, or the status of a name without a user.
        shown: user id -> availability in Microsoft's spelling; users with a status instead are absent.
        token: the last resume token.
        complete: the time when the snapshot was complete, by the monotonic clock; 0 before.
    """

    def __init__(self) -> None:
        self.users: dict[str, str | int] = {}
        self.shown: dict[str, str] = {}
        self.token = ""
        self.complete = 0.0
        self._call: Any = None
        self._news = asyncio.Event()

    async def run(self, channel: grpc.aio.Channel, key: str, starts: Sequence[bytes]) -> None:
        """Open the stream with these encoded requests and read it until cancelled."""
        call: Any = channel.stream_stream(
            "/relay.api.presence.v1.PresenceService/WatchPresence",
            response_deserializer=pb.WatchPresenceResponse.FromString,
        )
        self._call = call(metadata=[("authorization", f"Bearer {key}")])
        try:
            for start in starts:
                await self._call.write(start)
            async for response in self._call:
                self._take(response)
        finally:
            self._call.cancel()

    async def subscribe(self, names: Sequence[str]) -> None:
        """Watch more users in this stream."""
        await self.change(names, ())

    async def change(self, names: Sequence[str], gone: Sequence[str]) -> None:
        """Watch more users, and stop watching others."""
        change = pb.WatchPresenceRequest.Change(subscribe_users=names, unsubscribe_users=gone)
        await self._call.write(pb.WatchPresenceRequest(change=change).SerializeToString())

    async def until(self, holds: Callable[[], bool], timeout_s: float = 60.0) -> float:
        """Wait until the condition holds after a response; return the time, by the monotonic clock."""
        async with asyncio.timeout(timeout_s):
            while not holds():
                self._news.clear()
                await self._news.wait()
        return time.monotonic()

    def shows(self, name: str) -> str:
        """Return the shown availability of a user; empty if there is none."""
        return self.shown.get(str(self.users.get(name)), "")

    def held(self) -> list[presence_pb2.ResolvedName]:
        """Return the resolved names that the next stream states it holds."""
        return [
            presence_pb2.ResolvedName(user=name, user_id=user)
            for name, user in self.users.items()
            if isinstance(user, str)
        ]

    def _take(self, response: pb.WatchPresenceResponse) -> None:
        batch = response.batch
        for resolved in batch.resolved:
            self.users[resolved.user] = resolved.user_id or int(resolved.unknown_reason)
        for answer in batch.answers:
            if answer.HasField("presence"):
                self.shown[answer.user_id] = answer.presence.raw_availability
            else:
                self.shown.pop(answer.user_id, None)
        if batch.snapshot_complete:
            self.complete = time.monotonic()
        self.token = response.resume_token or self.token
        self._news.set()


def starts(names: Sequence[str], held: Sequence[presence_pb2.ResolvedName] = (), token: str = "") -> list[bytes]:
    """Return the encoded requests that begin a stream, in as many parts as necessary."""
    parts = [pb.WatchStart(subscribe_users=names[first : first + PART]) for first in range(0, len(names), PART)]
    parts += [pb.WatchStart(held_users=held[first : first + PART]) for first in range(0, len(held), PART)]
    parts = parts or [pb.WatchStart()]
    parts[0].resume_token = token
    for part in parts[:-1]:
        part.more_follows = True
    return [pb.WatchPresenceRequest(start=part).SerializeToString() for part in parts]


def channel(address: str, ca_pem: bytes) -> grpc.aio.Channel:
    """Return a separate connection."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(ca_pem), options=options)


@asynccontextmanager
async def watching(rig: Rig, number: int, names: Sequence[str]) -> AsyncIterator[Stream]:
    """Open a stream of one of the rig's organisations."""
    stream = Stream()
    async with channel(rig.address, rig.ca_pem) as connection:
        task = asyncio.create_task(stream.run(connection, rig.suite_keys[number], starts(names)))
        try:
            yield stream
        finally:
            task.cancel()
            await asyncio.wait([task])


# ---- many suites, in a separate process


def watch(pipe: Connection, address: str, ca_pem: bytes, watched: list[Watching]) -> None:
    """Open a stream for each entry; the function of a process. Messages return the users with a presence, or resume a stream."""
    loop.run(_watch(pipe, address, ca_pem, watched))


async def _watch(pipe: Connection, address: str, ca_pem: bytes, watched: list[Watching]) -> None:
    streams = [Stream() for _ in watched]
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        for stream, (key, names) in zip(streams, watched, strict=True):
            connection = await stack.enter_async_context(channel(address, ca_pem))
            tasks.create_task(stream.run(connection, key, starts(names)))
        while True:
            match await message(pipe):
                case ("shown",):
                    pipe.send(sum(len(stream.shown) for stream in streams))
                case ("resume", int(times), float(pause_s)):
                    pipe.send(await _resume(address, ca_pem, watched[0], times, pause_s))


async def _resume(address: str, ca_pem: bytes, watching: Watching, times: int, pause_s: float) -> list[float]:
    """Open a second stream of a suite; close and resume it `times` times; return the seconds of each resume."""
    key, names = watching
    last = await _once(address, ca_pem, key, starts(names))
    taken = []
    for _ in range(times):
        held, token = last.held(), last.token
        encoded = starts((), held, token)
        await asyncio.sleep(pause_s)
        began = time.monotonic()
        resumed = await _once(address, ca_pem, key, encoded)
        taken.append(resumed.complete - began)
        resumed.users = {**last.users, **resumed.users}
        last = resumed
    return taken


async def _once(address: str, ca_pem: bytes, key: str, encoded: Sequence[bytes]) -> Stream:
    """Return a stream that has received its first token after the snapshot."""
    stream = Stream()
    async with channel(address, ca_pem) as connection:
        task = asyncio.create_task(stream.run(connection, key, encoded))
        waiting = asyncio.create_task(stream.until(lambda: bool(stream.complete and stream.token), 120))
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            waiting.cancel()
            task.result()
        await waiting
        task.cancel()
        await asyncio.wait([task])
    return stream
