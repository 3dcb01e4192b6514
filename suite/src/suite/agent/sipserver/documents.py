"""The documents that phones read: presence and dialogs of one colleague. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from suite.sip import dialoginfo, pidf
from suite.sip.dialoginfo import DialogInfo, PhoneDialog, write_dialog_info
from suite.sip.pidf import PidfDocument, write_pidf

if TYPE_CHECKING:
    from suite.agent.sipserver.states import PhoneState

EVENTS: Final = {"dialog": dialoginfo.CONTENT_TYPE, "presence": pidf.CONTENT_TYPE}
"""Event package -> the type of its documents."""


def presence_document(entity: str, state: PhoneState, note: str) -> bytes:
    """Return a presence document (RFC 3863, RFC 4480). `entity` is the URI that the phone asked for."""
    document = PidfDocument(
        entity=entity,
        is_open=state.is_open,
        activities=state.activities,
        is_idle=state.is_idle,
        notes=(note,) if note else (),
    )
    return write_pidf(document, entity)


def dialog_document(entity: str, state: PhoneState | None, version: int) -> bytes:
    """Return a document of dialogs (RFC 4235). Without a state it has none: a lamp goes out, and nothing is claimed."""
    dialogs: tuple[PhoneDialog, ...] = ()
    if state is not None:
        # As Asterisk writes them: phones look for one dialog, also when it is over, and for who is called while it rings.
        direction = "recipient" if state.lamp == "early" else ""
        dialogs = (PhoneDialog(id=_id_of(entity), state=state.lamp, direction=direction),)
    return write_dialog_info(DialogInfo(entity=entity, version=version, is_full=True, dialogs=dialogs))


def _id_of(entity: str) -> str:
    return entity.partition(":")[2].partition("@")[0] or "phone"
