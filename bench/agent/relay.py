"""A bare relay over TLS: it sends all people's presence to every stream, then changes one person after another, on schedule.

`observe_time` of an answer is the time at which it is written, in microseconds, so that a reader can compute its age.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import grpc
from grpc import aio

from bench.processes import message
from presence_api.v1 import presence_pb2 as pb
from presence_api.v1 import presence_service_pb2 as api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from multiprocessing.connection import Connection

Response = api.WatchPresenceResponse
_SERVICE: Final = api.DESCRIPTOR.services_by_name["PresenceService"].full_name
_PAGE: Final = 1000
_STATUSES: Final = (pb.CONSOLE_STATUS_BUSY, pb.CONSOLE_STATUS_AWAY, pb.CONSOLE_STATUS_AVAILABLE)


def upn(number: int) -> str:
    """Return the name of a colleague."""
    return f"colleague{number}@contoso.example"


def serve(pipe: Connection, certificate: bytes, key: bytes) -> None:
    """Run the relay and send its port. Each message (rate, seconds) plays changes, and is answered with their number."""
    asyncio.run(_serve(pipe, certificate, key))


async def _serve(pipe: Connection, certificate: bytes, key: bytes) -> None:
    server, relay = aio.server(), _Relay()
    server.add_generic_rpc_handlers([relay.handler()])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    await server.start()
    pipe.send(port)
    while True:
        rate, seconds = await message(pipe)
        pipe.send(await relay.play(rate, seconds))


class _Relay:
    """Sends the same to all streams."""

    def __init__(self) -> None:
        self._streams: set[asyncio.Queue[Response]] = set()
        self._played = 0
        self._names: list[str] = []

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the one method that suites and agents use by default."""
        watch = grpc.stream_stream_rpc_method_handler(
            self._watch, api.WatchPresenceRequest.FromString, Response.SerializeToString
        )
        return grpc.method_handlers_generic_handler(_SERVICE, {"WatchPresence": watch})

    async def _watch(
        self, requests: AsyncIterator[api.WatchPresenceRequest], _context: object
    ) -> AsyncIterator[Response]:
        """Send the presence of all people, then each change."""
        names: list[str] = []
        async for request in requests:
            names += request.start.subscribe_users
            if not request.start.more_follows:
                break
        self._names = max(self._names, names, key=len)
        yield Response(started=Response.Started(outcome=Response.OUTCOME_SNAPSHOT))
        for start in range(0, len(names), _PAGE):
            yield _page(names[start : start + _PAGE], is_last=start + _PAGE >= len(names))
        yield Response(tenant_status=Response.TenantStatus())
        queue: asyncio.Queue[Response] = asyncio.Queue()
        self._streams.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._streams.discard(queue)

    async def play(self, rate: float, seconds: float) -> int:
        """Change one person after another, evenly; return the number of changes."""
        began, count = time.monotonic(), int(rate * seconds)
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            name = self._names[self._played % len(self._names)]
            status = _STATUSES[self._played // len(self._names) % len(_STATUSES)]
            self._played += 1
            change = Response(batch=Response.Batch(answers=[_answer(name, status)]), resume_token=str(self._played))
            for queue in self._streams:
                queue.put_nowait(change)
        return count


def _page(names: list[str], *, is_last: bool) -> Response:
    return Response(
        batch=Response.Batch(
            resolved=[pb.ResolvedName(user=name, user_id=name) for name in names],
            answers=[_answer(name, pb.CONSOLE_STATUS_AVAILABLE) for name in names],
            snapshot_complete=is_last,
        ),
        resume_token="begun" if is_last else "",
    )


def _answer(name: str, status: pb.ConsoleStatus.ValueType) -> pb.UserAnswer:
    presence = pb.UserPresence(
        upn=name, raw_availability="Available", raw_activity="Available", console_status=status,
        availability=pb.AVAILABILITY_AVAILABLE,
    )  # fmt: skip
    presence.observe_time.FromNanoseconds(time.time_ns() // 1000 * 1000)
    return pb.UserAnswer(user_id=name, presence=presence)
