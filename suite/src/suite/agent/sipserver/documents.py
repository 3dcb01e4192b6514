"""The documents that phones read: presence and dialogs of one colleague. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from suite.agent.sipserver.states import phone_state
from suite.agent.sipserver.words import word_of
from suite.sip import dialoginfo, pidf
from suite.sip.dialoginfo import DialogInfo, PhoneDialog, write_dialog_info
from suite.sip.pidf import PidfDocument, write_pidf

if TYPE_CHECKING:
    from suite.agent.core.values import Aggregation
    from suite.agent.settings.groups.sip_server import LampKinds
    from suite.agent.sipserver.states import PhoneState

EVENTS: Final = {"dialog": dialoginfo.CONTENT_TYPE, "presence": pidf.CONTENT_TYPE}
"""Event package -> the type of its documents."""
_REMEMBERED: Final = 4096
"""Documents of 1 kB: many phones watch the same colleague by the same URI."""
NOTE_CHARS: Final = 160
"""Longer notes are cut: a phone's display shows less, and a datagram has no room for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """The manner of telling: the states that light a lamp, and the language of words."""

    lamps: LampKinds = "busy"
    language: str = "en"


def document_of(
    event: str, entity: str, shown: Aggregation, note: str, telling: Telling, *, version: int, was_told: bool
) -> bytes | None:
    """Return the document that tells a colleague's state; None when nothing is known, and nothing was told before that must be taken back.

    Args:
        event: `presence` or `dialog`.
        entity: the URI that the phone asked for.
        shown: the state that consoles show.
        note: the operators' note; empty for none.
        telling: the manner.
        version: of a document of dialogs; greater than that of the one before.
        was_told: True when this subscription was told a state before.
    """
    state = phone_state(shown, telling.lamps)
    if event == "dialog":
        return None if state is None and not was_told else dialog_document(entity, state, version)
    if state is None:
        return None
    word = word_of(state.word, telling.language, is_uncertain=shown.is_uncertain)
    return presence_document(entity, state, _shortened(f"{word} - {note}") if note else word)


@lru_cache(_REMEMBERED)
def presence_document(entity: str, state: PhoneState, note: str) -> bytes:
    """Return a presence document (RFC 3863, RFC 4480)."""
    document = PidfDocument(
        entity=entity, is_open=state.is_open, activities=state.activities, is_idle=state.is_idle, notes=(note,)
    )
    return write_pidf(document, entity)


def dialog_document(entity: str, state: PhoneState | None, version: int) -> bytes:
    """Return a document of dialogs (RFC 4235). Without a state it has none: a lamp goes out, and no phone is said to be free."""
    dialogs: tuple[PhoneDialog, ...] = ()
    if state is not None:
        # As Asterisk writes them: phones look for one dialog, also when it is over, and for who is called while it rings.
        direction = "recipient" if state.lamp == "early" else ""
        dialogs = (PhoneDialog(id=_id_of(entity), state=state.lamp, direction=direction),)
    return write_dialog_info(DialogInfo(entity=entity, version=version, is_full=True, dialogs=dialogs))


def _id_of(entity: str) -> str:
    return entity.partition(":")[2].partition("@")[0] or "phone"


def _shortened(text: str) -> str:
    return text if len(text) <= NOTE_CHARS else f"{text[: NOTE_CHARS - 1].rstrip()}…"
