"""The board's entries, notes and the sources' connections as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from suite.agent.notekeeping.clock import date_of_ms
from suite.agent.sources.source import Connector

if TYPE_CHECKING:
    from datetime import datetime

    from suite.agent.board import BoardEntry
    from suite.agent.notekeeping.clock import NoteClock
    from suite.agent.notekeeping.keeper import NoteKeeper
    from suite.agent.notes.values import Kept
    from suite.agent.sipserver.phones import PhonesState
    from suite.agent.sources.source import ConnectorState
    from suite.names import Key


def user_of(key: Key, entry: BoardEntry) -> dict[str, Any]:
    """Return a colleague with the state that consoles show."""
    colleague, shown = entry.colleague, entry.shown
    return {
        "user": key,
        "login": colleague.login,
        "upn": colleague.upn,
        "sip_uri": colleague.sip_uri,
        "extension": colleague.extension,
        "voicemail": colleague.voicemail,
        "status": shown.status.value,
        "rule": shown.rule.value,
        "reason": shown.reason,
        "since": _time(shown.since),
        "uncertain": shown.is_uncertain,
        "rich": {"state": shown.rich.value, "source": shown.rich_source.value if shown.rich_source else None},
        "telephony": shown.telephony.value,
        "sources": {
            source.value: {
                "state": said.state.value,
                "reason": said.reason,
                "since": _time(said.since),
                "uncertain": said.is_uncertain,
            }
            for source, said in sorted(entry.rich.items())
        },
    }


def connector_of(connector: ConnectorState) -> dict[str, Any]:
    """Return the state of a source's connection."""
    return {"state": connector.state.value, "detail": connector.detail}


def note_of(kept: Kept | None, clock: NoteClock) -> dict[str, Any] | None:
    """Return a note; None without one."""
    if kept is None:
        return None
    version = kept.version
    return {
        "text": version.text,
        "author": version.author,
        "written_at": _time(date_of_ms(version.written_ms)),
        "expires_at": _time(clock.date(kept.ends))
        if version.lifetime_s is not None and kept.ends is not None
        else None,
    }


def earlier_note_of(kept: Kept, shown: Kept | None, clock: NoteClock) -> dict[str, Any]:
    """Return a version of the history of a note."""
    is_shown = shown is not None and kept.version.id == shown.version.id
    return {**(note_of(kept, clock) or {}), "cleared": kept.version.is_cleared, "in_force": is_shown}


def notes_state_of(notes: NoteKeeper) -> dict[str, Any]:
    """Return the states of the store of notes and of sharing."""
    store = Connector.CONNECTION_ERROR if notes.trouble else Connector.UP_AND_RUNNING
    sharing = notes.sharing
    return {
        "store": {"state": store.value, "detail": notes.trouble or notes.told},
        "sharing": {"state": sharing.state.value, "detail": sharing.detail, "unsent": sharing.unsent},
    }


def phones_of(phones: PhonesState) -> dict[str, Any]:
    """Return the state of the SIP server."""
    return {"state": phones.state.value, "detail": phones.detail, "subscriptions": phones.subscriptions}


def compact(value: Any) -> bytes:
    """Return JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None
