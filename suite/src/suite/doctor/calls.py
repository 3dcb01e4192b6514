"""Call the relay with the real gRPC client."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from google.protobuf.duration_pb2 import Duration
from grpc import aio

from presence_api.v1 import presence_service_pb2 as api
from presence_api.v1 import presence_service_pb2_grpc as rpc
from suite.doctor.tunnel import read_date
from suite.doctor.values import Asked, Controls
from suite.explain import Ending, ending_of
from suite.values import Status, instant

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime

    from suite.channel import Target

NAME: Final = "presence-suite doctor"
_SETTLE_S: Final = 2.0
"""Time for which a stream is read after its first response."""
_HEALTH: Final = "/grpc.health.v1.Health/"
_ANSWERED_WITHOUT: Final = frozenset({"UNIMPLEMENTED", "UNAUTHENTICATED", "NOT_FOUND"})
"""Codes that only a server sends: the call reached it, and its answer came back."""


def start_of(version: str, progress_s: float) -> api.WatchStart:
    """Return the start of a stream without users. It has no instance id, so that it replaces no other stream."""
    interval = Duration(seconds=int(progress_s))
    client = api.SuiteClient(name=NAME, version=version)
    return api.WatchStart(client=client, progress_interval=interval)


def first_request(version: str, progress_s: float) -> bytes:
    """Return the encoded first request of a stream."""
    return api.WatchPresenceRequest(start=start_of(version, progress_s)).SerializeToString()


async def ask(
    target: Target, key: str, form: Literal["watch", "stream"], start: api.WatchStart, within_s: float
) -> Asked:
    """Open a stream, observe how it begins, and close it."""
    asked = _Asking(form)
    metadata = (("authorization", f"Bearer {key}"),)
    async with target.open() as channel:
        stub = rpc.PresenceServiceStub(channel)
        call: aio.StreamStreamCall[Any, Any] | aio.UnaryStreamCall[Any, Any]
        if form == "watch":
            call = stub.WatchPresence(metadata=metadata)
        else:
            call = stub.StreamPresence(api.StreamPresenceRequest(start=start), metadata=metadata)
        try:
            async with asyncio.timeout(within_s) as limit:
                if isinstance(call, aio.StreamStreamCall):
                    with contextlib.suppress(aio.AioRpcError, asyncio.InvalidStateError):  # reading raises the reason
                        await call.write(api.WatchPresenceRequest(start=start))
                await asked.read(call, limit)
        except TimeoutError:
            pass
        except aio.AioRpcError as error:
            asked.ending = ending_of(error)
        finally:
            call.cancel()
    return asked.outcome()


class _Asking:
    """The responses of one stream."""

    def __init__(self, form: str) -> None:
        self.ending: Ending | None = None
        self._form = form
        self._begun_at: float | None = None
        self._tenant: Status | None = None
        self._contacts: list[datetime] = []
        self._date: datetime | None = None
        self._since = asyncio.get_running_loop().time()

    async def read(self, call: Any, limit: asyncio.Timeout) -> None:
        """Read until the snapshot is complete and the organisation's status is known, at most `_SETTLE_S` after the beginning."""
        loop = asyncio.get_running_loop()
        is_complete = False
        while not (is_complete and self._tenant is not None):
            response = await call.read()
            if not isinstance(response, api.WatchPresenceResponse):  # aio.EOF: the call ended without an error
                return
            if self._begun_at is None:
                self._begun_at = loop.time()
                limit.reschedule(self._begun_at + _SETTLE_S)
                self._date = _date_of(await call.initial_metadata())
            self._note(response)
            is_complete = is_complete or response.batch.snapshot_complete

    def _note(self, response: api.WatchPresenceResponse) -> None:
        event = response.WhichOneof("event")
        if event == "tenant_status":
            self._tenant = Status(response.tenant_status.unknown_reason)
        if event in {"tenant_status", "progress"}:
            part = getattr(response, event)
            contact = instant(part.contact_time) if part.HasField("contact_time") else None
            if contact is not None and contact not in self._contacts[-1:]:
                self._contacts = [*self._contacts[-1:], contact]

    def outcome(self) -> Asked:
        """Return the observations of the stream."""
        begun = self._begun_at
        return Asked(
            self._form,
            has_begun=begun is not None,
            ending=self.ending,
            tenant=self._tenant,
            contact=self._contacts[-1] if self._contacts else None,
            contact_moved=len(self._contacts) > 1,
            date=self._date,
            began_after=None if begun is None else timedelta(seconds=begun - self._since),
        )


def _date_of(metadata: Any) -> datetime | None:
    texts = [value for name, value in metadata or () if name == "date" and isinstance(value, str)]
    return read_date(texts[0]) if texts else None


async def control(target: Target, within_s: float) -> Controls:
    """Make three concurrent calls that need no key, to see whether a proxy in between buffers requests or answers."""
    async with target.open() as channel:
        whole, open_request, open_answer = await asyncio.gather(
            _unary(channel, within_s), _open_request(channel, within_s), _open_answer(channel, within_s)
        )
    ending = whole if isinstance(whole, Ending) else None
    is_answered = ending is None or ending.code.name in _ANSWERED_WITHOUT or bool(ending.reason)
    return Controls(
        answers=is_answered,
        sees_open_requests=open_request,
        sees_open_answers=open_answer,
        ending=None if is_answered else ending,
    )


async def _unary(channel: aio.Channel, within_s: float) -> Ending | None:
    call: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"{_HEALTH}Check")
    return await _ended(call(b"", timeout=within_s))


async def _open_request(channel: aio.Channel, within_s: float) -> bool:
    """Return True when a stream without a key is refused before its request has ended."""
    call = rpc.PresenceServiceStub(channel).WatchPresence(timeout=within_s)
    ending = await _ended(call.read())
    call.cancel()
    return ending is None or ending.code.name != "DEADLINE_EXCEEDED"


async def _open_answer(channel: aio.Channel, within_s: float) -> bool | None:
    """Return True when the first message of a stream of health arrives while the stream is open; None when there is no such method."""
    method: aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(f"{_HEALTH}Watch")
    call = method(b"", timeout=within_s)
    ending = await _ended(call.read())
    call.cancel()
    if ending is None:
        return True
    return False if ending.code.name == "DEADLINE_EXCEEDED" else None


async def _ended(call: Awaitable[Any]) -> Ending | None:
    try:
        await call
    except aio.AioRpcError as error:
        return ending_of(error)
    return None
