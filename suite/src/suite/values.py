"""The values of this library: the presence, and enums that tolerate what a newer relay may send.

The enums have the numbers of the wire; a test holds the two together.
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
    """An enum that may grow: a number it does not know is its UNKNOWN."""

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
    """The status that an attendant console draws."""

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
    """The way in which the relay learned of a presence."""

    UNKNOWN = 0
    POLL = 1
    NOTIFICATION = 2


class Status(_Open):
    """The reason for the lack of a presence. Only a tenant has NONE; UNKNOWN is a reason newer than this library."""

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
        idle_time: time since which the devices are idle, as the relay saw it; None when `idle` is False.
        status_message: None when there is none or the tenant does not pass it on.
        out_of_office: True when the user is out of office; None when Microsoft does not say or the tenant does not pass it on.
        display_name: the name as people know it; empty when the tenant does not pass it on, or it is not known yet.
        mail: the mail address; as `display_name`.
        observe_time: time at which the relay first saw this presence; None if it did not say.
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
    """Return the presence of a message."""
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
    """Return the timestamp in UTC; None when it is outside what a datetime can hold."""
    try:
        return datetime.fromtimestamp(message.seconds, UTC) + timedelta(microseconds=message.nanos // 1000)
    except (OverflowError, ValueError, OSError):
        return None


def span(message: Duration) -> timedelta | None:
    """Return the duration; None when it is negative or larger than a timedelta can hold."""
    try:
        value = timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError:
        return None
    return value if value >= timedelta(0) else None
