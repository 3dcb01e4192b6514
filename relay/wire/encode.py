"""Encodes answers once: the same bytes are stored, added to `changes` and written to every watching stream.

An item is a whole `answers` field of the protocol's `Batch`, tag and length included, because a repeated field is the
concatenation of its encoded items (https://protobuf.dev/programming-guides/encoding/#last-one-wins).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from presence_api.v1 import presence_pb2 as wire
from relay.wire.decode import decode

__all__ = ["decode", "encode_presence", "encode_status"]

_TAG: Final = b"\x12"
"""Field 2 of `Batch`, length-delimited; a test compares it with protobuf's encoding."""

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from relay.core.presence import Presence, Status, UserId


def encode_presence(presence: Presence) -> bytes:
    """Return the item of a user who has a presence."""
    answer = wire.UserAnswer(user_id=presence.user_id)
    message = answer.presence  # filled in place, because a constructor copies messages
    message.upn = presence.upn
    message.availability = int(presence.availability)  # type: ignore[assignment]
    message.raw_availability = presence.raw_availability
    message.raw_activity = presence.raw_activity
    message.idle = presence.idle
    message.console_status = int(presence.console_status)  # type: ignore[assignment]
    message.source = int(presence.source)  # type: ignore[assignment]
    message.sequence_number = presence.sequence_number
    message.display_name = presence.called.display_name
    message.mail = presence.called.mail
    _set(message.observe_time, presence.observe_time)
    if presence.idle_time is not None:
        _set(message.idle_time, presence.idle_time)
    if presence.status_message is not None:
        message.status_message = presence.status_message
    if presence.out_of_office is not None:
        message.out_of_office.active = presence.out_of_office.active
        message.out_of_office.message = presence.out_of_office.message
    return _item(answer)


def encode_status(user_id: UserId, status: Status) -> bytes:
    """Return the item of a user without presence, with the reason."""
    return _item(wire.UserAnswer(user_id=user_id, unknown_reason=int(status)))  # type: ignore[arg-type]


def _item(answer: wire.UserAnswer) -> bytes:
    body = answer.SerializeToString()
    head, size = bytearray(_TAG), len(body)
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def _set(stamp: Timestamp, time: datetime) -> None:
    stamp.seconds = int(time.timestamp() // 1)
    stamp.nanos = time.microsecond * 1000
