"""The documents that phones are sent: presence and dialogs of one colleague. Pure."""

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
_CACHED: Final = 4096
"""Documents in the cache, about 1 kB each: many phones watch the same colleague by the same URI."""
NOTE_CHARS: Final = 160
"""Longer notes are cut: a phone's display shows less, and a datagram has no room for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentOptions:
    """Options of documents: the states that light a lamp, and the language of notes."""

    lamps: LampKinds = "busy"
    language: str = "en"


def document_of(
    event: str, entity: str, shown: Aggregation, note: str, options: DocumentOptions, *, version: int, was_told: bool
) -> bytes | None:
    """Return the document of a colleague's state; None to send none.

    An unknown state has no document, except a dialog document that turns a lit lamp off.

    Args:
        event: `presence` or `dialog`.
        entity: the URI to which the phone subscribed.
        shown: the state that consoles show.
        note: the operators' note; empty for none.
        options: lamps and language.
        version: of a dialog document; greater than that of the one before (RFC 4235 4.1).
        was_told: True when this subscription was sent a state before.
    """
    state = phone_state(shown, options.lamps)
    if event == "dialog":
        return None if state is None and not was_told else dialog_document(entity, state, version)
    if state is None:
        return None
    word = word_of(state.word, options.language, is_uncertain=shown.is_uncertain)
    return presence_document(entity, state, _shortened(f"{word} - {note}") if note else word)


@lru_cache(_CACHED)
def presence_document(entity: str, state: PhoneState, note: str) -> bytes:
    """Return a presence document (RFC 3863, RFC 4480)."""
    document = PidfDocument(
        entity=entity, is_open=state.is_open, activities=state.activities, is_idle=state.is_idle, notes=(note,)
    )
    return write_pidf(document, entity)


def dialog_document(entity: str, state: PhoneState | None, version: int) -> bytes:
    """Return a dialog document (RFC 4235). Without a state it has no dialog: the lamp goes out, and the phone is not reported as free."""
    dialogs: tuple[PhoneDialog, ...] = ()
    if state is not None:
        # As Asterisk writes it: phones expect one dialog, also a terminated one, and the direction while it rings.
        direction = "recipient" if state.lamp == "early" else ""
        dialogs = (PhoneDialog(id=_id_of(entity), state=state.lamp, direction=direction),)
    return write_dialog_info(DialogInfo(entity=entity, version=version, is_full=True, dialogs=dialogs))


def _id_of(entity: str) -> str:
    return entity.partition(":")[2].partition("@")[0] or "phone"


def _shortened(text: str) -> str:
    return text if len(text) <= NOTE_CHARS else f"{text[: NOTE_CHARS - 1].rstrip()}…"
