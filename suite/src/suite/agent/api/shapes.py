"""The board's entries and the sources' connections as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from suite.agent.board import BoardEntry
    from suite.agent.sources.source import ConnectorState
    from suite.names import Key


def user_of(key: Key, entry: BoardEntry) -> dict[str, Any]:
    """Return a colleague with all that is shown."""
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


def compact(value: Any) -> bytes:
    """Return JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None
