"""The state of a phone in a document that a telephone system publishes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from suite.agent.core.values import TelephonyState
from suite.agent.sources.sip.mapping import phone_of, phone_with
from suite.sip.dialoginfo import read_dialog_info
from suite.sip.pidf import read_pidf

if TYPE_CHECKING:
    from collections.abc import Iterable

_ORDER: Final = (TelephonyState.BUSY, TelephonyState.RINGING, TelephonyState.IDLE, TelephonyState.UNKNOWN)
"""States by precedence, for a resource that several devices publish."""


def published_phone(event: str, body: bytes) -> tuple[str, TelephonyState]:
    """Return the entity of a document and the state of its phone.

    Raises:
        BadDocument: the document cannot be read.
    """
    if event == "dialog":
        info = read_dialog_info(body)
        return info.entity, phone_with(info.dialogs)
    document = read_pidf(body)
    return document.entity, phone_of(document)


def winning_state(states: Iterable[TelephonyState]) -> TelephonyState:
    """Return the state of several devices by precedence; UNKNOWN without any."""
    return min(states, key=_ORDER.index, default=TelephonyState.UNKNOWN)
