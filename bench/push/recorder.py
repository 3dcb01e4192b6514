"""A suite in a separate process that records each presence it receives, with the time."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import grpc

from bench.load.suites import Stream, Watching, channel, starts
from bench.processes import Child, message
from bench.push.judge import Sighting
from relay.ops import loop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

    from bench.load.rig import Relay
    from presence_api.v1 import presence_service_pb2 as pb

_LOOK_S = 0.2
_AGAIN_S = 0.5


class _Recording(Stream):
    """A stream that records every presence."""

    def __init__(self, noted: list[Sighting]) -> None:
        super().__init__()
        self._noted = noted

    def _take(self, response: pb.WatchPresenceResponse) -> None:
        now = time.time()
        for answer in response.batch.answers:
            if answer.HasField("presence"):
                state = (answer.presence.raw_availability, answer.presence.raw_activity)
                self._noted.append(Sighting(now, answer.user_id, state))
        super()._take(response)


class Recorder(Child):
    """Suites of one relay: one stream for each organisation."""

    def __init__(self, relay: Relay, names: Sequence[list[str]]) -> None:
        super().__init__(_record, relay.address, relay.ca_pem, list(zip(relay.suite_keys, names, strict=True)))

    def until_all_are_shown(self, users: int, timeout_s: float) -> None:
        """Wait until `users` users have a presence.

        Raises:
            TimeoutError: they do not have one in time.
        """
        deadline = time.monotonic() + timeout_s
        while (shown := self.ask("shown", timeout_s=timeout_s)) < users:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{shown} of {users} users have a presence after {timeout_s:g} s")
            time.sleep(_LOOK_S)

    def take(self) -> list[Sighting]:
        """Return the states shown since the last call, in order."""
        found: list[Sighting] = self.ask("take", timeout_s=600)
        return found


def _record(pipe: Connection, address: str, ca_pem: bytes, watched: list[Watching]) -> None:
    loop.run(_watch(pipe, address, ca_pem, watched))


async def _keep(stream: Stream, connection: grpc.aio.Channel, key: str, encoded: Sequence[bytes]) -> None:
    """Read a stream, and open another when it ends: edges move streams every hour."""
    while True:
        with suppress(grpc.aio.AioRpcError):
            await stream.run(connection, key, encoded)
        await asyncio.sleep(_AGAIN_S)


async def _watch(pipe: Connection, address: str, ca_pem: bytes, watched: list[Watching]) -> None:
    noted: list[Sighting] = []
    streams = [_Recording(noted) for _ in watched]
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        for stream, (key, names) in zip(streams, watched, strict=True):
            connection = await stack.enter_async_context(channel(address, ca_pem))
            tasks.create_task(_keep(stream, connection, key, starts(names)))
        while True:
            match await message(pipe):
                case ("shown",):
                    pipe.send(sum(len(stream.shown) for stream in streams))
                case ("take",):
                    pipe.send(list(noted))
                    noted.clear()
