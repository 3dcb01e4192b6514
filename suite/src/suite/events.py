"""What `PresenceClient.events` yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from suite.values import Outcome, Presence, Status


@dataclass(frozen=True, slots=True)
class Event:
    """Anything that happened."""


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """A stream began. With RESUMED what is held stays true; with RESET a `Reset` follows."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Disconnected(Event):
    """The stream is gone; what is held may be wrong from now on. The client tries again by itself after `retry_in`."""

    reason: str
    """In plain words, for a person."""
    retry_in: timedelta
    error_reason: str = ""
    """The relay's own reason (`ERROR_REASON_SHUTDOWN`), or empty when the transport failed."""


@dataclass(frozen=True, slots=True)
class Resolved(Event):
    """What a name stands for: `user_id`, or the `status` that says why nobody. Exactly one of them is None."""

    name: str
    user_id: str | None
    status: Status | None


@dataclass(frozen=True, slots=True)
class Changed(Event):
    """A user's newest answer: `presence`, or the `status` that says why there is none. Exactly one of them is None."""

    user_id: str
    names: tuple[str, ...]
    """All the suite's names for the user, each as it was given."""
    presence: Presence | None
    status: Status | None


@dataclass(frozen=True, slots=True)
class TenantStatus(Event):
    """Whether the relay can read the tenant; `status` NONE is well, anything else makes all that is held uncertain."""

    status: Status
    contact_time: datetime | None
    poll_interval: timedelta | None


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """Nothing changed: Microsoft last confirmed what is held at `contact_time`; users are read every `poll_interval`."""

    contact_time: datetime | None
    poll_interval: timedelta | None


@dataclass(frozen=True, slots=True)
class Reset(Event):
    """Everything is sent again; the names stay.

    With `kept`, what was shown is uncertain from now on: a user until its `Changed`, a name until its `Resolved`, and at
    `SnapshotComplete` the client's `answers` and `names` say what is left of it. Without, it was dropped: it was another organisation's.
    """

    kept: bool


@dataclass(frozen=True, slots=True)
class SnapshotComplete(Event):
    """Every name asked for at the start of the stream has been answered, and what was missed has been sent."""
