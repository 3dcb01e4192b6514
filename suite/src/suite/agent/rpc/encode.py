"""Responses as bytes. Each answer is encoded once for all consoles, as an `answers` field of a batch; a batch joins these fields."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from presence_api.v1 import presence_pb2 as pb
from presence_api.v1 import presence_service_pb2 as api
from suite.values import Source, Status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from suite.agent.answers import Freshness
    from suite.held import Answer, Resolution
    from suite.values import Outcome, Presence

_Response = api.WatchPresenceResponse


def answer_item(user_id: str, answer: Answer | None) -> bytes:
    """Return a batch with only this answer; PENDING when there is none yet."""
    item = pb.UserAnswer(user_id=user_id)
    if answer is None:
        item.unknown_reason = pb.UNKNOWN_REASON_PENDING
    elif answer.presence is not None:
        item.presence.CopyFrom(_presence(answer.presence))
    elif answer.status is not Status.UNKNOWN:  # a reason of a newer relay: set no case, so consoles show it as unknown
        item.unknown_reason = int(answer.status or Status.PENDING)  # type: ignore[assignment]
    return _Response.Batch(answers=[item]).SerializeToString()


def resolved_item(spelling: str, resolution: Resolution) -> bytes:
    """Return a batch with only this resolution of a name."""
    item = pb.ResolvedName(user=spelling)
    if resolution.user_id is not None:
        item.user_id = resolution.user_id
    elif resolution.status is not Status.UNKNOWN:
        item.unknown_reason = int(resolution.status or Status.PENDING)  # type: ignore[assignment]
    return _Response.Batch(resolved=[item]).SerializeToString()


def batch(items: Iterable[bytes], token: str, changes_seen: int, *, is_complete: bool) -> bytes:
    """Return a response with these items. Concatenated protobuf messages are merged."""
    body = b"".join(items) + (_Response.Batch(snapshot_complete=True).SerializeToString() if is_complete else b"")
    head = _Response(resume_token=token, changes_seen=changes_seen).SerializeToString()
    return head + b"\x1a" + _varint(len(body)) + body


def started(outcome: Outcome, interval_s: float, changes_seen: int) -> bytes:
    """Return the response that begins a stream."""
    event = _Response.Started(outcome=int(outcome), progress_interval=_duration(timedelta(seconds=interval_s)))  # type: ignore[arg-type]
    return _Response(started=event, changes_seen=changes_seen).SerializeToString()


def tenant_status(fresh: Freshness, changes_seen: int) -> bytes:
    """Return the response with the status of the whole organisation."""
    event = _Response.TenantStatus(
        unknown_reason=int(fresh.status if fresh.status is not Status.UNKNOWN else Status.STALE),  # type: ignore[arg-type]
        contact_time=_timestamp(fresh.contact_time),
        poll_interval=_duration(fresh.poll_interval),
    )
    return _Response(tenant_status=event, changes_seen=changes_seen).SerializeToString()


def progress(fresh: Freshness, token: str, changes_seen: int) -> bytes:
    """Return the response for an interval without changes."""
    event = _Response.Progress(
        contact_time=_timestamp(fresh.contact_time), poll_interval=_duration(fresh.poll_interval)
    )
    return _Response(progress=event, resume_token=token, changes_seen=changes_seen).SerializeToString()


def drain(delay_s: float, changes_seen: int) -> bytes:
    """Return the response that asks the console to open another stream."""
    event = _Response.Drain(delay=_duration(timedelta(seconds=delay_s)), reason=_Response.Drain.REASON_SHUTDOWN)
    return _Response(drain=event, changes_seen=changes_seen).SerializeToString()


def _presence(presence: Presence) -> pb.UserPresence:
    message = pb.UserPresence(
        upn=presence.upn,
        availability=int(presence.availability),  # type: ignore[arg-type]
        raw_availability=presence.raw_availability,
        raw_activity=presence.raw_activity,
        idle=presence.idle,
        idle_time=_timestamp(presence.idle_time),
        console_status=int(presence.console_status),  # type: ignore[arg-type]
        status_message=presence.status_message,
        observe_time=_timestamp(presence.observe_time),
        source=int(presence.source if presence.source is not Source.UNKNOWN else Source.POLL),  # type: ignore[arg-type]
        sequence_number=presence.sequence_number,
        display_name=presence.display_name,
        mail=presence.mail,
    )
    if presence.out_of_office is not None:
        message.out_of_office.active = presence.out_of_office
        message.out_of_office.message = presence.out_of_office_message
    return message


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time.astimezone(UTC))
    return message


def _duration(span: timedelta | None) -> Duration | None:
    if span is None:
        return None
    message = Duration()
    message.FromTimedelta(span)
    return message


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)
