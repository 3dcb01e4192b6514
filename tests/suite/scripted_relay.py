"""A relay that does what the test says: each stream that a suite opens is handed to the test."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from grpc_status import rpc_status

from presence_api.v1 import presence_pb2 as pb
from presence_api.v1 import presence_service_pb2 as api
from presence_api.v1 import presence_service_pb2_grpc as rpc

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    import trustme

PATIENCE_S = 15

Response = api.WatchPresenceResponse


class OpenedStream:
    """One stream of a suite. The test sends through it; what the suite sent is in `starts` and `changes`."""

    def __init__(self, metadata: dict[str, str]) -> None:
        self.metadata = metadata
        self.starts: list[api.WatchStart] = []
        self.changes: list[api.WatchPresenceRequest.Change] = []
        self.closed = asyncio.Event()
        self._out: asyncio.Queue[Response | Callable[[aio.ServicerContext], object] | None] = asyncio.Queue()
        self._news = asyncio.Event()

    # What the test sees

    @property
    def token(self) -> str:
        return self.starts[0].resume_token

    @property
    def asked(self) -> list[str]:
        return [name for part in self.starts for name in part.subscribe_users]

    @property
    def held(self) -> dict[str, str]:
        return {
            r.user: r.user_id or pb.UnknownReason.Name(r.unknown_reason)
            for part in self.starts
            for r in part.held_users
        }

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    # What the test does

    def send(self, **fields: object) -> None:
        self._out.put_nowait(Response(**fields))

    def started(self, outcome: int = Response.OUTCOME_SNAPSHOT, **fields: object) -> None:
        self.send(started=Response.Started(outcome=outcome), **fields)

    def batch(
        self,
        resolved: dict[str, str | int] | None = None,
        answers: dict[str, str | int] | None = None,
        *,
        complete: bool = False,
        token: str = "",
    ) -> None:
        """Names -> user_id or status; user ids -> raw availability or status."""
        self.send(
            batch=Response.Batch(
                resolved=[resolution(name, to) for name, to in (resolved or {}).items()],
                answers=[answer(user_id, to) for user_id, to in (answers or {}).items()],
                snapshot_complete=complete,
            ),
            resume_token=token,
        )  # fmt: skip

    def fail(self, code: grpc.StatusCode, reason: str, retry: timedelta | None = None, **metadata: str) -> None:
        details = [_any(error_details_pb2.ErrorInfo(reason=reason, domain="presence.relay", metadata=metadata))]
        if retry is not None:
            info = error_details_pb2.RetryInfo()
            info.retry_delay.FromTimedelta(retry)
            details.append(_any(info))
        status = status_pb2.Status(code=code.value[0], message="internal text", details=details)
        self._out.put_nowait(lambda context: context.abort_with_status(rpc_status.to_status(status)))

    def fail_bare(self, code: grpc.StatusCode, details: str = "") -> None:
        self._out.put_nowait(lambda context: context.abort(code, details))

    def end(self) -> None:
        self._out.put_nowait(None)

    # Serving

    def note(self, request: api.WatchPresenceRequest) -> None:
        if request.HasField("start"):
            self.starts.append(request.start)
        else:
            self.changes.append(request.change)
        self._news.set()

    @property
    def has_start(self) -> bool:
        return bool(self.starts) and not self.starts[-1].more_follows

    async def serve(self, context: aio.ServicerContext) -> None:
        try:
            while (step := await self._out.get()) is not None:
                if isinstance(step, Response):
                    await context.write(step)
                else:
                    await step(context)
        finally:
            self.closed.set()


class ScriptedRelay(rpc.PresenceServiceServicer):
    """Accepts every suite; `stream()` is the next stream that was opened and told its whole start."""

    def __init__(self) -> None:
        self._opened: asyncio.Queue[OpenedStream] = asyncio.Queue()
        self.port = 0
        self.open_now = 0
        self._server: aio.Server | None = None

    async def WatchPresence(self, request_iterator, context):  # noqa: N802
        stream = OpenedStream(dict(context.invocation_metadata()))

        async def read() -> None:
            with contextlib.suppress(aio.UsageError, aio.AioRpcError, aio.InternalError):
                async for request in request_iterator:
                    had_start = stream.has_start
                    stream.note(request)
                    if stream.has_start and not had_start:
                        self._opened.put_nowait(stream)

        await self._serve(stream, context, read())

    async def StreamPresence(self, request, context):  # noqa: N802
        stream = OpenedStream(dict(context.invocation_metadata()))
        stream.note(api.WatchPresenceRequest(start=request.start))
        self._opened.put_nowait(stream)
        await self._serve(stream, context, None)

    async def _serve(self, stream: OpenedStream, context: aio.ServicerContext, reading) -> None:
        self.open_now += 1
        task = asyncio.create_task(reading) if reading else None
        try:
            await stream.serve(context)
        finally:
            self.open_now -= 1
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def stream(self) -> OpenedStream:
        return await asyncio.wait_for(self._opened.get(), PATIENCE_S)

    def nothing_opened(self) -> bool:
        return self._opened.empty()

    async def listen(self, cert: trustme.LeafCert | None, port: int = 0) -> None:
        """Serve over TLS, or in plain text without a certificate."""
        self._server = aio.server(
            options=[("grpc.max_receive_message_length", 8 * 1024 * 1024), ("grpc.so_reuseport", 0)]
        )
        rpc.add_PresenceServiceServicer_to_server(self, self._server)
        address = f"127.0.0.1:{port}"
        if cert is None:
            self.port = self._server.add_insecure_port(address)
        else:
            pair = (cert.private_key_pem.bytes(), b"".join(blob.bytes() for blob in cert.cert_chain_pems))
            self.port = self._server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        await self._server.start()

    async def kill(self) -> None:
        """Gone, as after kill -9: no drain, no reason."""
        if self._server is not None:
            await self._server.stop(0)
            self._server = None


def resolution(name: str, to: str | int) -> pb.ResolvedName:
    return (
        pb.ResolvedName(user=name, user_id=to) if isinstance(to, str) else pb.ResolvedName(user=name, unknown_reason=to)
    )


def answer(user_id: str, to: str | int) -> pb.UserAnswer:
    if isinstance(to, int):
        return pb.UserAnswer(user_id=user_id, unknown_reason=to)
    presence = pb.UserPresence(
        upn=f"{user_id}@contoso.com", raw_availability=to, availability=pb.AVAILABILITY_AVAILABLE
    )
    return pb.UserAnswer(user_id=user_id, presence=presence)


def _any(message: object) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
