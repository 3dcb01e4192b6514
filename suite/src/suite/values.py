"""The values of this library: the presence, and enums that accept values of a newer relay.

The enums have the numbers of the protocol; a test compares them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp

    from presence_api.v1 import presence_pb2 as pb


class _Open(enum.IntEnum):
    """An enum that may grow: an unknown number becomes UNKNOWN."""

    @classmethod
    def _missing_(cls, value: object) -> _Open | None:
        return cls["UNKNOWN"] if isinstance(value, int) else None

    @property
    def label(self) -> str:
        """Return the name in lower case, as in JSON: `in_a_call`."""
        return self.name.lower()


class Availability(_Open):
    """The base state of a user, idle or not."""

    UNKNOWN = 1
    AVAILABLE = 2
    BUSY = 3
    DO_NOT_DISTURB = 4
    AWAY = 5
    BE_RIGHT_BACK = 6
    OFFLINE = 7


class ConsoleStatus(_Open):
    """The status that an attendant console shows."""

    UNKNOWN = 1
    AVAILABLE = 2
    AVAILABLE_IDLE = 3
    BUSY = 4
    BUSY_IDLE = 5
    IN_A_CALL = 6
    IN_A_MEETING = 7
    DO_NOT_DISTURB = 8
    PRESENTING = 9
    FOCUSING = 10
    AWAY = 11
    BE_RIGHT_BACK = 12
    OUT_OF_OFFICE = 13
    OFFLINE = 14


class Source(_Open):
    """The way in which the relay received a presence."""

    UNKNOWN = 0
    POLL = 1
    NOTIFICATION = 2


class Status(_Open):
    """The reason why there is no presence. Only a tenant has NONE; UNKNOWN is a reason newer than this library."""

    UNKNOWN = -1
    NONE = 0
    PENDING = 1
    MALFORMED = 2
    NOT_FOUND = 3
    NOT_REPORTED = 4
    ACCESS_DENIED = 5
    NOT_PERMITTED = 6
    CONSENT_REQUIRED = 7
    THROTTLED = 8
    SOURCE_UNREACHABLE = 9
    STALE = 10
    SUSPENDED = 11


class Outcome(_Open):
    """The way in which a stream began."""

    UNKNOWN = 0
    SNAPSHOT = 1
    RESUMED = 2
    RESET = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """One user's presence; times are UTC.

    Attributes:
        upn: the canonical user principal name, empty when not known yet.
        idle_time: time since which the devices are idle, as the relay observed it; None when `idle` is False.
        status_message: None when there is none or the tenant does not pass it on.
        out_of_office: True when the user is out of office; None when Microsoft does not report it or the tenant does not pass it on.
        display_name: the user's display name; empty when the tenant does not pass it on, or it is not known yet.
        mail: the mail address; empty in the same cases as `display_name`.
        observe_time: time at which the relay first observed this presence; None when the relay did not send it.
    """

    upn: str
    availability: Availability
    raw_availability: str
    raw_activity: str
    idle: bool
    idle_time: datetime | None
    console_status: ConsoleStatus
    status_message: str | None
    out_of_office: bool | None
    out_of_office_message: str
    observe_time: datetime | None
    source: Source
    sequence_number: str
    display_name: str = ""
    mail: str = ""


def presence_of(message: pb.UserPresence) -> Presence:
    """Convert a protocol message into a presence."""
    return Presence(
        upn=message.upn,
        availability=Availability(message.availability),
        raw_availability=message.raw_availability,
        raw_activity=message.raw_activity,
        idle=message.idle,
        idle_time=instant(message.idle_time) if message.HasField("idle_time") else None,
        console_status=ConsoleStatus(message.console_status),
        status_message=message.status_message if message.HasField("status_message") else None,
        out_of_office=message.out_of_office.active if message.HasField("out_of_office") else None,
        out_of_office_message=message.out_of_office.message,
        observe_time=instant(message.observe_time) if message.HasField("observe_time") else None,
        source=Source(message.source),
        sequence_number=message.sequence_number,
        display_name=message.display_name,
        mail=message.mail,
    )


def instant(message: Timestamp) -> datetime | None:
    """Convert a timestamp into a datetime in UTC; None when it is out of a datetime's range."""
    try:
        return datetime.fromtimestamp(message.seconds, UTC) + timedelta(microseconds=message.nanos // 1000)
    except (OverflowError, ValueError, OSError):
        return None


def span(message: Duration) -> timedelta | None:
    """Convert a duration into a timedelta; None when it is negative or out of a timedelta's range."""
    try:
        value = timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError:
        return None
    return value if value >= timedelta(0) else None
