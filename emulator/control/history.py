"""What was asked of the cloud: the journal, and the gaps between two reads of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from emulator.control.operation import Area, Asked, Body, Name
from emulator.journal import Entry

if TYPE_CHECKING:
    from emulator.cloud import Cloud

area = Area("history", "Every request with its outcome, and how long users went unread.")

MOST_ENTRIES = 20_000


class Search(Body):
    """Which requests; all conditions hold together."""

    path: Name = ""
    """Part of the path."""
    method: Name = ""
    tenant: Name = ""
    app: Name = ""
    status: Annotated[int, msgspec.Meta(ge=100, le=599)] | None = None
    reason: Name = ""
    """Part of why it was refused, in any case."""
    since: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Seconds since 1970; requests that were answered then or later."""
    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Requests with a greater `number`: the newest number of an earlier answer, to go on from there."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ENTRIES)] = 1000
    """Of many the newest."""


class Found(msgspec.Struct):
    """The requests that were found, oldest first; `total` counts all since the journal was cleared."""

    total: int
    entries: list[Entry]


class JournalSettings(Body):
    """What the journal keeps."""

    keep_ids: bool


class GapSettings(Body):
    """Whether gaps are measured."""

    enabled: bool


@area.operation("GET", "journal", query=Search, answer=Found)
def search_journal(cloud: Cloud, asked: Asked) -> Found:
    """Search the requests, parts of a batch among them."""
    return Found(cloud.journal.total, cloud.journal.search(**msgspec.structs.asdict(asked.query)))


@area.operation("PUT", "journal", body=JournalSettings)
def set_journal(cloud: Cloud, asked: Asked) -> None:
    """Say whether the journal keeps the ids of bulk reads."""
    cloud.journal.keep_ids = asked.body.keep_ids


@area.operation("DELETE", "journal")
def clear_journal(cloud: Cloud, _asked: Asked) -> None:
    """Forget every request."""
    cloud.journal.clear()


@area.operation("GET", "gaps", answer=dict[str, Any])
def get_gaps(cloud: Cloud, _asked: Asked) -> Any:
    """Tell how long users went unread: p50, p99, p99.9, max, the longest that is still open, and the histogram."""
    return cloud.gap_report()


@area.operation("PUT", "gaps", body=GapSettings)
def set_gaps(cloud: Cloud, asked: Asked) -> None:
    """Begin to measure anew, or stop measuring."""
    cloud.gaps.enabled = asked.body.enabled
    cloud.gaps.reset()


@area.operation("DELETE", "gaps")
def clear_gaps(cloud: Cloud, _asked: Asked) -> None:
    """Forget the gaps and begin anew."""
    cloud.gaps.reset()
