"""The documents that telephone systems publish, as the state of a phone. Pure.

Asterisk's presence documents say in a note what their other elements do not: a phone that rings is `busy` with the note "Ringing".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from suite.agent.core.values import TelephonyState
from suite.sip.dialoginfo import read_dialog_info
from suite.sip.pidf import read_pidf

if TYPE_CHECKING:
    from collections.abc import Iterable

    from suite.sip.dialoginfo import PhoneDialog
    from suite.sip.pidf import PidfDocument

_ORDER: Final = (
    TelephonyState.DO_NOT_DISTURB,
    TelephonyState.BUSY,
    TelephonyState.RINGING,
    TelephonyState.IDLE,
    TelephonyState.UNKNOWN,
)
"""Of several devices, the state that counts."""
_BUSY: Final = frozenset({"on-the-phone", "busy"})


def published_phone(event: str, body: bytes) -> tuple[str, TelephonyState]:
    """Return the entity of a document and the state of its phone.

    Raises:
        BadDocument: it cannot be read.
    """
    if event == "dialog":
        info = read_dialog_info(body)
        return info.entity, phone_of_dialogs(info.dialogs)
    document = read_pidf(body)
    return document.entity, phone_of_presence(document)


def phone_of_presence(document: PidfDocument) -> TelephonyState:
    """Return the state of a phone by its presence document."""
    note = " ".join(document.notes).lower()
    if "ringing" in note:
        return TelephonyState.RINGING
    if "do not disturb" in note or note == "dnd":
        return TelephonyState.DO_NOT_DISTURB
    if document.activities & _BUSY or "on the phone" in note or "on hold" in note:
        return TelephonyState.BUSY
    return TelephonyState.IDLE if document.is_open else TelephonyState.UNKNOWN


def phone_of_dialogs(dialogs: Iterable[PhoneDialog]) -> TelephonyState:
    """Return the state of a phone by its calls. A phone that calls somebody is busy while it rings there."""
    return most([_of_dialog(each) for each in dialogs]) if dialogs else TelephonyState.IDLE


def _of_dialog(dialog: PhoneDialog) -> TelephonyState:
    if dialog.state == "terminated":
        return TelephonyState.IDLE
    rings = dialog.state == "early" and dialog.direction != "initiator"
    return TelephonyState.RINGING if rings else TelephonyState.BUSY


def most(states: Iterable[TelephonyState]) -> TelephonyState:
    """Return the state that counts among those of several devices."""
    return min(states, key=_ORDER.index, default=TelephonyState.UNKNOWN)
