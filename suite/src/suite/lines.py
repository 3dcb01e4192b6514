"""Print events as lines: JSON for programs, plain text for users without a terminal."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from suite import events as ev
from suite.icons import REASONS, clean, words
from suite.values import Presence, Status

if TYPE_CHECKING:
    from suite.events import Event

_KINDS: dict[type[Event], str] = {
    ev.Connected: "connected",
    ev.Disconnected: "disconnected",
    ev.Resolved: "resolved",
    ev.Changed: "changed",
    ev.TenantStatus: "tenant_status",
    ev.Progress: "progress",
    ev.Reset: "reset",
    ev.SnapshotComplete: "snapshot_complete",
}


def json_line(event: Event, now: datetime) -> str:
    """Return one JSON object: `event`, `time` (of arrival), and the event's fields. Times are ISO 8601 in UTC, durations seconds."""
    return json.dumps({"event": _KINDS[type(event)], "time": now.isoformat(), **_plain(event)})


def _plain(value: Any) -> Any:
    if isinstance(value, ev.Event | Presence):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        # A name from the command line may contain lone surrogates, which JSON readers cannot decode.
        return value.encode("utf-8", "replace").decode()
    return value


def plain_line(event: Event, now: datetime) -> str | None:
    """Return one line of plain text; None for an event that needs none."""
    text = _sentence(event)
    return None if text is None else f"{now.astimezone():%H:%M:%S}  {clean(text)}"


def _sentence(event: Event) -> str | None:
    match event:
        case ev.Connected(outcome):
            return f"connected ({outcome.label})"
        case ev.Disconnected(reason, retry_in):
            return f"disconnected: {reason} Trying again in {retry_in.total_seconds():.1f} s."
        case ev.Resolved(name, None, status) if status is not None:
            return f"{name}  unknown: {REASONS[status]}"
        case ev.Changed(_, names, presence, status):
            return f"{', '.join(names)}  {_answer(presence, status)}"
        case ev.TenantStatus(status):
            return "the organisation can be read" if status is Status.NONE else f"all uncertain: {REASONS[status]}"
        case ev.Reset(kept):
            return f"starting again: presences are {'uncertain until they are sent again' if kept else 'dropped'}"
        case ev.SnapshotComplete():
            return "everything has been answered"
        case _:
            return None


def _answer(presence: Presence | None, status: Status | None) -> str:
    if presence is None:
        return f"unknown: {REASONS[status or Status.UNKNOWN]}"
    since = f"  idle since {presence.idle_time.astimezone():%H:%M:%S}" if presence.idle_time else ""
    who = f"{presence.display_name}  " if presence.display_name else ""
    return f"{who}{words(presence.console_status)}  ({presence.raw_availability}/{presence.raw_activity}){since}"
