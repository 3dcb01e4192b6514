"""Labels and colours with which pages show a watched user and a tenant's connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from relay.core.presence import Source
from relay.core.showing.diagnosis import ConnectorState, Word
from relay.core.showing.mapping import LOOKS
from relay.locale.languages import Sentence, english

if TYPE_CHECKING:
    from relay.core.showing.diagnosis import Connector, Remark
    from relay.diagnosis.explanation import Explanation

WORD_TONES: Final = {
    Word.AVAILABLE: "good",
    Word.BUSY: "bad",
    Word.DO_NOT_DISTURB: "bad",
    Word.AWAY: "warn",
    Word.ACCESS_DENIED: "bad",
    Word.ERROR: "bad",
    Word.NOT_FOUND: "warn",
    Word.REQUESTING: "busy",
    Word.SERVER_NOT_CONFIGURED: "bad",
    Word.USER_NOT_CONFIGURED: "warn",
}
"""State -> kind of chip; the others have none."""

CONNECTOR_TONES: Final = {
    ConnectorState.NOT_CONFIGURED: "warn",
    ConnectorState.DISABLED: "warn",
    ConnectorState.FORBIDDEN: "bad",
    ConnectorState.CONNECTION_ERROR: "bad",
    ConnectorState.UP_AND_RUNNING: "good",
}

SOURCES: Final = {Source.POLL: english("poll"), Source.NOTIFICATION: english("change notification")}


def shown_connector(found: Connector) -> dict[str, Any]:
    """Return the template values of a connection."""
    return {
        "state": found.state,
        "tone": CONNECTOR_TONES[found.state],
        "cause": _sentence(found.cause),
        "notes": [_sentence(note) for note in found.notes],
    }


def shown_explanation(found: Explanation) -> dict[str, Any]:
    """Return the template values that explain one user's state."""
    presence, status = found.presence, None if found.presence is None else found.presence.console_status
    return {
        "said": found,
        "connector": shown_connector(found.connector),
        "icon": LOOKS[status].icon if status is not None else "unknown",
        "drawn_as": "" if status is None else status.name.replace("_", " ").lower(),
        "override": found.mapped is not None and found.mapped.override is not None,
        "origin": "" if presence is None else SOURCES[presence.source],
        "tones": WORD_TONES,
        "at": found.at,
    }


def _sentence(said: Remark) -> Sentence:
    return Sentence(said.text, said.values)
