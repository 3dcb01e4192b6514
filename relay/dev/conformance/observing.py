"""Records each call at the edge, and refuses calls on request. It runs before the edge's own gate, so it also records refused calls."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from presence_api.v1 import presence_pb2
from presence_api.v1 import presence_service_pb2 as api
from relay.dev.conformance.record import CANCELLED, OK, SeenCall
from relay.edge.errors import DETAILS_KEY
from relay.edge.gate import refused
from relay.edge.service import SERVICE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from relay.errors import RelayError

_Outcome: Final = api.WatchPresenceResponse.Outcome


class Observer(grpc.aio.ServerInterceptor):  # type: ignore[misc, unused-ignore]
    """Records the requests of suites and the edge's responses."""

    def __init__(self, asked: Callable[[Iterable[str]], Awaitable[None]]) -> None:
        """Start to observe a run.

        Args:
            asked: called with the names of each request, before the edge sees it.
        """
        self.calls: list[SeenCall] = []
        self.connections: list[float] = []
        self.refusals: list[RelayError] = []
        """The errors with which the next calls are refused."""
        self._asked = asked
        self._began = time.monotonic()
        self._news = asyncio.Event()

    def now_s(self) -> float:
        """Return the time since the run began, in seconds."""
        return time.monotonic() - self._began

    def accepted(self) -> None:
        """Record a connection."""
        self.connections.append(self.now_s())
        self.noted()

    def noted(self) -> None:
        """Wake the tasks that wait for a change."""
        self._news.set()

    async def until(self, condition: Callable[[], object], within_s: float) -> bool:
        """Wait until a condition holds; return False when it does not within the time."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return bool(condition())
        return True

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Return the method's handler, wrapped to record its messages."""
        handler = await continuation(handler_call_details)
        service, _, method = handler_call_details.method.lstrip("/").partition("/")
        if service != SERVICE or handler is None:
            return handler

        async def observed(requests: object, context: Any) -> None:
            call = SeenCall(len(self.calls), self.now_s(), method)
            self.calls.append(call)
            seen = _SeenContext(context, call, self)
            try:
                if self.refusals:
                    await seen.read()
                    await refused(seen, self.refusals.pop(0), time.monotonic())  # type: ignore[arg-type]
                await handler.stream_stream(requests, seen)
            except asyncio.CancelledError:
                call.ending = call.ending or CANCELLED
                raise
            finally:
                call.ending = call.ending or OK
                call.ended_s = self.now_s()
                self.noted()

        return grpc.stream_stream_rpc_method_handler(observed)

    async def received(self, call: SeenCall, raw: Any) -> None:
        """Record a suite's request, or its half-close."""
        if raw is grpc.aio.EOF:
            call.half_closed_s = self.now_s()
        elif call.method == "StreamPresence":
            await self._request(call, api.WatchPresenceRequest(start=api.StreamPresenceRequest.FromString(raw).start))
        else:
            await self._request(call, api.WatchPresenceRequest.FromString(raw))
        self.noted()

    async def _request(self, call: SeenCall, request: api.WatchPresenceRequest) -> None:
        start, seen = request.start, call.start
        seen.token = seen.token or start.resume_token
        seen.client = seen.client or start.client.name
        seen.subscribed += start.subscribe_users
        seen.held.update((one.user, _stands_for(one)) for one in start.held_users)
        call.changes += request.HasField("change")
        await self._asked({*seen.names, *request.change.subscribe_users})

    def sent(self, call: SeenCall, response: api.WatchPresenceResponse) -> None:
        """Record a response of the relay."""
        now_s = self.now_s()
        if response.HasField("started"):
            call.outcomes.append((now_s, _Outcome.Name(response.started.outcome)))
            call.complete_s = None
        call.told.update((one.user, _stands_for(one)) for one in response.batch.resolved)
        if response.batch.snapshot_complete:
            call.complete_s = now_s
        if response.HasField("tenant_status"):
            reason = response.tenant_status.unknown_reason
            call.reasons.append(presence_pb2.UnknownReason.Name(reason) if reason else "")
        if response.HasField("drain"):
            call.drain_s, call.drain_delay_s = now_s, response.drain.delay.ToTimedelta().total_seconds()
        token = response.resume_token
        if token and (not call.tokens or call.tokens[-1][1] != token):
            call.tokens.append((now_s, token))
        self.noted()


class _SeenContext:
    """A call's context that records all messages read and written through it."""

    def __init__(self, context: Any, call: SeenCall, observer: Observer) -> None:
        self._context = context
        self._call = call
        self._observer = observer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def read(self) -> Any:
        raw = await self._context.read()
        with suppress(DecodeError):  # not a message: the edge refuses it
            await self._observer.received(self._call, raw)
        return raw

    async def write(self, raw: bytes) -> None:
        # Recorded first, because the suite may react before this task runs again.
        self._observer.sent(self._call, api.WatchPresenceResponse.FromString(raw))
        await self._context.write(raw)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing: Iterable[tuple[str, Any]] = ()) -> None:
        self._call.ending, self._call.retry_s = _ending(trailing) or (code.name, 0.0)
        await self._context.abort(code, details, tuple(trailing))


def _ending(trailing: Iterable[tuple[str, Any]]) -> tuple[str, float] | None:
    """Return the reason, and the requested wait in seconds; None without a reason."""
    raw = dict(trailing).get(DETAILS_KEY)
    reason, retry_s = "", 0.0
    for detail in status_pb2.Status.FromString(raw).details if raw else ():
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(retry):
            retry_s = retry.retry_delay.ToTimedelta().total_seconds()
    return (reason, retry_s) if reason else None


def _stands_for(one: presence_pb2.ResolvedName) -> str:
    return one.user_id or presence_pb2.UnknownReason.Name(one.unknown_reason)
