"""Operations on records: the journal of requests, the gaps between two reads, people's history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from emulator.control.operation import Area, Body, ControlRequest, Name
from emulator.history import PresenceChange
from emulator.journal import Entry

if TYPE_CHECKING:
    from emulator.cloud import Cloud

area = Area(
    "history", "All requests with their outcomes, the gaps between reads of users, and the changes of their presence."
)

MOST_ENTRIES = 20_000


class JournalSearch(Body):
    """The conditions of a search for requests; all must hold."""

    path: Name = ""
    """Part of the path."""
    method: Name = ""
    tenant: Name = ""
    app: Name = ""
    status: Annotated[int, msgspec.Meta(ge=100, le=599)] | None = None
    reason: Name = ""
    """Part of the reason for the refusal, case-insensitive."""
    since: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Seconds since 1970; requests that were answered then or later."""
    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Only requests with a greater `number`. Pass the newest number of an earlier answer to continue from there."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ENTRIES)] = 1000
    """Of many the newest."""


class JournalEntries(msgspec.Struct):
    """The requests that were found, oldest first; `total` counts all since the journal was cleared."""

    total: int
    entries: list[Entry]


class JournalSettings(Body):
    """The settings of the journal."""

    keep_ids: bool


class GapSettings(Body):
    """The setting that turns the measurement of gaps on or off."""

    enabled: bool


class ChangeSearch(Body):
    """The conditions of a search for changes; all must hold."""

    tenant: Name = ""
    """Tenant id."""
    person: Name = ""
    """UPN or object id."""
    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Only changes with a greater `number`. Pass the last number of an earlier answer to continue from there."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ENTRIES)] = 1000
    """Of many the oldest."""


class Changes(msgspec.Struct):
    """The changes that were found, oldest first; `total` counts all since the history was cleared."""

    total: int
    changes: list[PresenceChange]


class HistorySettings(Body):
    """The setting that turns the recording of changes on or off."""

    enabled: bool


@area.operation("GET", "journal", query=JournalSearch, answer=JournalEntries)
def search_journal(cloud: Cloud, asked: ControlRequest) -> JournalEntries:
    """Search the requests, including parts of a batch."""
    return JournalEntries(cloud.journal.total, cloud.journal.search(**msgspec.structs.asdict(asked.query)))


@area.operation("PUT", "journal", body=JournalSettings)
def set_journal(cloud: Cloud, asked: ControlRequest) -> None:
    """Set whether the journal keeps the ids of bulk reads."""
    cloud.journal.keep_ids = asked.body.keep_ids


@area.operation("DELETE", "journal")
def clear_journal(cloud: Cloud, _asked: ControlRequest) -> None:
    """Delete every entry of the journal."""
    cloud.journal.clear()


@area.operation("GET", "gaps", answer=dict[str, Any])
def get_gaps(cloud: Cloud, _asked: ControlRequest) -> Any:
    """Show the gaps between reads of users: p50, p99, p99.9, max, the longest that is still open, and the histogram."""
    return cloud.gap_report()


@area.operation("PUT", "gaps", body=GapSettings)
def set_gaps(cloud: Cloud, asked: ControlRequest) -> None:
    """Restart or stop the measurement of gaps."""
    cloud.gaps.enabled = asked.body.enabled
    cloud.gaps.reset()


@area.operation("DELETE", "gaps")
def clear_gaps(cloud: Cloud, _asked: ControlRequest) -> None:
    """Delete the gaps and restart the measurement."""
    cloud.gaps.reset()


@area.operation("GET", "history", query=ChangeSearch, answer=Changes)
def search_changes(cloud: Cloud, asked: ControlRequest) -> Changes:
    """Search the changes of the presence that others see, each with its instant, in order."""
    query: ChangeSearch = asked.query
    person = cloud.person(query.person).oid if query.person else ""
    found = cloud.history.search(tenant=query.tenant, person=person, after=query.after, limit=query.limit)
    return Changes(cloud.history.total, found)


@area.operation("PUT", "history", body=HistorySettings)
def set_history(cloud: Cloud, asked: ControlRequest) -> None:
    """Start or stop recording changes; those recorded stay."""
    cloud.history.enabled = asked.body.enabled


@area.operation("DELETE", "history")
def clear_history(cloud: Cloud, _asked: ControlRequest) -> None:
    """Delete every entry of the history."""
    cloud.history.clear()
