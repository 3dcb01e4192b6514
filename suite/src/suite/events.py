"""The events that `PresenceClient.events` yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from suite.values import Outcome, Presence, Status


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events that a client yields."""


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """A stream began. With RESUMED all answers stay valid; with RESET a `Reset` follows."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Disconnected(Event):
    """The stream ended, and answers may be outdated from now on. The client retries after `retry_in`."""

    reason: str
    """The reason as a sentence for users."""
    retry_in: timedelta
    error_reason: str = ""
    """The relay's own reason (`ERROR_REASON_SHUTDOWN`), or empty when the transport failed."""


@dataclass(frozen=True, slots=True)
class Resolved(Event):
    """A name was resolved to `user_id`, or to the `status` that explains why it has no user. Exactly one of them is None."""

    name: str
    user_id: str | None
    status: Status | None


@dataclass(frozen=True, slots=True)
class Changed(Event):
    """A user has a new answer: `presence`, or the `status` that explains why there is none. Exactly one of them is None."""

    user_id: str
    names: tuple[str, ...]
    """All watched names of the user, each as it was given."""
    presence: Presence | None
    status: Status | None


@dataclass(frozen=True, slots=True)
class TenantStatus(Event):
    """The relay can read the tenant (`status` NONE) or cannot: any other status makes all answers uncertain."""

    status: Status
    contact_time: datetime | None
    poll_interval: timedelta | None


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """Nothing changed. Microsoft last confirmed the answers at `contact_time`; users are read every `poll_interval`."""

    contact_time: datetime | None
    poll_interval: timedelta | None


@dataclass(frozen=True, slots=True)
class Reset(Event):
    """The relay sends everything again. The watched names stay.

    With `kept`, earlier answers are uncertain from now on: a user's until its `Changed`, a name's until its `Resolved`. At
    `SnapshotComplete` the client's `answers` and `names` are complete. Without `kept`, the answers belonged to another
    organisation and were dropped.
    """

    kept: bool


@dataclass(frozen=True, slots=True)
class SnapshotComplete(Event):
    """The relay has answered every name that the stream started with, and has sent all changes since the last stream."""
