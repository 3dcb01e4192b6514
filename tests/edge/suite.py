"""A suite with the generated stub: opens a stream, applies what comes, and can be asked what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import grpc
from google.rpc import error_details_pb2, status_pb2

from presence_api.v1 import presence_pb2, presence_service_pb2_grpc
from presence_api.v1 import presence_service_pb2 as pb
from tests.support.waiting import eventually

Request = pb.WatchPresenceRequest
Outcome = pb.WatchPresenceResponse.Outcome
PATIENCE_S = 30.0
"""How long a test waits for what takes a moment: on a busy machine moments are long."""


class Ended(Exception):
    """The error that a stream ended with."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        super().__init__(f"{error.code()} {error.details()}")
        self.code = error.code()
        self.details = error.details()
        self.reason, self.metadata, self.retry_s, self.domain = "", dict[str, str](), None, ""
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                self._unpack(status_pb2.Status.FromString(value))

    def _unpack(self, status: status_pb2.Status) -> None:
        assert (status.code, status.message) == (self.code.value[0], self.details)
        for detail in status.details:
            info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                self.reason, self.metadata, self.domain = info.reason, dict(info.metadata), info.domain
            elif detail.Unpack(retry):
                self.retry_s = retry.retry_delay.ToTimedelta().total_seconds()


class SuiteStream:
    """One stream. Keeps all responses, and what a suite would show by them."""

    def __init__(self, channel: grpc.aio.Channel, key: str | None, metadata: Iterable[tuple[str, str]] = ()) -> None:
        self._stub = presence_service_pb2_grpc.PresenceServiceStub(channel)
        self._metadata = [*([("authorization", f"Bearer {key}")] if key else []), *metadata]
        self.call: Any = None
        self.responses: list[pb.WatchPresenceResponse] = []
        self.resolved: dict[str, str | int] = {}
        self.answers: dict[str, presence_pb2.UserAnswer] = {}
        self.token = ""
        self.complete = 0
        self.error: Ended | None = None
        self.closed = False
        self._reading: asyncio.Task[None] | None = None

    def open(self, *users: str, **start: Any) -> Self:
        """Open a bidirectional stream and start reading; `start` may be of several parts by `send`."""
        self.call = self._stub.WatchPresence(metadata=self._metadata)
        self._reading = asyncio.create_task(self._read(Request(start=pb.WatchStart(subscribe_users=users, **start))))
        return self

    def open_raw(self, *requests: Request) -> Self:
        self.call = self._stub.WatchPresence(metadata=self._metadata)
        self._reading = asyncio.create_task(self._read(*requests))
        return self

    def open_server_stream(self, *users: str, **start: Any) -> Self:
        request = pb.StreamPresenceRequest(start=pb.WatchStart(subscribe_users=users, **start))
        self.call = self._stub.StreamPresence(request, metadata=self._metadata)
        self._reading = asyncio.create_task(self._read())
        return self

    async def _read(self, *requests: Request) -> None:
        try:
            for request in requests:
                await self.call.write(request)
            while (response := await self.call.read()) is not grpc.aio.EOF:
                self._apply(response)
            if await self.call.code() is not grpc.StatusCode.OK:
                await self._fail()
            self.closed = True
        except grpc.aio.AioRpcError as error:
            self.error = Ended(error)
        except asyncio.InvalidStateError:
            await self._fail()

    async def _fail(self) -> None:
        self.error = Ended(
            grpc.aio.AioRpcError(
                await self.call.code(),
                await self.call.initial_metadata(),
                await self.call.trailing_metadata(),
                await self.call.details(),
            )
        )

    def _apply(self, response: pb.WatchPresenceResponse) -> None:
        self.responses.append(response)
        if response.HasField("started") and response.started.outcome != Outcome.OUTCOME_RESUMED:
            self.resolved.clear()
            self.answers.clear()
            self.token = ""
        for resolved in response.batch.resolved:
            self.resolved[resolved.user] = resolved.user_id or resolved.unknown_reason
        for answer in response.batch.answers:
            self.answers[answer.user_id] = answer
        self.complete += response.batch.snapshot_complete
        self.token = response.resume_token or self.token

    async def change(self, subscribe: Iterable[str] = (), unsubscribe: Iterable[str] = ()) -> None:
        change = Request.Change(subscribe_users=subscribe, unsubscribe_users=unsubscribe)
        await self.call.write(Request(change=change))

    async def done_writing(self) -> None:
        await self.call.done_writing()

    async def until(self, condition: Callable[[], Any], timeout: float = PATIENCE_S) -> Self:
        """Wait until the condition holds; a stream that ends first fails the test with its error."""

        def holds() -> Any:
            if self._reading is not None and self._reading.done() and not self._reading.cancelled():
                self._reading.result()
            if (found := condition()) or self.error is None:
                return found
            raise self.error

        await eventually(holds, timeout)
        return self

    async def ready(self) -> Self:
        return await self.until(lambda: self.complete)

    async def ending(self, timeout: float = PATIENCE_S) -> Ended:
        """Wait until the stream ends with an error."""
        await eventually(lambda: self.error or self.closed, timeout)
        assert self.error is not None, "the stream ended OK"
        return self.error

    async def shows(self, activities: dict[str, str], timeout: float = PATIENCE_S) -> None:
        """Wait until these users are shown with these activities."""
        await self.until(lambda: {u: self.activity(u) for u in activities} == activities, timeout)

    def activity(self, user_id: str) -> str | int | None:
        answer = self.answers.get(user_id)
        if answer is None:
            return None
        return answer.presence.raw_activity if answer.HasField("presence") else answer.unknown_reason

    def events(self) -> list[str]:
        return [response.WhichOneof("event") or "" for response in self.responses]

    @property
    def outcomes(self) -> list[int]:
        return [response.started.outcome for response in self.responses if response.HasField("started")]

    @property
    def tenant_statuses(self) -> list[int]:
        return [
            response.tenant_status.unknown_reason for response in self.responses if response.HasField("tenant_status")
        ]

    def held(self) -> list[presence_pb2.ResolvedName]:
        """Return this stream's users for the next start."""
        held = []
        for spelling, meaning in self.resolved.items():
            if isinstance(meaning, str):
                held.append(presence_pb2.ResolvedName(user=spelling, user_id=meaning))
            else:
                held.append(presence_pb2.ResolvedName(user=spelling, unknown_reason=meaning))  # type: ignore[arg-type]
        return held

    async def kill(self) -> None:
        if self.call is not None:
            self.call.cancel()
        if self._reading is not None:
            # A call that is cancelled before it went out leaves its first write waiting for ever.
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()
