"""Decodes answers: for a worker that takes over a partition, and for diagnostics. `encode` is the inverse."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from presence_api.v1 import presence_service_pb2 as service
from relay.core.presence import (
    Availability,
    ConsoleStatus,
    DirectoryNames,
    OutOfOffice,
    Presence,
    Source,
    Status,
    UserId,
)

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from presence_api.v1 import presence_pb2 as wire


class Glance(NamedTuple):
    """The parts of an answer that long lists need; one of the two is None."""

    upn: str
    availability: Availability | None
    status: Status | None


class PresenceOrigin(NamedTuple):
    """The beginning of a presence."""

    observed_s: float
    """When the relay learned of it, in seconds since 1970."""
    source: Source


def decode(item: bytes) -> Presence | Status:
    """Decode an item; the inverse of `encode`.

    Raises:
        ValueError: it is not an item.
    """
    answer = _answer(item)
    if answer.WhichOneof("answer") != "presence":
        return Status(answer.unknown_reason)
    message = answer.presence
    return Presence(
        user_id=UserId(answer.user_id),
        upn=message.upn,
        availability=Availability(message.availability),
        raw_availability=message.raw_availability,
        raw_activity=message.raw_activity,
        idle=message.idle,
        idle_time=_time(message.idle_time) if message.HasField("idle_time") else None,
        console_status=ConsoleStatus(message.console_status),
        status_message=message.status_message if message.HasField("status_message") else None,
        out_of_office=OutOfOffice(message.out_of_office.active, message.out_of_office.message)
        if message.HasField("out_of_office")
        else None,
        observe_time=_time(message.observe_time),
        source=Source(message.source),
        sequence_number=message.sequence_number,
        called=DirectoryNames(message.display_name, message.mail),
    )


def glance(item: bytes) -> Glance:
    """Decode only UPN and availability or status of an item, at a quarter of the cost.

    Raises:
        ValueError: it is not an item.
    """
    answer = _answer(item)
    if answer.WhichOneof("answer") != "presence":
        return Glance("", None, Status(answer.unknown_reason))
    return Glance(answer.presence.upn, Availability(answer.presence.availability), None)


def origin(item: bytes) -> PresenceOrigin | None:
    """Return when and how the relay learned of an item's presence; None for a status, and for what cannot be read."""
    try:
        presence = _answer(item).presence
        observed = presence.observe_time
        return PresenceOrigin(observed.seconds + observed.nanos / 1e9, Source(presence.source))
    except ValueError:  # a status has no source
        return None


def _answer(item: bytes) -> wire.UserAnswer:
    answers = service.WatchPresenceResponse.Batch.FromString(item).answers
    if len(answers) != 1:
        raise ValueError("not one answer")
    return answers[0]


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
