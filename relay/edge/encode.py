"""Encodes responses by joining bytes.

The worker encodes each answer as a whole `answers` field of a `Batch` (tag, length, `UserAnswer`). A repeated field is
the concatenation of its items, so a batch is made by joining them, without decoding. Rare messages are made with the
generated classes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from google.protobuf import duration_pb2, timestamp_pb2

from presence_api.v1 import presence_service_pb2 as pb
from relay.core.presence import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relay.core.presence import Resolution, UserId
    from relay.core.watching.values import StartOutcome, Take

MAX_BATCH_BYTES: Final = 1 << 20
"""Well under the 4 MiB that gRPC clients receive by default."""
MAX_BATCH_ITEMS: Final = 2000
"""Limit of names, and of answers, in one response: some 600 kB. A client can show the first ones while it reads the next."""

_Response = pb.WatchPresenceResponse

# Tags: field number << 3 | wire type (2: bytes, 0: varint).
_RESPONSE_TOKEN: Final = b"\x0a"
_RESPONSE_BATCH: Final = b"\x1a"
_RESPONSE_CHANGES_SEEN: Final = b"\x38"
_BATCH_RESOLVED: Final = b"\x0a"
_BATCH_ANSWERS: Final = b"\x12"
_BATCH_COMPLETE: Final = b"\x18\x01"
_ITEM_KEY: Final = b"\x0a"  # ResolvedName.user, UserAnswer.user_id
_RESOLVED_USER_ID: Final = b"\x12"
_ITEM_STATUS: Final = b"\x18"  # ResolvedName.unknown_reason, UserAnswer.unknown_reason


def varint(number: int) -> bytes:
    """A number of at least 0 as protobuf writes it."""
    if number < 0x80:
        return number.to_bytes(1, "little")
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + varint(len(content)) + content


def status_item(user_id: UserId, status: Status) -> bytes:
    """An answer without a presence, as the worker encodes answers."""
    answer = _field(_ITEM_KEY, user_id.encode()) + _ITEM_STATUS + varint(status)
    return _field(_BATCH_ANSWERS, answer)


def pending_item(user_id: UserId) -> bytes:
    """The answer for a user who has none yet."""
    return status_item(user_id, Status.PENDING)


def resolved_item(spelling: str, meaning: Resolution) -> bytes:
    """Return the resolution of a name, as a whole `resolved` field of a batch."""
    user = _field(_ITEM_KEY, spelling.encode())
    if isinstance(meaning, Status):
        return _field(_BATCH_RESOLVED, user + _ITEM_STATUS + varint(meaning))
    return _field(_BATCH_RESOLVED, user + _field(_RESOLVED_USER_ID, meaning.encode()))


def batches(take: Take[bytes], token: str) -> Iterator[bytes]:
    """Yield the responses with the names and answers of a take: usually one, several if it is too large.

    Only the last has `snapshot_complete` and the resume token, which covers all of them.
    """
    if not (take.resolved or take.answers or take.snapshot_complete):
        return
    tail = _BATCH_COMPLETE if take.snapshot_complete else b""
    items = [item for _, item in take.answers]
    if take.resolved:
        items = [resolved_item(spelling, meaning) for spelling, meaning in take.resolved] + items
    body = b"".join(items)
    if len(body) > MAX_BATCH_BYTES:
        *first, body = _split(items)
        for part in first:
            yield _batch(part, "", take.changes_seen)
    yield _batch(body + tail if tail else body, token, take.changes_seen)


def _batch(body: bytes, token: str, changes_seen: int) -> bytes:
    head = _field(_RESPONSE_TOKEN, token.encode()) if token else b""
    tail = _RESPONSE_CHANGES_SEEN + varint(changes_seen) if changes_seen else b""
    return b"".join((head, _RESPONSE_BATCH, varint(len(body)), body, tail))


def _split(items: Iterable[bytes]) -> Iterator[bytes]:
    part: list[bytes] = []
    size = 0
    for item in items:
        if part and size + len(item) > MAX_BATCH_BYTES:
            yield b"".join(part)
            part, size = [], 0
        part.append(item)
        size += len(item)
    yield b"".join(part)


def started(outcome: StartOutcome, progress_interval: timedelta, changes_seen: int) -> bytes:
    """The response that begins a stream, or resets it."""
    event = _Response.Started(outcome=outcome.value, progress_interval=_duration(progress_interval))  # type: ignore[arg-type]
    return _Response(started=event, changes_seen=changes_seen).SerializeToString()


def tenant_status(status: Status, contact_ms: int, interval_ms: int, changes_seen: int) -> bytes:
    """The response with the tenant's status; an unknown time is 0."""
    event = _Response.TenantStatus(
        unknown_reason=status.value,  # type: ignore[arg-type]
        contact_time=_timestamp(contact_ms),
        poll_interval=_interval(interval_ms),
    )
    return _Response(tenant_status=event, changes_seen=changes_seen).SerializeToString()


def progress(contact_ms: int, interval_ms: int, token: str, changes_seen: int) -> bytes:
    """The response that reports progress without changes."""
    event = _Response.Progress(contact_time=_timestamp(contact_ms), poll_interval=_interval(interval_ms))
    return _Response(progress=event, resume_token=token, changes_seen=changes_seen).SerializeToString()


def drain(delay: timedelta, reason: pb.WatchPresenceResponse.Drain.Reason.ValueType, changes_seen: int) -> bytes:
    """The response that asks the suite to leave."""
    event = _Response.Drain(delay=_duration(delay), reason=reason)
    return _Response(drain=event, changes_seen=changes_seen).SerializeToString()


def _duration(span: timedelta) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromTimedelta(span)
    return duration


def _interval(ms: int) -> duration_pb2.Duration | None:
    return _duration(timedelta(milliseconds=ms)) if ms else None


def _timestamp(ms: int) -> timestamp_pb2.Timestamp | None:
    if not ms:
        return None
    timestamp = timestamp_pb2.Timestamp()
    timestamp.FromDatetime(datetime.fromtimestamp(ms / 1000, tz=UTC))
    return timestamp
