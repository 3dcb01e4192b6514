"""Documents of servers -> rich presence and the state of a phone. Pure.

Presence (PIDF with RPID): the busiest of several activities wins. Asterisk writes the states of phones as presence too, with the same
activity, or none, for a ringing phone and one in a call; only its English note differs.

Dialogs (dialog-info): a phone in a call is busy, even if another call rings; a called phone rings; a calling phone is busy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from suite.agent.core.values import RichState, TelephonyState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from suite.sip.dialoginfo import PhoneDialog
    from suite.sip.pidf import PidfDocument

_ON_THE_PHONE: Final = "on-the-phone"
_BY_ACTIVITY: Final = (
    (RichState.DO_NOT_DISTURB, frozenset({"do-not-disturb", "dnd"})),  # not standard, but in use
    (RichState.PRESENTING, frozenset({"presentation"})),
    (RichState.IN_A_CALL, frozenset({_ON_THE_PHONE})),
    (RichState.IN_A_MEETING, frozenset({"meeting"})),
    (RichState.BUSY, frozenset({"busy", "appointment", "performance", "steering"})),
    (RichState.OUT_OF_OFFICE, frozenset({"vacation", "holiday", "permanent-absence"})),
    (
        RichState.AWAY,
        frozenset({"away", "breakfast", "dinner", "meal", "sleeping", "in-transit", "travel", "shopping", "worship"}),
    ),
)
"""The activities of RFC 4480 3.2, the busiest first. Activities that do not affect availability are absent."""
_IDLE: Final = {RichState.AVAILABLE: RichState.AVAILABLE_IDLE, RichState.BUSY: RichState.BUSY_IDLE}


def rich_of(document: PidfDocument) -> RichState:
    """Return the rich state in a presence document; UNKNOWN if it has none."""
    state = next((state for state, words in _BY_ACTIVITY if words & document.activities), None)
    if state in (None, RichState.AWAY) and document.is_open is False:
        return RichState.OFFLINE
    if state is None:
        if document.is_open is None:
            return RichState.UNKNOWN
        state = RichState.AVAILABLE
    return _IDLE.get(state, state) if document.is_idle else state


def phone_of(document: PidfDocument) -> TelephonyState:
    """Return the state of the phone in a presence document; UNKNOWN if it has none.

    Without a call, `open` is a free phone, and `closed` is a phone that cannot be reached.
    """
    notes = {note.strip().lower() for note in document.notes}
    if _ON_THE_PHONE in document.activities or notes & _NOTES_OF_CALLS:
        return TelephonyState.RINGING if "ringing" in notes else TelephonyState.BUSY
    return TelephonyState.IDLE if document.is_open else TelephonyState.UNKNOWN


_NOTES_OF_CALLS: Final = frozenset({"on the phone", "on hold", "ringing"})
"""Asterisk's: https://github.com/asterisk/asterisk/blob/20/res/res_pjsip/presence_xml.c"""


def phone_with(dialogs: Iterable[PhoneDialog]) -> TelephonyState:
    """Return the state of a phone with these dialogs; those that are over do not count."""
    states = [(each.state, each.direction) for each in dialogs if each.state != "terminated"]
    if not states:
        return TelephonyState.IDLE
    if all(_rings(state, direction) for state, direction in states):
        return TelephonyState.RINGING
    return TelephonyState.BUSY


def _rings(state: str, direction: str) -> bool:
    """Return True for an incoming call that rings. Asterisk writes no direction for it."""
    if state == "confirmed" or direction == "initiator":
        return False
    return direction == "recipient" or state == "early"
