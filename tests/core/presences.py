"""A presence to vary in tests of the core."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from relay.core.presence import Availability, ConsoleStatus, Presence, Source, UserId

PRESENCE: Final = Presence(
    user_id=UserId("11111111-0000-4000-8000-000000000001"),
    upn="Ada@contoso.example",
    availability=Availability.AVAILABLE,
    raw_availability="Available",
    raw_activity="Available",
    idle=False,
    idle_time=None,
    console_status=ConsoleStatus.AVAILABLE,
    status_message=None,
    out_of_office=None,
    observe_time=datetime(2026, 11, 23, 8, 0, tzinfo=UTC),
    source=Source.POLL,
    sequence_number="A0000000001",
)
