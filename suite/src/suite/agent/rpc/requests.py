"""The requests of a console: the start of a stream in one or more parts, and changes. All are checked against the protocol's limits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from google.protobuf.message import DecodeError
from grpc import aio

from presence_api.v1 import presence_service_pb2 as api
from suite.agent.rpc import errors
from suite.chunking import MAX_USERS_A_MESSAGE, MAX_USERS_A_STREAM
from suite.held import Resolution
from suite.values import Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from google.protobuf.message import Message

    from presence_api.v1 import presence_pb2 as pb

PARTS_S: Final = 30.0
PROGRESS_S: Final = 25.0
LEAST_PROGRESS_S: Final = 5.0
MOST_PROGRESS_S: Final = 300.0
MOST_NAME_CHARS: Final = 1024
MOST_TOKEN_CHARS: Final = 1024
MOST_ID_CHARS: Final = 64

M = TypeVar("M", bound="Message")


@dataclass(slots=True)
class Start:
    """A complete start, merged from its parts."""

    subscribe: dict[str, None] = field(default_factory=dict)
    held: dict[str, Resolution | None] = field(default_factory=dict)
    token: str = ""
    instance_id: str = ""
    progress_s: float = PROGRESS_S


class Requests:
    """The requests of one call, of either form."""

    def __init__(self, read: Callable[[], Awaitable[object]], *, is_one: bool) -> None:
        """Take the call's `read`; `is_one` is True for the form with a single request."""
        self._read = read
        self.is_one = is_one

    async def start(self) -> Start:
        """Return the start.

        Raises:
            StreamRefused: it is invalid, too large or too slow.
        """
        whole, is_first = Start(), True
        try:
            async with asyncio.timeout(PARTS_S):
                while True:
                    part = await self._part()
                    if is_first:
                        _take_first(part, whole)
                    is_first = False
                    _count(len(part.subscribe_users) + len(part.held_users))
                    whole.subscribe.update(dict.fromkeys(_names(part.subscribe_users, errors.start_expected)))
                    whole.held.update((one.user, _meaning(one)) for one in part.held_users)
                    _names((one.user for one in part.held_users), errors.start_expected)
                    if len(whole.subscribe.keys() | whole.held.keys()) > MAX_USERS_A_STREAM:
                        raise errors.too_many_users(MAX_USERS_A_STREAM, "stream")
                    if not part.more_follows:
                        return whole
                    if self.is_one:
                        raise errors.start_expected("more_follows must not be set: nothing can follow here.")
        except TimeoutError:
            raise errors.start_expected(f"The start did not arrive within {PARTS_S:g} s.") from None

    async def change(self) -> tuple[list[str], list[str]] | None:
        """Return the names to subscribe and to unsubscribe; None when the console sends no more.

        Raises:
            StreamRefused: the request is not a change, or is too large.
        """
        raw = await self._read()
        if raw is aio.EOF:
            return None
        request = _parse(api.WatchPresenceRequest(), raw, errors.action_expected)
        if request.WhichOneof("action") != "change":
            raise errors.action_expected("After the start every request must be a change.")
        asked = request.change
        _count(max(len(asked.subscribe_users), len(asked.unsubscribe_users)))
        return (
            _names(asked.subscribe_users, errors.action_expected),
            _names(asked.unsubscribe_users, errors.action_expected),
        )

    async def _part(self) -> api.WatchStart:
        raw = await self._read()
        if raw is aio.EOF:
            raise errors.start_expected("The stream was closed before its start was complete.")
        request: api.StreamPresenceRequest | api.WatchPresenceRequest = (
            api.StreamPresenceRequest() if self.is_one else api.WatchPresenceRequest()
        )
        request = _parse(request, raw, errors.start_expected)
        if not request.HasField("start"):
            raise errors.start_expected("The first request must be a start, followed only by its further parts.")
        return request.start


def _take_first(part: api.WatchStart, whole: Start) -> None:
    whole.token = part.resume_token[:MOST_TOKEN_CHARS]
    whole.instance_id = part.client.instance_id if len(part.client.instance_id) <= MOST_ID_CHARS else ""
    if part.HasField("progress_interval"):
        wanted = part.progress_interval.seconds + part.progress_interval.nanos / 1e9
        whole.progress_s = min(max(wanted, LEAST_PROGRESS_S), MOST_PROGRESS_S)


def _meaning(held: pb.ResolvedName) -> Resolution | None:
    """Return the resolution that a console holds for a name; None when it is invalid, so that the name is answered in full."""
    match held.WhichOneof("outcome"):
        case "user_id":
            return Resolution(held.user_id, None) if len(held.user_id) <= MOST_ID_CHARS else None
        case "unknown_reason":
            return Resolution(None, Status(held.unknown_reason))
        case _:
            return None


def _count(users: int) -> None:
    if users > MAX_USERS_A_MESSAGE:
        raise errors.too_many_users(MAX_USERS_A_MESSAGE, "message")


def _names(names: Iterable[str], refused: Callable[[str], Exception]) -> list[str]:
    found = list(names)
    if any(len(name) > MOST_NAME_CHARS for name in found):
        raise refused(f"A name is longer than {MOST_NAME_CHARS} characters.")
    return found


def _parse(message: M, raw: object, refused: Callable[[str], Exception]) -> M:
    try:
        message.ParseFromString(raw)  # type: ignore[arg-type]
    except DecodeError:
        raise refused("The request is not a message of this service.") from None
    return message
