"""The values that the relay passes around: ids, observations, presences, statuses.

The enums have the numbers of the wire (`protos/relay/api/presence/v1/presence.proto`); a test holds the two together.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from typing import NewType, TypeAlias

TenantId = NewType("TenantId", str)
"""A tenant's GUID (`tid`), lower case."""

UserId = NewType("UserId", str)
"""A user's Entra object id, a GUID in lower case."""

Name = NewType("Name", str)
"""A user's name as suites give it, normalised: see `names.normalise`."""


class Availability(enum.IntEnum):
    """The base state of a user, idle or not."""

    UNKNOWN = 1
    AVAILABLE = 2
    BUSY = 3
    DO_NOT_DISTURB = 4
    AWAY = 5
    BE_RIGHT_BACK = 6
    OFFLINE = 7


class ConsoleStatus(enum.IntEnum):
    """The availability that an attendant console draws."""

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


class Source(enum.IntEnum):
    """The source from which the relay got a presence."""

    POLL = 1
    NOTIFICATION = 2


class Status(enum.IntEnum):
    """The reason why there is no presence. NONE means "no trouble", and only a tenant can have it."""

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


Resolution: TypeAlias = UserId | Status
"""The user that a name stands for, or the reason why it stands for no user."""


@dataclass(frozen=True, slots=True)
class OutOfOffice:
    """A user's out-of-office settings; `message` is plain text, empty when there is none."""

    active: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """The presence of one user, with the values that Microsoft sent.

    `status_message` and `out_of_office` are None when Microsoft did not send them. `sequence_number` is empty when
    absent.
    """

    user_id: UserId
    availability: str
    activity: str
    status_message: str | None = None
    out_of_office: OutOfOffice | None = None
    sequence_number: str = ""


@dataclass(frozen=True, slots=True)
class DirectoryNames:
    """The names of a user in the organisation's directory, for people; empty where the directory has none."""

    display_name: str = ""
    mail: str = ""


@dataclass(frozen=True, slots=True)
class Presence:
    """One user's presence in the form that suites get; times are UTC. `idle_time` is None exactly when `idle` is False."""

    user_id: UserId
    upn: str
    availability: Availability
    raw_availability: str
    raw_activity: str
    idle: bool
    idle_time: datetime | None
    console_status: ConsoleStatus
    status_message: str | None
    out_of_office: OutOfOffice | None
    observe_time: datetime
    source: Source
    sequence_number: str
    called: DirectoryNames = field(default_factory=DirectoryNames)
    """Empty unless the tenant discloses names."""
