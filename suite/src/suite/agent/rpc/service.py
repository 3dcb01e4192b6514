"""The calls of the gRPC API: authentication, limit of streams, and errors."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import grpc

from presence_api.v1 import presence_service_pb2 as api
from suite.agent.api.token import bearer
from suite.agent.rpc import errors
from suite.agent.rpc.errors import StreamRefused
from suite.agent.rpc.requests import Requests
from suite.agent.rpc.stream import ConsoleStream

if TYPE_CHECKING:
    from grpc.aio import ServicerContext

    from suite.agent.answers import RelayAnswers
    from suite.agent.api.sign_in import SignIn

    Context = ServicerContext[bytes, bytes]

log = logging.getLogger(__name__)

SERVICE: Final = api.DESCRIPTOR.services_by_name["PresenceService"].full_name
HEALTH: Final = "grpc.health.v1.Health"
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"


class PresenceService:
    """The relay's `PresenceService`, and `Check` of gRPC's health protocol.

    Attributes:
        is_stopping: True when new streams are refused.
        nobody: set while no stream is open.
    """

    def __init__(self, answers: RelayAnswers, sign_in: SignIn, most: int) -> None:
        """Serve these answers to consoles with the token, at most `most` streams at once."""
        self.is_stopping = False
        self.nobody = asyncio.Event()
        self.nobody.set()
        self._answers = answers
        self._sign_in = sign_in
        self._most = most
        self._streams: dict[ConsoleStream, str] = {}
        """Open stream -> the instance id of its program, empty for none; the oldest first."""

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Return the methods for the gRPC server. Messages are bytes: `Requests` parses them, so that errors have a reason."""
        return (
            grpc.method_handlers_generic_handler(
                SERVICE,
                {
                    "WatchPresence": grpc.stream_stream_rpc_method_handler(self._watch),
                    # The same on the wire as unary-stream, for which gRPC would read the message before the token is checked.
                    "StreamPresence": grpc.stream_stream_rpc_method_handler(self._one),
                },
            ),
            grpc.method_handlers_generic_handler(HEALTH, {"Check": grpc.unary_unary_rpc_method_handler(self._check)}),
        )

    def __len__(self) -> int:
        return len(self._streams)

    def drain(self) -> None:
        """Drain the open streams, and refuse new ones."""
        self.is_stopping = True
        for stream in self._streams:
            stream.leave()

    async def _check(self, _request: bytes, _context: Context) -> bytes:
        return _NOT_SERVING if self.is_stopping else _SERVING

    async def _watch(self, _requests: object, context: Context) -> None:
        await self._serve(context, Requests(context.read, is_one=False))

    async def _one(self, _requests: object, context: Context) -> None:
        await self._serve(context, Requests(context.read, is_one=True))

    async def _serve(self, context: Context, requests: Requests) -> None:
        try:
            error = await self._stream(context, requests)
        except StreamRefused as refused:
            error = refused
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("A stream of the relay's API failed because of a bug. Report it.")
            error = errors.bug()
        if error is not None:
            await context.abort(error.code, error.message, error.trailers())

    async def _stream(self, context: Context, requests: Requests) -> StreamRefused | None:
        self._check_token(context)
        if self.is_stopping:
            raise errors.shutting_down()
        changed = self._sign_in.changed
        start = await requests.start()
        stream = ConsoleStream(self._answers, requests, context.write)
        self._take_place(stream, start.instance_id)
        cut_off = asyncio.create_task(_cut_off(stream, changed), name="rpc-cut-off")
        try:
            return await stream.run(start)
        finally:
            cut_off.cancel()
            self._streams.pop(stream, None)
            if not self._streams:
                self.nobody.set()

    def _check_token(self, context: Context) -> None:
        token = self._sign_in.token
        if token is None:
            return
        offered = [value for name, value in context.invocation_metadata() or () if name == "authorization"]
        given = (
            bearer(offered[0].encode() if isinstance(offered[0], str) else offered[0]) if len(offered) == 1 else None
        )
        if given is not None and token.is_right(given):
            return
        if not self._sign_in.wrong.of(_address(context.peer())).may(time.monotonic()):
            raise errors.busy()
        raise errors.key_unknown()

    def _take_place(self, stream: ConsoleStream, instance_id: str) -> None:
        if self.is_stopping:
            raise errors.shutting_down()
        if len(self._streams) >= self._most:
            same = [one for one, its_id in self._streams.items() if instance_id and its_id == instance_id]
            if not same:
                raise errors.too_many_streams(self._most)
            del self._streams[same[0]]
            same[0].end(errors.replaced())
        self._streams[stream] = instance_id
        self.nobody.clear()


async def _cut_off(stream: ConsoleStream, changed: asyncio.Event) -> None:
    """End a stream when its token is replaced."""
    await changed.wait()
    stream.end(errors.key_unknown())


def _address(peer: str) -> str:
    """Return the IP address from gRPC's name of a peer: `ipv4:10.0.0.1:5555`, `ipv6:%5B::1%5D:5555`."""
    _, _, rest = unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]")
