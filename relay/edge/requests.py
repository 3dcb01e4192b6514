"""Reads and checks the requests of a suite. A malformed message never reaches the watch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from google.protobuf.message import DecodeError
from grpc.aio import EOF

from presence_api.v1 import presence_service_pb2 as pb
from relay.core.names import MAX_NAME_CHARS
from relay.core.presence import Status, UserId
from relay.errors import ActionExpected, StartExpected, TooManyUsers
from relay.ops.turns import in_slices

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf import duration_pb2
    from google.protobuf.message import Message

    from presence_api.v1 import presence_pb2
    from relay.core.presence import Resolution
    from relay.edge.name_budget import StreamBudget
    from relay.edge.settings import EdgeSettings

    M = TypeVar("M", bound=Message)

Read = Callable[[], Awaitable[Any]]
"""Gives the next request's bytes, or `grpc.aio.EOF`."""

MAX_CLIENT_CHARS: Final = 100
MAX_INSTANCE_CHARS: Final = 64
"""Longest instance id. A longer one is ignored, because a truncated id could be that of another program."""
MAX_TOKEN_CHARS: Final = 1024
"""Longest accepted resume token, several times the longest that exists."""
MAX_ID_CHARS: Final = 64
"""Longest accepted object id; a GUID has 36."""


@dataclass(slots=True)
class StartRequest:
    """A start with its parts joined. Each spelling occurs once; a name that is both held and newly requested counts as newly requested."""

    subscribe: dict[str, None] = field(default_factory=dict)
    held: dict[str, Resolution | None] = field(default_factory=dict)
    token: str = ""
    client_name: str = ""
    client_version: str = ""
    instance_id: str = ""
    progress_interval: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """The names of one change request."""

    subscribe: Sequence[str]
    unsubscribe: Sequence[str]


class Requests:
    """The requests of a bidirectional stream, in the order in which they come. One reader."""

    may_follow: ClassVar[bool] = True
    """Whether changes may follow the start."""

    def __init__(self, read: Read, settings: EdgeSettings) -> None:
        self._read = read
        self._settings = settings
        self.begun = False
        """Whether a request was read, or is being read."""

    async def start(self, pace: StreamBudget) -> StartRequest:
        """Return the start with all its parts. Each part is read when the name budget allows it.

        Raises:
            StartExpected: the suite sent something else, or half-closed.
            TooManyUsers: in a message, or in all parts.
        """
        parts = StartParts(self._settings)
        self.begun = True
        while True:
            await pace.starts.clear(pace)
            raw = await self._read()
            if raw is EOF:
                raise StartExpected("The stream was closed before its start was complete")
            request = _parse(pb.WatchPresenceRequest(), raw, StartExpected)
            if request.WhichOneof("action") != "start":
                raise StartExpected("The first request must be a start, followed only by its further parts")
            is_last = await parts.add(request.start, len(raw))
            await pace.starts.pay(len(request.start.subscribe_users) + len(request.start.held_users), pace)
            if is_last:
                return parts.whole

    async def change(self, pace: StreamBudget) -> ChangeRequest | None:
        """Return the next change when the name budget allows it; None when the suite has half-closed the stream.

        Raises:
            ActionExpected: the suite sent something else.
            TooManyUsers: in the message.
        """
        await pace.changes.clear(pace)
        raw = await self._read()
        if raw is EOF:
            return None
        request = _parse(pb.WatchPresenceRequest(), raw, ActionExpected)
        if request.WhichOneof("action") != "change":
            raise ActionExpected("After the start every request must be a change")
        # Counted first, so that the lists below never have more names than a message may have.
        asked = request.change
        _check_message(max(len(asked.subscribe_users), len(asked.unsubscribe_users)), self._settings)
        change = ChangeRequest(list(asked.subscribe_users), list(asked.unsubscribe_users))
        _check_names((*change.subscribe, *change.unsubscribe), self._settings, ActionExpected)
        await pace.changes.pay(len(change.subscribe) + len(change.unsubscribe), pace)
        return change


class OnlyRequest(Requests):
    """The one request of a server stream: a start."""

    may_follow: ClassVar[bool] = False

    async def start(self, pace: StreamBudget) -> StartRequest:
        """Return the start when the name budget allows it.

        Raises:
            StartExpected: there is none, or it says that more follows.
            TooManyUsers: in the message.
        """
        self.begun = True
        await pace.starts.clear(pace)
        raw = await self._read()
        if raw is EOF:
            raise StartExpected("The request must carry a start")
        request = _parse(pb.StreamPresenceRequest(), raw, StartExpected)
        if not request.HasField("start"):
            raise StartExpected("The request must carry a start")
        parts = StartParts(self._settings)
        if not await parts.add(request.start, len(raw)):
            raise StartExpected("more_follows must not be set: nothing can follow in a server stream")
        await pace.starts.pay(len(request.start.subscribe_users) + len(request.start.held_users), pace)
        return parts.whole


