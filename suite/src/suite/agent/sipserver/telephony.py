"""The documents that telephone systems publish, as the state of a phone: read as those that the agent subscribes to. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from suite.agent.core.values import TelephonyState
from suite.agent.sources.sip.mapping import phone_of, phone_with
from suite.sip.dialoginfo import read_dialog_info
from suite.sip.pidf import read_pidf

if TYPE_CHECKING:
    from collections.abc import Iterable

_ORDER: Final = (TelephonyState.BUSY, TelephonyState.RINGING, TelephonyState.IDLE, TelephonyState.UNKNOWN)
"""Of several devices, the state that counts."""


def published_phone(event: str, body: bytes) -> tuple[str, TelephonyState]:
    """Return the entity of a document and the state of its phone.

    Raises:
        BadDocument: it cannot be read.
    """
    if event == "dialog":
        info = read_dialog_info(body)
        return info.entity, phone_with(info.dialogs)
    document = read_pidf(body)
    return document.entity, phone_of(document)


def most(states: Iterable[TelephonyState]) -> TelephonyState:
    """Return the state that counts among those of several devices."""
    return min(states, key=_ORDER.index, default=TelephonyState.UNKNOWN)