class StartParts:
    """Joins the parts of a start."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self._first = True
        self._names: set[str] = set()
        self._bytes = self._long_chars = 0
        self.whole = StartRequest()

    async def add(self, part: pb.WatchStart, raw_bytes: int) -> bool:
        """Add a part, letting other streams run in between; return True when it was the last.

        Args:
            part: as received.
            raw_bytes: its size on the wire.

        Raises:
            TooManyUsers: in this part, or in all so far.
            StartExpected: a name is too long, or all parts so far together are.
        """
        whole = self.whole
        _check_message(len(part.subscribe_users) + len(part.held_users), self._settings)
        self._count_bytes(raw_bytes)
        if self._first:
            self._first = False
            whole.token = part.resume_token[:MAX_TOKEN_CHARS]
            whole.client_name = part.client.name[:MAX_CLIENT_CHARS]
            whole.client_version = part.client.version[:MAX_CLIENT_CHARS]
            whole.instance_id = part.client.instance_id if len(part.client.instance_id) <= MAX_INSTANCE_CHARS else ""
            whole.progress_interval = _progress_interval(part, self._settings)
        subscribe = list(part.subscribe_users)
        held: dict[str, Resolution | None] = {}
        async for some in in_slices(part.held_users):
            held.update((one.user, _meaning(one)) for one in some)
        _check_names((*subscribe, *held), self._settings, StartExpected)
        self._count_long((*subscribe, *held))
        whole.subscribe.update(dict.fromkeys(subscribe))
        whole.held.update(held)
        self._names.update(subscribe, held)
        check_stream(len(self._names), self._settings)
        return not part.more_follows

    def _count_bytes(self, raw_bytes: int) -> None:
        self._bytes += raw_bytes
        limit = self._settings.start_bytes
        if self._bytes > limit:
            raise StartExpected(f"All parts of a start may have {limit} bytes together")

    def _count_long(self, names: Iterable[str]) -> None:
        self._long_chars += sum(len(name) for name in names if is_long(name) and name not in self._names)
        limit = self._settings.start_long_chars
        if self._long_chars > limit:
            raise StartExpected(f"Names in a start that are too long for any user may have {limit} characters together")


def is_long(name: str) -> bool:
    """Return whether a name takes more memory than the longest real one.

    One character beyond ASCII makes its whole name take up to four times as much.
    """
    return len(name) > (MAX_NAME_CHARS if name.isascii() else MAX_NAME_CHARS // 4)


def check_stream(users: int, settings: EdgeSettings) -> None:
    """Refuse more users than a stream may have."""
    limit = settings.stream_users
    if users > limit:
        raise TooManyUsers(f"A stream may watch {limit} users", limit=str(limit), per="stream")


def _check_message(users: int, settings: EdgeSettings) -> None:
    limit = settings.message_users
    if users > limit:
        raise TooManyUsers(f"A message may name {limit} users; send more in parts", limit=str(limit), per="message")


def _check_names(
    names: Iterable[str], settings: EdgeSettings, error: type[StartExpected] | type[ActionExpected]
) -> None:
    if max(map(len, names), default=0) > settings.name_chars:
        raise error(f"A name is longer than {settings.name_chars} characters")


def _parse(message: M, raw: bytes, error: type[StartExpected] | type[ActionExpected]) -> M:
    try:
        message.ParseFromString(raw)
    except DecodeError:
        raise error("The request is not a message of this service") from None
    return message


def _meaning(held: presence_pb2.ResolvedName) -> Resolution | None:
    match held.WhichOneof("outcome"):
        case "user_id":
            # A text that cannot be an id is ignored and not stored.
            return UserId(held.user_id) if len(held.user_id) <= MAX_ID_CHARS else None
        case "unknown_reason":
            # A status that this release does not know is ignored: the name gets its full answer.
            return Status(held.unknown_reason) if held.unknown_reason in Status._value2member_map_ else None
        case _:
            return None


def _progress_interval(start: pb.WatchStart, settings: EdgeSettings) -> timedelta:
    if not start.HasField("progress_interval"):
        return settings.progress_default
    wanted = _timedelta(start.progress_interval)
    return max(settings.progress_min, min(settings.progress_max, wanted))


def _timedelta(duration: duration_pb2.Duration) -> timedelta:
    # Not ToTimedelta, which refuses values outside protobuf's range; here they are just very long or very short.
    seconds = max(-86_400, min(86_400, duration.seconds))
    return timedelta(seconds=seconds, microseconds=max(0, min(999_999, duration.nanos // 1000)))
